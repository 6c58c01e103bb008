//! What a partner system settles: invoices that Vercel refused or may not have, effects that do not go.

use serde_json::{Value, json};
use tradepost_provider::effects::Effect;
use tradepost_provider::ledger::Account;
use tradepost_provider::outbox::Reason;
use tradepost_provider::state::{InstallationStatus, InvoicePhase, LedgerEntry};

use crate::world::got::{Got, text};
use crate::world::partner::effects;
use crate::world::{FREE, TEAM, World};
use crate::{FEBRUARY_CLOSES, JANUARY_CLOSES, balance, bill, bills, paid};

async fn settle(world: &World, installation: &str, number: u32, mut data: Value) -> Got {
    data["invoiceId"] = json!(format!("{installation}.i{number}"));
    world.partner("invoice.settle", "/partner/invoices", installation, data).await
}

async fn settle_effect(world: &World, installation: &str, effect: &str, mut data: Value) -> Got {
    data["effectId"] = json!(effect);
    world.partner("effect.settle", "/partner/invoices", installation, data).await
}

/// What waits, as (id, kind, status, reason).
async fn waiting(world: &World, installation: &str) -> Vec<(String, String, String, String)> {
    let data = json!({ "waiting": true });
    let got = world.partner("effects.query", "/partner/effects/query", installation, data).await.expect(200);
    let rows = got.body["waiting"].as_array().unwrap().iter();
    let reason = |row: &Value| row["reason"].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row["id"]), text(&row["kind"]), text(&row["status"]), reason(row))).collect()
}

/// January is submitted, and comes to nothing the way that the fault says.
async fn january_fails(world: &World, fault: Value) {
    world.advance_to(JANUARY_CLOSES).await;
    let path = "*/billing/invoices";
    world.vercel_fails(json!([{ "match": { "method": "POST", "path": path }, "fault": fault, "times": 1 }])).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
}

fn status(status: u16) -> Value {
    json!({ "kind": "status", "status": status })
}

#[tokio::test]
async fn an_invoice_that_is_given_up_is_written_off_and_lets_the_next_one_go() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    january_fails(&world, status(409)).await;
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Unknown);
    world.advance_to(FEBRUARY_CLOSES).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    let held = waiting(&world, &installation).await;
    let (kind, pending) = ("submit_invoice".to_owned(), "pending".to_owned());
    assert_eq!(held[0], (held[0].0.clone(), kind.clone(), pending.clone(), "unknown".to_owned()));
    assert_eq!(held[1], (held[1].0.clone(), kind, pending, String::new()));
    // Nothing is settled that is not stuck, and nothing without a word why.
    for (number, data, status, code) in [
        (1, json!({ "outcome": "abandon" }), 400, "validation_error"),
        (1, json!({ "outcome": "abandon", "reason": " " }), 400, "validation_error"),
        (1, json!({ "outcome": "abandon", "reason": "x".repeat(161) }), 400, "validation_error"),
        (1, json!({ "outcome": "resubmit", "reason": "x" }), 400, "validation_error"),
        (1, json!({ "outcome": "submitted" }), 400, "validation_error"),
        (1, json!({ "outcome": "retry" }), 400, "validation_error"),
        (2, json!({ "outcome": "abandon", "reason": "x" }), 409, "conflict"),
        (3, json!({ "outcome": "abandon", "reason": "x" }), 404, "not_found"),
    ] {
        settle(&world, &installation, number, data).await.is_problem(status, code);
    }
    let abandon = json!({ "effectId": held[1].0, "outcome": "abandon", "reason": "x" });
    world.partner("effect.settle", "/partner/invoices", &installation, abandon).await.is_problem(409, "conflict");
    let data = json!({ "invoiceId": format!("{installation}.i1"), "outcome": "abandon", "reason": "billed by hand" });
    let call = world.partner_call("invoice.settle", "/partner/invoices", &installation, &data);
    let got = world.send_partner(&call).await.expect(202);
    assert_eq!(effects(&got), [held[0].0.clone()]);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("abandoned".to_owned(), 0)]);
    assert_eq!(waiting(&world, &installation).await, [], "what was behind it went at once");
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "pending")], "February's");
    // Said once and twice is the same.
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    settle(&world, &installation, 1, json!({ "outcome": "resubmit" })).await.is_problem(409, "conflict");
    let query = json!({ "invoiceId": format!("{installation}.i1") });
    let shown = world.partner("invoice.query", "/partner/invoices/query", &installation, query).await.expect(200).body;
    assert_eq!((&shown["state"], &shown["abandoned"]), (&json!("abandoned"), &json!("billed by hand")));
    paid(&world).await;
    for (account, amount) in [
        (Account::WriteOff, "20.00"),
        (Account::Settled, "20.00"),
        (Account::Receivable, "0.00"),
        (Account::Revenue, "-40.00"),
    ] {
        assert_eq!(balance(&world, &installation, account).await, amount, "{account}");
    }
    let entries = world.records::<LedgerEntry>(&installation, "J#abandoned-").await;
    assert_eq!(entries[0].entry.memo, format!("written off: invoice {installation}.i1: billed by hand"));
    world.close().await;
}

