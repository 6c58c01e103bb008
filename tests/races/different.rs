//! Two commands at once on one thing. However they meet, the end is that of one after the other, in one order or the
//! other, and each is answered as it is in that order. Who is turned away comes back, as Vercel and partner systems do.

use futures_util::future::join;

use crate::is_turned_away;
use crate::world::acts::{
    Stage, a_doubtful_invoice, a_paid_invoice, adjust, another_close, another_provision, another_refund,
    another_rotation, at_the_next_month, change_plan, close, declare_submitted, delete, expire, give_up,
    hear_of_removal, hear_of_the_invoice, install, invoiced, more_usage, nothing, owed_news, provision, refund, rename,
    report, rotate, rotate_for_partner, rotated, run_invoices, some_usage, sweep_now, tell, ten_days, uninstall,
};
use crate::world::end::End;
use crate::world::got::Got;
use crate::world::{TEAM, World};

/// How often each pair meets: every time otherwise, since they run on threads of their own.
const MEETINGS: usize = 2;
/// How often one that is turned away comes back.
const COMES_BACK_MAX: usize = 10_000;

macro_rules! meetings {
    ($($name:ident: $prepare:ident, $first:ident, $second:ident $(, $untold:literal)?;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                meet($prepare, $first, $second, &[$($untold)?]).await;
            }
        )+
    };
}

// The last word, if any, is what is not compared of Vercel's state. Its `resources` are as it last read them: when, in
// between, is left to chance, and a call by itself tells it nothing. The `secrets` of who leaves are nobody's any more.
meetings! {
    a_plan_change_and_a_rotation: nothing, change_plan, rotate;
    a_plan_change_and_a_rename: nothing, change_plan, rename;
    a_delete_and_a_rotation: nothing, delete, rotate;
    a_change_and_a_delete: nothing, rename, delete;
    two_rotations: nothing, rotate, another_rotation;
    a_rotation_and_a_partners: nothing, rotate, rotate_for_partner;
    a_partners_rotation_and_an_uninstall: nothing, rotate_for_partner, uninstall, "secrets";
    an_expiry_and_a_rotation: rotated, expire, rotate_for_partner;
    two_provisions: nothing, provision, another_provision;
    a_provision_and_an_uninstall: nothing, provision, uninstall;
    a_change_and_an_uninstall: nothing, rename, uninstall;
    a_delete_and_an_uninstall: nothing, delete, uninstall;
    a_new_token_and_an_uninstall: nothing, install, uninstall;
    an_uninstall_and_its_webhook: nothing, uninstall, hear_of_removal;
    an_event_and_a_change: nothing, tell, change_plan, "resources";
    a_report_and_a_change: nothing, report, rename, "resources";
    an_event_and_a_sweep: owed_news, report, sweep_now;
    two_batches_of_usage: nothing, some_usage, more_usage;
    usage_and_a_close: ten_days, some_usage, close;
    usage_and_the_schedulers_close: at_the_next_month, more_usage, run_invoices;
    usage_and_an_uninstall: nothing, some_usage, uninstall;
    a_close_and_an_adjustment: ten_days, close, adjust;
    a_close_and_the_schedulers: at_the_next_month, close, run_invoices;
    two_refunds: a_paid_invoice, refund, another_refund;
    a_refund_and_an_uninstall: a_paid_invoice, refund, uninstall;
    a_webhook_and_a_close: invoiced, hear_of_the_invoice, close;
    two_ways_of_settling: a_doubtful_invoice, give_up, declare_submitted;
}

/// How it was answered, and how it ended.
struct Met {
    statuses: [u16; 2],
    end: End,
}

async fn persistent(world: &World, stage: &Stage, act: &impl AsyncFn(&World, &Stage) -> Got) -> u16 {
    for _ in 0..COMES_BACK_MAX {
        let got = act(world, stage).await;
        if !is_turned_away(&got) {
            assert!(got.status < 500, "{got:?}");
            return got.status;
        }
        tokio::task::yield_now().await;
    }
    panic!("turned away {COMES_BACK_MAX} times");
}

