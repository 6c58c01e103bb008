//! Uninstalls: the final invoice, and the end.

use serde_json::json;
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InstallationStatus, InvoicePhase};

use crate::world;
use crate::world::got::text;
use crate::world::{SCALE, Setup, TEAM, World};
use crate::{balance, bill, bills, line, lines, paid, pennies};

#[tokio::test]
async fn what_is_too_little_at_the_end_is_written_off() {
    let world = pennies().await;
    let (installation, id) = world.customer("pennies").await;
    world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "49")]).await.expect(200);
    world.advance("1d").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(world.calls_since(mark).await, ["POST billing/finalize ok"]);
    assert_eq!(bills(&world, &installation).await, []);
    assert_eq!(balance(&world, &installation, Account::WriteOff).await, "0.49");
    assert_eq!(balance(&world, &installation, Account::Carried).await, "0.00");
    assert_eq!(balance(&world, &installation, Account::Revenue).await, "-0.49");
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    assert_eq!(world.state(&installation).await["installations"][0]["life"], "finalized");
    world.close().await;
}

#[tokio::test]
async fn an_uninstall_ends_with_a_final_invoice_and_finalization() {
    let world = World::with(Setup { everything_twice: true, ..Setup::default() }).await;
    let (installation, id) = world.customer(SCALE).await;
    world.advance_to("2027-01-11T12:00:00Z").await;
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-11T00:00:00Z", "140000")]).await.expect(200);
    world.uninstall(&installation).await;
    world.answered().await;
    assert_eq!(world.local.provisioner.resources(), 0);
    // What was used before the end still counts for six hours; what claims to be after it does not.
    world.advance("5h").await;
    let readings =
        [(id.as_str(), "queries", "2027-01-11T11:59:59Z", "20000"), (&id, "queries", "2027-01-11T12:00:00Z", "1")];
    let got = world.report(&installation, "b2", &readings).await.expect(200);
    assert_eq!((&got.body["accepted"], &got.body["refused"][0]["reason"]), (&json!(1), &json!("no_plan")));
    assert_eq!(world.cron("/cron/invoices").await["closed"], 0);
    world.advance("1h").await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    let invoice = world.invoices(&installation).await.remove(0);
    assert_eq!(invoice["isFinal"], true);
    assert_eq!(invoice["period"], json!({ "start": world::BEGIN, "end": "2027-01-11T12:00:00Z" }));
    // 252 of 744 hours; 60,000 queries over the included.
    let wanted = [line("Scale plan", "5", "0.338709677", "1.69"), line("Queries", "0.000025", "60000", "1.50")];
    assert_eq!(lines(&invoice), wanted);
    let late = [(id.as_str(), "queries", "2027-01-11T11:00:00Z", "1")];
    world.report(&installation, "b3", &late).await.is_problem(409, "conflict");
    let state = async || text(&world.state(&installation).await["installations"][0]["life"]);
    assert_eq!(state().await, "uninstalling");
    paid(&world).await;
    assert_eq!((state().await.as_str(), bills(&world, &installation).await), ("finalized", vec![bill("3.19", "paid")]));
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Paid);
    assert_eq!(balance(&world, &installation, Account::Settled).await, "3.19");
    // Nothing more is pushed or closed.
    world.advance("1d").await;
    let mark = world.mark().await;
    for path in ["/cron/billing", "/cron/invoices", "/cron/outbox", "/cron/secrets"] {
        world.cron(path).await;
    }
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
    world.close().await;
}

/// The invoice can be read no more when we come to it: the token died with the last payment. What Vercel's signed
/// events said of it is booked, each fact.
#[tokio::test]
async fn what_happened_while_vercel_could_not_be_read_is_booked_in_the_end() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance("10d").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    world.cron("/cron/invoices").await;
    let down = json!({ "kind": "status", "status": 500 });
    world.vercel_fails(json!([{ "match": { "method": "GET", "path": "*/billing/invoices/*" }, "fault": down }])).await;
    paid(&world).await;
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, stored.booked_paid), (InvoicePhase::Submitted, false));
    assert_eq!(world.waiting(&installation).await.len(), 2, "what was sent, and what was paid");
    assert_eq!(world.state(&installation).await["installations"][0]["life"], "finalized");
    world.vercel_heals().await;
    world.sweep().await;
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Paid);
    assert_eq!(balance(&world, &installation, Account::Settled).await, "6.45");
    world.close().await;
}

/// The token died and finalizing says no more than 403: where nothing else is allowed either, there is nothing to end.
#[tokio::test]
async fn an_installation_that_is_gone_is_not_finalized_for_ever() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance("10d").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    let refused = |path: &str| {
        let fault = json!({ "kind": "status", "status": 403 });
        json!({ "match": { "path": path }, "fault": fault, "times": 1 })
    };
    // Trouble with this one call: the installation is there, so it waits.
    world.vercel_fails(json!([refused("*/billing/finalize")])).await;
    world.cron("/cron/invoices").await;
    assert_eq!(world.waiting(&installation).await, [("finalize_installation", 1, false)]);
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Settling);
    world.vercel_fails(json!([refused("*/billing/finalize"), refused("*/account")])).await;
    world.sweep().await;
    assert_eq!(world.waiting(&installation).await, []);
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    world.close().await;
}