/// A person was wrong: Vercel has it, as its webhook says. What was written off counts again.
#[tokio::test]
async fn an_invoice_that_was_given_up_and_is_at_vercel_counts_again() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    january_fails(&world, json!("reset_after")).await;
    settle(&world, &installation, 1, json!({ "outcome": "abandon", "reason": "a guess" })).await.expect(202);
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Abandoned);
    assert_eq!(balance(&world, &installation, Account::WriteOff).await, "20.00");
    paid(&world).await;
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, &stored.abandoned), (InvoicePhase::Paid, &None));
    assert_eq!(balance(&world, &installation, Account::WriteOff).await, "0.00");
    assert_eq!(balance(&world, &installation, Account::Settled).await, "20.00");
    world.close().await;
}

#[tokio::test]
async fn an_invoice_that_vercel_refused_is_submitted_again() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    january_fails(&world, status(404)).await;
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Rejected);
    assert_eq!(waiting(&world, &installation).await[0].2, "dead");
    world.sweep().await;
    assert_eq!(bills(&world, &installation).await, [], "it does not go by itself");
    let got = settle(&world, &installation, 1, json!({ "outcome": "resubmit" })).await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Submitted);
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "pending")]);
    paid(&world).await;
    world.close().await;
}

/// The word of a person is not enough: Vercel is asked for the invoice, and what it says is booked.
#[tokio::test]
async fn an_invoice_is_declared_submitted_by_vercels_id_of_it() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    january_fails(&world, json!("reset_after")).await;
    let vercel_id = text(&world.invoices(&installation).await[0]["invoiceId"]);
    let say = |id: &str| json!({ "outcome": "submitted", "vercelInvoiceId": id });
    settle(&world, &installation, 1, say("mi_of_nobody")).await.is_problem(422, "unprocessable");
    let down = json!([{ "match": { "method": "GET", "path": "*/billing/invoices/*" }, "fault": status(500) }]);
    world.vercel_fails(down).await;
    settle(&world, &installation, 1, say(&vercel_id)).await.is_problem(503, "unavailable");
    world.vercel_heals().await;
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Unknown);
    let got = settle(&world, &installation, 1, say(&vercel_id)).await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, json!(stored.vercel_id)), (InvoicePhase::Submitted, json!(vercel_id)));
    assert_eq!(balance(&world, &installation, Account::Receivable).await, "20.00");
    settle(&world, &installation, 1, say(&vercel_id)).await.is_problem(409, "conflict");
    paid(&world).await;
    world.close().await;
}

/// Another invoice of the same customer is not this one.
#[tokio::test]
async fn an_invoice_is_not_declared_to_be_another_one() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    paid(&world).await;
    let other = text(&world.invoices(&installation).await[0]["invoiceId"]);
    world.advance_to(FEBRUARY_CLOSES).await;
    let path = "*/billing/invoices";
    let fault = json!([{ "match": { "method": "POST", "path": path }, "fault": status(409), "times": 1 }]);
    world.vercel_fails(fault).await;
    world.cron("/cron/invoices").await;
    let data = json!({ "outcome": "submitted", "vercelInvoiceId": other });
    settle(&world, &installation, 2, data).await.is_problem(422, "unprocessable");
    settle(&world, &installation, 2, json!({ "outcome": "resubmit" })).await.expect(202);
    paid(&world).await;
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "paid"), bill("20.00", "paid")]);
    world.close().await;
}

/// What is neither invoice nor in the money lane: tried again, or given up.
#[tokio::test]
async fn dead_effects_are_tried_again_or_given_up() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let refuse = async || {
        let fault = json!([{ "match": { "path": "*/events" }, "fault": status(400), "times": 1 }]);
        world.vercel_fails(fault).await;
        let data = json!({ "resourceId": id, "name": "renamed" });
        effects(&world.partner("resource.updated", "/partner/events", &installation, data).await.expect(202)).remove(0)
    };
    let dead = refuse().await;
    let held = waiting(&world, &installation).await;
    assert_eq!((held.len(), &held[0].0, held[0].2.as_str()), (1, &dead, "dead"));
    settle_effect(&world, &installation, &dead, json!({ "outcome": "submitted" }))
        .await
        .is_problem(400, "validation_error");
    settle_effect(&world, &installation, "no id", json!({ "outcome": "retry" })).await.is_problem(404, "not_found");
    let got = settle_effect(&world, &installation, &dead, json!({ "outcome": "retry" })).await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    assert_eq!(waiting(&world, &installation).await, []);
    settle_effect(&world, &installation, &dead, json!({ "outcome": "retry" })).await.is_problem(404, "not_found");
    let dead = refuse().await;
    let give_up = json!({ "outcome": "abandon", "reason": "told by telephone" });
    settle_effect(&world, &installation, &dead, give_up).await.expect(202);
    assert_eq!(world.fates(&installation, &[dead]).await, [("abandoned".to_owned(), 1)]);
    assert_eq!(waiting(&world, &installation).await, []);
    world.close().await;
}