async fn play(
    prepare: &impl AsyncFn(&World, &Stage),
    untold: &[&str],
    acts: impl AsyncFn(&World, &Stage) -> [u16; 2],
) -> Met {
    let world = World::open().await;
    let (installation, resource) = world.customer(TEAM).await;
    let stage = Stage { installation, resource };
    prepare(&world, &stage).await;
    let statuses = acts(&world, &stage).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    let mut end = End::of(&world).await;
    end.leave_out_unanswered();
    for part in untold {
        end.leave_out(part);
    }
    world.close().await;
    Met { statuses, end }
}

async fn meet(
    prepare: impl AsyncFn(&World, &Stage),
    first: impl AsyncFn(&World, &Stage) -> Got,
    second: impl AsyncFn(&World, &Stage) -> Got,
    untold: &[&str],
) {
    let orderly = [
        play(&prepare, untold, async |world, stage| {
            let one = persistent(world, stage, &first).await;
            [one, persistent(world, stage, &second).await]
        })
        .await,
        play(&prepare, untold, async |world, stage| {
            let two = persistent(world, stage, &second).await;
            [persistent(world, stage, &first).await, two]
        })
        .await,
    ];
    for _ in 0..MEETINGS {
        let met = play(&prepare, untold, async |world, stage| {
            join(persistent(world, stage, &first), persistent(world, stage, &second)).await.into()
        })
        .await;
        let differs = |order: &Met| {
            let difference = order.end.difference(&met.end).unwrap_or_default();
            (order.statuses != met.statuses || !difference.is_empty())
                .then(|| format!("{:?}:\n{difference}", order.statuses))
        };
        if let [Some(one), Some(other)] = orderly.each_ref().map(differs) {
            panic!(
                "answered {:?}; it ends differently from one order, answered {one}\n… and from the other, answered {other}",
                met.statuses
            );
        }
    }
}

/// The second joins the first, or comes too late for a period of its own: there is one invoice, and who was promised one
/// was promised this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_closes() {
    for _ in 0..3 * MEETINGS {
        let world = World::open().await;
        let (installation, resource) = world.customer(TEAM).await;
        let stage = Stage { installation, resource };
        ten_days(&world, &stage).await;
        let (one, other) = join(close(&world, &stage), another_close(&world, &stage)).await;
        let promised: Vec<&Got> = [&one, &other].into_iter().filter(|got| got.status == 202).collect();
        assert!(!promised.is_empty(), "{one:?} {other:?}");
        assert!(promised.iter().all(|got| got.body == promised[0].body), "{promised:?}");
        assert!([&one, &other].iter().all(|got| [202, 409].contains(&got.status)), "{one:?} {other:?}");
        world.advance("2h").await;
        assert_eq!(world.invoices(&stage.installation).await.len(), 1);
        world.close().await;
    }
}

/// However they meet, the ten days are billed once. Whose close was begun and became the last is told to come back, and
/// is answered by the scheduler's; everybody else is told the same when asking again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_and_an_uninstall() {
    for _ in 0..3 * MEETINGS {
        let world = World::open().await;
        let (installation, resource) = world.customer(TEAM).await;
        let stage = Stage { installation, resource };
        ten_days(&world, &stage).await;
        let (closed, ()) = join(close(&world, &stage), world.uninstall(&stage.installation)).await;
        world.advance("7h").await;
        run_invoices(&world, &stage).await.expect(200);
        let again = close(&world, &stage).await;
        if is_turned_away(&closed) {
            again.expect(202);
        } else {
            assert!([202, 409].contains(&closed.status), "{closed:?}");
            assert_eq!((again.status, &again.body), (closed.status, &closed.body));
        }
        world.advance("3h").await;
        let invoices = world.invoices(&stage.installation).await;
        let billed: Vec<_> = invoices.iter().map(|invoice| invoice["total"].as_str()).collect();
        assert_eq!(billed, [Some("6.45")], "{closed:?}");
        for _ in 0..3 {
            world.sweep().await;
        }
        world.close().await;
    }
}
