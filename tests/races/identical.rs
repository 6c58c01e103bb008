//! The same request, a hundred times at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use crate::world::World;
use crate::world::acts::{
    Stage, a_doubtful_invoice, a_month_of_scale, a_paid_invoice, a_refused_invoice, adjust, at_the_end,
    at_the_next_month, at_the_second_day, change_installation, close, dead_news, declare_submitted, delete, expire,
    give_up, hear_of_removal, hear_of_the_invoice, install, install_first, invoiced, nothing, owed_news, provision,
    push, refund, rename, report, report_late, rotate, rotate_for_partner, rotated, run_invoices, some_usage,
    submit_again, sweep_now, tell, tell_installation, ten_days, try_again, uninstall,
};
use crate::world::doubts::{
    denied, denied_in_january, held, refund_unheard, refund_unheard_for_long, rotation_answered, settle_installation,
    settle_refund, settle_resource, two_periods_at_the_end, uninstall_answered,
};
use crate::world::end::End;
use crate::world::got::Got;
use crate::{AT_ONCE, is_turned_away, routes};

macro_rules! races {
    ($($name:ident: $route:literal, $prepare:ident, $act:ident;)+) => {
        /// The routes that stand in the table, each as often as it has rows.
        const RACED: &[&str] = &[$($route),+];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                race($route, $prepare, $act).await;
            }
        )+
    };
}

races! {
    a_first_install: "PUT /installations/{installation}", nothing, install_first;
    an_install: "PUT /installations/{installation}", nothing, install;
    a_change_of_the_installation: "PATCH /installations/{installation}", nothing, change_installation;
    an_uninstall: "DELETE /installations/{installation}", nothing, uninstall;
    a_provision: "POST /installations/{installation}/resources", nothing, provision;
    a_change: "PATCH /installations/{installation}/resources/{resource}", nothing, rename;
    a_delete: "DELETE /installations/{installation}/resources/{resource}", nothing, delete;
    a_rotation: "POST /installations/{installation}/resources/{resource}/secrets/rotate", nothing, rotate;
    the_webhook_of_an_invoice: "POST /webhooks/vercel", invoiced, hear_of_the_invoice;
    the_webhook_of_a_removal: "POST /webhooks/vercel", nothing, hear_of_removal;
    an_event: "POST /partner/events", nothing, tell;
    an_event_of_the_installation: "POST /partner/events", nothing, tell_installation;
    a_report_of_the_provisioner: "POST /partner/provisioner/reports", nothing, report;
    a_batch_of_usage: "POST /partner/usage", nothing, some_usage;
    a_late_batch_of_usage: "POST /partner/usage", a_month_of_scale, report_late;
    an_adjustment: "POST /partner/invoices", nothing, adjust;
    a_close_on_demand: "POST /partner/invoices", ten_days, close;
    an_invoice_given_up: "POST /partner/invoices", a_doubtful_invoice, give_up;
    an_invoice_submitted_again: "POST /partner/invoices", a_refused_invoice, submit_again;
    an_invoice_declared_submitted: "POST /partner/invoices", a_doubtful_invoice, declare_submitted;
    a_dead_letter_tried_again: "POST /partner/invoices", dead_news, try_again;
    a_resource_settled: "POST /partner/invoices", denied, settle_resource;
    an_installation_settled: "POST /partner/invoices", held, settle_installation;
    a_refund_settled: "POST /partner/invoices", refund_unheard, settle_refund;
    a_refund: "POST /partner/invoices/{invoice}/refund", a_paid_invoice, refund;
    a_rotation_for_a_partner: "POST /partner/resources/{resource}/secrets", nothing, rotate_for_partner;
    the_hourly_push: "GET /cron/billing", at_the_second_day, push;
    a_close_by_the_scheduler: "GET /cron/invoices", at_the_next_month, run_invoices;
    the_end: "GET /cron/invoices", at_the_end, run_invoices;
    the_expiry_of_old_secrets: "GET /cron/secrets", rotated, expire;
    the_end_of_two_periods: "GET /cron/invoices", two_periods_at_the_end, run_invoices;
    a_close_that_catches_up: "GET /cron/invoices", denied_in_january, run_invoices;
    a_sweep: "GET /cron/outbox", owed_news, sweep_now;
    a_release: "GET /cron/outbox", uninstall_answered, sweep_now;
    a_look_at_a_refund: "GET /cron/outbox", refund_unheard_for_long, sweep_now;
    the_secrets_of_a_rotation: "GET /cron/outbox", rotation_answered, sweep_now;
}

