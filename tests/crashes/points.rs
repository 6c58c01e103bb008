//! Every call to the outside is a crash point, before and after it.
//!
//! An act is played once undisturbed, which counts its calls at the doors: store, Vercel, provisioner. Then once for
//! each call and each side of it, in a world of its own: there the provider dies, whatever it was doing is dropped,
//! it is started anew with nothing in memory once its leases are over, the caller repeats, the sweeper runs. The
//! ends must be equal: our table, Vercel's state and the provisioner's, as far as an outsider could tell.
//!
//! Adding a flow is one line of [`crash_points`]. How many points each has goes into files of
//! `target/tmp/crash-points`, which CI prints.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use tradepost_marketplace::client::Call;
use tradepost_marketplace::wire::MarketplaceEvent;
use tradepost_provider::Provider;
use tradepost_provider::state::installation::TOKEN_FIELD;
use tradepost_provider::state::{Installation, Resource};
use tradepost_store::Write;

use crate::LATER;
use crate::world::acts::{
    Stage, a_doubtful_invoice, a_month_of_scale, a_paid_invoice, a_refused_invoice, adjust, at_the_end,
    at_the_next_month, at_the_second_day, buy, close, dead_news, declare_submitted, delete, expire, forgotten_fences,
    give_up, gone, install, invoiced, nothing, push, refund, rename, report_late, rotate, rotated, run_invoices,
    run_outbox, some_usage, submit_again, tell, ten_days, try_again, two_hours_pass, uninstall, unknown_to_vercel,
};
use crate::world::doubts::{
    answered_gone, denied, denied_in_january, held, refund_unheard, refund_unheard_for_long, rotation_answered,
    settle_installation, settle_refund, settle_resource, two_periods_at_the_end, uninstall_answered,
};
use crate::world::end::End;
use crate::world::got::Got;
use crate::world::mortal::{Point, Side};
use crate::world::table::{installation_id, resource_id};
use crate::world::{Setup, World};

macro_rules! crash_points {
    ($($name:ident: $prepare:ident, $act:ident;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                at_every_point(stringify!($name), $prepare, $act).await;
            }
        )+
    };
}

crash_points! {
    an_install: nothing, install;
    a_provision: nothing, buy;
    a_change: nothing, rename;
    a_rotation: nothing, rotate;
    the_expiry_of_old_secrets: rotated, expire;
    a_delete: nothing, delete;
    an_uninstall: nothing, uninstall;
    a_batch_of_usage: nothing, some_usage;
    a_late_batch_of_usage: a_month_of_scale, report_late;
    an_event: nothing, tell;
    an_adjustment: nothing, adjust;
    a_close_by_the_scheduler: at_the_next_month, run_invoices;
    a_close_on_demand: ten_days, close;
    the_end: at_the_end, run_invoices;
    a_refund: a_paid_invoice, refund;
    the_webhooks_of_an_invoice: invoiced, two_hours_pass;
    the_hourly_push: at_the_second_day, push;
    an_invoice_given_up: a_doubtful_invoice, give_up;
    an_invoice_submitted_again: a_refused_invoice, submit_again;
    an_invoice_declared_submitted: a_doubtful_invoice, declare_submitted;
    a_release_after_a_restore: forgotten_fences, uninstall;
    an_end_that_nobody_hears_of: gone, run_invoices;
    a_dead_letter_tried_again: dead_news, try_again;
    a_resource_taken_back: unknown_to_vercel, run_outbox;
    the_secrets_of_a_rotation: rotation_answered, run_outbox;
    a_release: uninstall_answered, run_outbox;
    the_end_of_two_periods: two_periods_at_the_end, run_invoices;
    a_resource_settled: denied, settle_resource;
    a_close_that_catches_up: denied_in_january, run_invoices;
    a_push_that_hears_of_the_end: answered_gone, push;
    an_installation_settled: held, settle_installation;
    a_refund_settled: refund_unheard, settle_refund;
    a_look_at_a_refund: refund_unheard_for_long, run_outbox;
}

