//! Two commands at once on one thing. However they meet, the end is one of those that are listed for the pair, each
//! with its reason, and both are answered as in that end. Who is turned away comes back, as Vercel and partner systems do.

use std::fmt::Write as _;

use futures_util::future::join;
use serde_json::json;

use crate::is_turned_away;
use crate::world::acts::{
    Stage, a_doubtful_invoice, a_paid_invoice, adjust, another_close, another_provision, another_refund,
    another_rotation, at_the_next_month, change_plan, close, declare_submitted, delete, expire, give_up,
    hear_of_removal, hear_of_the_invoice, install, invoiced, more_usage, nothing, owed_news, provision, refund, rename,
    report, rotate, rotate_for_partner, rotated, run_invoices, some_usage, sweep_now, tell, ten_days, uninstall,
};
use crate::world::doubts::uninstall_answered;
use crate::world::end::End;
use crate::world::got::Got;
use crate::world::{TEAM, World};

/// How often each pair meets: every time otherwise, since they run on threads of their own.
const MEETINGS: usize = 2;
/// How often one that is turned away comes back.
const COMES_BACK_MAX: usize = 10_000;

macro_rules! meetings {
    ($($name:ident: $prepare:ident, $first:ident, $second:ident => [$($way:ident, $reason:literal;)+];)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                meet($prepare, $first, $second, &[$((Way::$way, $reason)),+]).await;
            }
        )+
    };
}

/// A calm way to an end.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The first, then the second.
    InOrder,
    /// The second, then the first.
    Reversed,
    /// The first, then the second, and only then Vercel can be told of either.
    ToldLate,
    /// In order, but Vercel read the resources as in the reverse order: when it read, both commands were done. Listed
    /// after the two orders.
    ReadLate,
}

// Every legal end of every pair: a calm way to it, and why it is legal. No two ways listed end the same. Nothing is
// left out of the comparison: Vercel's `resources` are as it last read them, which it does when it is told of a change.
meetings! {
    a_plan_change_and_a_rotation: nothing, change_plan, rotate => [
        InOrder, "either order: each changes what the other leaves alone";
    ];
    a_plan_change_and_a_rename: nothing, change_plan, rename => [
        InOrder, "the rename is answered with the new plan";
        Reversed, "the plan change is answered with the new name";
    ];
    a_delete_and_a_rotation: nothing, delete, rotate => [
        InOrder, "deleted first, there is nothing left to rotate: 404";
        Reversed, "rotated, and deleted with its new secrets";
    ];
    a_change_and_a_delete: nothing, rename, delete => [
        InOrder, "renamed, and deleted by its new name";
        Reversed, "deleted first, there is nothing left to change: 404";
    ];
    two_rotations: nothing, rotate, another_rotation => [
        InOrder, "either order: two versions are made, and the answer names none";
    ];
    a_rotation_and_a_partners: nothing, rotate, rotate_for_partner => [
        InOrder, "Vercel's is version 2, the partner's 3";
        Reversed, "the partner's is version 2, Vercel's 3";
    ];
    a_partners_rotation_and_an_uninstall: nothing, rotate_for_partner, uninstall => [
        InOrder, "rotated, Vercel has the new secrets, and all is released";
        Reversed, "refused with 409: the uninstall was first, or overtook it at the provisioner";
        ToldLate, "rotated, and released before Vercel was handed the new secrets";
    ];
    an_expiry_and_a_rotation: rotated, expire, rotate_for_partner => [
        InOrder, "the old secrets expire, then new ones are made";
        Reversed, "new ones are made, then the old secrets expire";
    ];
    two_provisions: nothing, provision, another_provision => [
        InOrder, "either order: each makes a resource of its own";
    ];
    a_provision_and_an_uninstall: nothing, provision, uninstall => [
        InOrder, "made, and released once Vercel has its answer";
        Reversed, "refused with 409: the uninstall was first";
    ];
    a_change_and_an_uninstall: nothing, rename, uninstall => [
        InOrder, "renamed, and released by its new name";
        Reversed, "refused with 409: the uninstall was first, or overtook it at the provisioner";
    ];
    a_delete_and_an_uninstall: nothing, delete, uninstall => [
        InOrder, "either order: deleted, and nothing left to release once Vercel has its answer";
    ];
    a_delete_and_a_release: uninstall_answered, delete, sweep_now => [
        InOrder, "deleted, and nothing left to release";
        Reversed, "204: released before, or while the delete was at the provisioner";
    ];
    a_new_token_and_an_uninstall: nothing, install, uninstall => [
        InOrder, "the new token is taken, then the uninstall";
        Reversed, "refused with 409: the uninstall was first";
    ];
    an_uninstall_and_its_webhook: nothing, uninstall, hear_of_removal => [
        InOrder, "either order: whichever is second finds it done";
    ];
    an_event_and_a_change: nothing, tell, change_plan => [
        InOrder, "Vercel read the event before the change, and the change when it was told of it an hour later";
        Reversed, "the event came second: Vercel read both when it heard of it";
        ReadLate, "the event was first, and Vercel read when the change was there, too";
    ];
    a_report_and_a_change: nothing, report, rename => [
        InOrder, "the report was first: the rename is answered with its status";
        Reversed, "the rename was first";
        ReadLate, "the report was first, and Vercel read when the new name was there, too";
    ];
    an_event_and_a_sweep: owed_news, report, sweep_now => [
        InOrder, "the report finds the news still owed";
        Reversed, "the sweep delivered the news before";
    ];
    two_batches_of_usage: nothing, some_usage, more_usage => [
        InOrder, "either order: both count";
    ];
    usage_and_a_close: ten_days, some_usage, close => [
        InOrder, "either order: the reading counts, within what is included";
    ];
    usage_and_the_schedulers_close: at_the_next_month, more_usage, run_invoices => [
        InOrder, "either order: the reading counts, within what is included";
    ];
    usage_and_an_uninstall: nothing, some_usage, uninstall => [
        InOrder, "either order: the reading counts, within what is included";
    ];
    a_close_and_an_adjustment: ten_days, close, adjust => [
        InOrder, "the adjustment goes to the next invoice";
        Reversed, "the adjustment goes to this invoice";
    ];
    a_close_and_the_schedulers: at_the_next_month, close, run_invoices => [
        InOrder, "closed on demand, and nothing left for the scheduler";
        Reversed, "closed by the scheduler first";
    ];
    two_refunds: a_paid_invoice, refund, another_refund => [
        InOrder, "the first is asked for, the other is refused with 409";
        Reversed, "the other is asked for, the first is refused with 409";
    ];
    a_refund_and_an_uninstall: a_paid_invoice, refund, uninstall => [
        InOrder, "either order: one who leaves is refunded, too";
    ];
    a_webhook_and_a_close: invoiced, hear_of_the_invoice, close => [
        InOrder, "either order: the webhook is about the month before";
    ];
    two_ways_of_settling: a_doubtful_invoice, give_up, declare_submitted => [
        InOrder, "given up: there is nothing left to declare";
        Reversed, "declared submitted: there is nothing left to give up";
    ];
}