/// In tests of their own ([`crate::people`]): what they give is drawn, and cannot be compared.
const OF_PEOPLE: [&str; 2] = ["GET /callback", "POST /partner/sessions/redeem"];

/// These write nothing.
const READS: [&str; 8] = [
    "GET /installation",
    "GET /installations/{installation}",
    "GET /installations/{installation}/plans",
    "GET /installations/{installation}/resources/{resource}",
    "GET /installations/{installation}/resources/{resource}/plans",
    "GET /products/{product}/plans",
    "POST /partner/effects/query",
    "POST /partner/invoices/query",
];

/// What a story came to.
struct Played {
    answers: Vec<Got>,
    /// The calls that change something at Vercel from the act on, and the provisioner's orders, sorted.
    told: Vec<String>,
    end: End,
}

/// Plays the act so many times at once, in a world of its own.
async fn play(
    times: usize,
    prepare: &impl AsyncFn(&World, &Stage),
    act: &impl AsyncFn(&World, &Stage) -> Got,
) -> Played {
    let world = World::open().await;
    let (installation, resource) = world.customer(crate::world::TEAM).await;
    let stage = Stage { installation, resource };
    prepare(&world, &stage).await;
    let (mark, ordered) = (world.mark().await, world.provisioner.orders().len());
    let answers = join_all((0..times).map(|_| act(&world, &stage))).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    // A look changes nothing: each may look for itself.
    let changes = |call: &String| !call.starts_with("GET ");
    let mut told: Vec<String> = world.calls_since(mark).await.into_iter().filter(changes).collect();
    told.extend(world.provisioner.orders().drain(ordered..).map(|order| order.to_string()));
    told.sort();
    let end = End::of(&world).await;
    world.close().await;
    Played { answers, told, end }
}

async fn race(route: &str, prepare: impl AsyncFn(&World, &Stage), act: impl AsyncFn(&World, &Stage) -> Got) {
    let calm = play(1, &prepare, &act).await;
    let raced = play(AT_ONCE, &prepare, &act).await;
    let once = &calm.answers[0];
    assert!((200..300).contains(&once.status), "{once:?}");
    // The scheduler is told what each run did: they do not do the same.
    let is_run = route.contains("/cron/");
    let mut turned_away = 0;
    for got in &raced.answers {
        if is_turned_away(got) {
            turned_away += 1;
            continue;
        }
        let body = if is_run { &got.body } else { &once.body };
        assert_eq!((got.status, &got.body), (once.status, body), "{got:?}");
    }
    assert!(turned_away < AT_ONCE, "nobody was let through");
    assert_eq!(raced.told, calm.told, "what Vercel and the provisioner were told");
    if let Some(difference) = calm.end.difference(&raced.end) {
        panic!("{AT_ONCE} at once end differently from one:\n{difference}");
    }
}

#[test]
fn every_route_that_writes_is_raced() {
    let listed: BTreeSet<&str> = RACED.iter().copied().chain(OF_PEOPLE).chain(READS).collect();
    let mut known = BTreeSet::new();
    for route in routes::all() {
        let path = route.path.strip_prefix("/v1/integrations/marketplace").or(route.path.strip_prefix("/v1"));
        let path = path.unwrap_or(&route.path);
        if path.starts_with("/health/") {
            continue;
        }
        // The queue's way of running what the scheduler runs.
        for method in route.methods.iter().filter(|method| !(route.is_scheduled() && *method == "POST")) {
            known.insert(format!("{method} {path}"));
        }
    }
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(listed, known, "the tables, and the routes that there are");
}