async fn at_every_point(name: &str, prepare: impl AsyncFn(&World, &Stage), act: impl AsyncFn(&World, &Stage) -> Got) {
    let (calm, calls, _) = play(None, &prepare, &act).await;
    assert!(calls > 0, "the act calls nobody");
    for call in 0..calls {
        for side in [Side::Before, Side::After] {
            let point = Point { call, side };
            let (end, _, died) = play(Some(point), &prepare, &act).await;
            assert!(died, "{name} has no {point:?}");
            if let Some(difference) = calm.difference(&end) {
                panic!("{name} ends differently after a death at {point:?}:\n{difference}");
            }
        }
    }
    count(name, calls * 2);
}

/// A flow that is wrong on purpose: it commits the new name, and then tells Vercel, which nobody owes any more after a
/// death in between.
async fn broken(State(provider): State<Provider>, Json(stage): Json<[String; 2]>) -> StatusCode {
    let (installation, resource) = (installation_id(&stage[0]), resource_id(&stage[1]));
    let stored = provider.store.get::<Resource>(&Resource::key_of(&installation, &resource)).await.unwrap().unwrap();
    if stored.name == "renamed" {
        return StatusCode::OK;
    }
    let mut renamed = stored.item.clone();
    "renamed".clone_into(&mut renamed.name);
    provider.store.commit(vec![Write::replace(&renamed, stored.version).unwrap()]).await.unwrap();
    let owner = provider.store.get::<Installation>(&Installation::key_of(&installation)).await.unwrap().unwrap();
    let token = provider.keys().unwrap().open(installation.as_str(), TOKEN_FIELD, &owner.token).await.unwrap();
    let deadline = provider.lease.now().after(jiff::SignedDuration::from_secs(20));
    let call = Call { token: &token, installation: &installation, deadline };
    let event = MarketplaceEvent::ResourceUpdated { resource_id: resource, product_id: None };
    provider.vercel().unwrap().create_event(&call, &event).await.unwrap();
    StatusCode::OK
}

#[tokio::test]
async fn a_flow_that_is_wrong_is_caught() {
    let act = async |world: &World, stage: &Stage| {
        let body = serde_json::json!([stage.installation, stage.resource]).to_string();
        let request = world.request(http::Method::POST, "/broken").header("content-type", "application/json");
        world.send(request, &body).await
    };
    let (calm, calls, _) = play(None, &nothing, &act).await;
    let mut caught = Vec::new();
    for call in 0..calls {
        for side in [Side::Before, Side::After] {
            let (end, ..) = play(Some(Point { call, side }), &nothing, &act).await;
            caught.extend(calm.difference(&end).map(|_| (call, side)));
        }
    }
    // It reads, commits, reads the token and tells: from the commit on until Vercel has heard it.
    assert_eq!(caught, [(1, Side::After), (2, Side::Before), (2, Side::After), (3, Side::Before)]);
}

/// Plays the act in a world of its own; the end, how many calls the act made, and whether it died.
async fn play(
    point: Option<Point>,
    prepare: &impl AsyncFn(&World, &Stage),
    act: &impl AsyncFn(&World, &Stage) -> Got,
) -> (End, u64, bool) {
    let extra = |provider: &Provider| Router::new().route("/broken", post(broken)).with_state(provider.clone());
    let world = World::with(Setup { extra: Some(extra), ..Setup::default() }).await;
    let (installation, resource) = world.customer(crate::world::TEAM).await;
    let stage = Stage { installation, resource };
    prepare(&world, &stage).await;
    world.mortal.arm(point);
    act(&world, &stage).await;
    let (calls, died) = (world.mortal.calls(), world.mortal.is_dead());
    world.start_anew(LATER);
    let repeat = act(&world, &stage).await;
    assert!((200..300).contains(&repeat.status), "the repeat after {point:?}: {repeat:?}");
    for _ in 0..3 {
        world.sweep().await;
    }
    let end = End::of(&world).await;
    world.close().await;
    (end, calls, died)
}

/// Keeps the number of points of a flow where CI prints it.
fn count(name: &str, points: u64) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-points");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), format!("{points}\n")).unwrap();
}