/// How it was answered, and how it ended.
struct Met {
    statuses: [u16; 2],
    end: End,
}

impl Met {
    /// What another has and this has not, and the reverse.
    fn difference(&self, other: &Self) -> Option<String> {
        let difference = self.end.difference(&other.end).unwrap_or_default();
        (self.statuses != other.statuses || !difference.is_empty()).then_some(difference)
    }
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

async fn play(prepare: &impl AsyncFn(&World, &Stage), acts: impl AsyncFn(&World, &Stage) -> [u16; 2]) -> Met {
    let world = World::open().await;
    let (installation, resource) = world.customer(TEAM).await;
    let stage = Stage { installation, resource };
    prepare(&world, &stage).await;
    let statuses = acts(&world, &stage).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    let end = End::of(&world).await;
    world.close().await;
    Met { statuses, end }
}

/// Both, on a calm way.
async fn calmly(
    way: Way,
    world: &World,
    stage: &Stage,
    first: &impl AsyncFn(&World, &Stage) -> Got,
    second: &impl AsyncFn(&World, &Stage) -> Got,
) -> [u16; 2] {
    match way {
        Way::InOrder | Way::ReadLate => {
            let one = persistent(world, stage, first).await;
            [one, persistent(world, stage, second).await]
        }
        Way::Reversed => {
            let two = persistent(world, stage, second).await;
            [persistent(world, stage, first).await, two]
        }
        Way::ToldLate => {
            let fault = json!({ "kind": "status", "status": 500 });
            world.vercel_fails(json!([{ "match": { "path": "*" }, "fault": fault }])).await;
            let one = persistent(world, stage, first).await;
            let two = persistent(world, stage, second).await;
            world.vercel_heals().await;
            [one, two]
        }
    }
}

async fn meet(
    prepare: impl AsyncFn(&World, &Stage),
    first: impl AsyncFn(&World, &Stage) -> Got,
    second: impl AsyncFn(&World, &Stage) -> Got,
    ends: &[(Way, &str)],
) {
    let mut legal: Vec<(Way, &str, Met)> = Vec::new();
    for (way, reason) in ends {
        let mut met = play(&prepare, async |world, stage| calmly(*way, world, stage, &first, &second).await).await;
        if let (Way::ReadLate, Some((.., reversed))) =
            (way, legal.iter().find(|(way, ..)| matches!(way, Way::Reversed)))
        {
            met.end.reads_like(&reversed.end);
        }
        if let Some((same, ..)) = legal.iter().find(|(.., known)| known.difference(&met).is_none()) {
            panic!("{way:?} ends like {same:?}: it is no end of its own");
        }
        legal.push((*way, reason, met));
    }
    for _ in 0..MEETINGS {
        let met = play(&prepare, async |world, stage| {
            join(persistent(world, stage, &first), persistent(world, stage, &second)).await.into()
        })
        .await;
        let mut report = String::new();
        let is_legal = legal.iter().any(|(way, reason, known)| {
            let difference = known.difference(&met);
            let of_it = difference.as_deref().unwrap_or_default();
            let _ = writeln!(report, "{way:?} ({reason}), answered {:?}:\n{of_it}", known.statuses);
            difference.is_none()
        });
        assert!(is_legal, "answered {:?}, an end that is not listed. It differs from\n{report}", met.statuses);
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