/// News that fail again and again need not wait for their time: they are tried at once, or given up.
#[tokio::test]
async fn an_effect_that_waits_is_tried_at_once_or_given_up() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let rename = async |name: &str| {
        let data = json!({ "resourceId": id, "name": name });
        effects(&world.partner("resource.updated", "/partner/events", &installation, data).await.expect(202)).remove(0)
    };
    let down = json!([{ "match": { "path": "*/events" }, "fault": status(500) }]);
    world.vercel_fails(down.clone()).await;
    let waits = rename("first").await;
    assert_eq!(world.fates(&installation, std::slice::from_ref(&waits)).await, [("pending".to_owned(), 1)]);
    // Not another one of its place.
    let other = waits.rsplit_once('/').map(|(place, _)| format!("{place}/99")).unwrap();
    settle_effect(&world, &installation, &other, json!({ "outcome": "retry" })).await.is_problem(404, "not_found");
    world.vercel_heals().await;
    settle_effect(&world, &installation, &waits, json!({ "outcome": "retry" })).await.expect(202);
    assert_eq!(world.resource(&installation, &id).await["name"], "first");
    assert_eq!(waiting(&world, &installation).await, []);
    world.vercel_fails(down).await;
    let waits = rename("second").await;
    let give_up = json!({ "outcome": "abandon", "reason": "told by telephone" });
    settle_effect(&world, &installation, &waits, give_up.clone()).await.expect(202);
    world.vercel_heals().await;
    assert_eq!(waiting(&world, &installation).await, []);
    assert_eq!(world.fates(&installation, std::slice::from_ref(&waits)).await, [("abandoned".to_owned(), 1)]);
    let kept = world.records::<Effect>(&installation, "Q#").await;
    let [kept] = kept.as_slice() else { panic!("{kept:#?}") };
    assert_eq!((kept.abandoned, kept.ended_at), (true, Some(world.now())), "to be forgotten in time");
    assert_eq!(kept.last_failure, Some(Reason::said("told by telephone")));
    // Given up is given up.
    for outcome in [json!({ "outcome": "retry" }), give_up] {
        settle_effect(&world, &installation, &waits, outcome).await.is_problem(404, "not_found");
    }
    world.sweep().await;
    assert_eq!(world.resource(&installation, &id).await["name"], "first");
    world.close().await;
}

/// A dead letter that is tried again is alive, also if that fails in passing.
#[tokio::test]
async fn a_dead_invoice_that_is_resubmitted_waits_like_any_other() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    january_fails(&world, status(404)).await;
    let effect = async || world.records::<Effect>(&installation, "E#money").await.remove(0).item;
    let dead = effect().await;
    assert!(dead.dead && dead.ended_at.is_some(), "{dead:?}");
    let down = json!([{ "match": { "method": "POST", "path": "*/billing/invoices" }, "fault": status(500) }]);
    world.vercel_fails(down).await;
    settle(&world, &installation, 1, json!({ "outcome": "resubmit" })).await.expect(202);
    let again = effect().await;
    assert_eq!((again.dead, again.ended_at), (false, None));
    world.vercel_heals().await;
    world.sweep().await;
    paid(&world).await;
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "paid")]);
    world.close().await;
}

/// An effect that nobody has tried yet is not settled: it may still go by itself.
#[tokio::test]
async fn what_was_not_tried_is_not_settled() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.die_after(1);
    let data = json!({ "resourceId": id, "name": "renamed" });
    let call = world.partner_call("resource.updated", "/partner/events", &installation, &data);
    world.send_partner(&call).await;
    world.revive_after(0).await;
    let owed = effects(&world.send_partner(&call).await.expect(202)).remove(0);
    assert_eq!(world.fates(&installation, std::slice::from_ref(&owed)).await, [("pending".to_owned(), 0)]);
    settle_effect(&world, &installation, &owed, json!({ "outcome": "retry" })).await.is_problem(409, "conflict");
    world.revive_after(60).await;
    world.sweep().await;
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    world.close().await;
}

/// The end of an installation that Vercel refuses is given up: nothing more is owed for it.
#[tokio::test]
async fn a_finalization_that_vercel_refuses_is_given_up() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance("10d").await;
    world.uninstall(&installation).await;
    world.answered().await;
    world.advance("6h").await;
    let finalize = json!([{ "match": { "path": "*/billing/finalize" }, "fault": status(400), "times": 1 }]);
    world.vercel_fails(finalize).await;
    world.cron("/cron/invoices").await;
    let held = waiting(&world, &installation).await;
    assert_eq!((held[0].1.as_str(), held[0].2.as_str()), ("finalize_installation", "dead"));
    let give_up = json!({ "outcome": "abandon", "reason": "removed by Vercel's support" });
    settle_effect(&world, &installation, &held[0].0, give_up).await.expect(202);
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    world.close().await;
}
