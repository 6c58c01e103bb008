//! Invoices that Vercel refuses: for a plan that it had not read before the period was over.

use serde_json::json;
use tradepost_provider::state::InvoicePhase;

use crate::world::got::text;
use crate::world::{SCALE, TEAM, World};

/// Told of the plan after the period, Vercel never had it in that period: the same money goes out under the plan that
/// it has seen.
#[tokio::test]
async fn what_vercel_did_not_read_in_time_is_billed_under_the_plan_it_knows() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-01-11T00:00:00Z").await;
    world
        .vercel_fails(json!([{ "match": { "path": "*/events" }, "fault": { "kind": "status", "status": 500 } }]))
        .await;
    let event = json!({ "resourceId": id, "planId": SCALE });
    world.partner("resource.updated", "/partner/events", &installation, event).await.expect(202);
    world.advance("10d").await;
    world.partner("invoice.close", "/partner/invoices", &installation, json!({})).await.expect(202);
    let total = world.stored_invoice(&installation, 1).await.total;
    assert_eq!(world.invoices(&installation).await.len(), 0, "refused");
    world.sweep().await;
    assert_eq!(world.invoices(&installation).await.len(), 0, "news are on their way: it waits for them");
    for _ in 0..2 {
        world.sweep().await;
    }
    world.vercel_heals().await;
    let invoices = world.invoices(&installation).await;
    let [invoice] = invoices.as_slice() else { panic!("{invoices:#?}") };
    assert_eq!(text(&invoice["total"]), total.to_string());
    for line in invoice["items"].as_array().unwrap() {
        assert_eq!((text(&line["billingPlanId"]).as_str(), line.get("resourceId")), (TEAM, None), "{line}");
        assert!(text(&line["details"]).ends_with(&format!(" on {id}")), "{line}");
    }
    let stored = world.stored_invoice(&installation, 1).await;
    assert!(stored.phase != InvoicePhase::Rejected && stored.refused.unwrap().is_revised, "{stored:?}");
    world.advance("2h").await;
    world.sweep().await;
    assert_eq!(world.resource(&installation, &id).await["billingPlan"]["id"], SCALE);
    world.close().await;
}

/// Also what is of no resource: an adjustment was put under the last plan, which Vercel has not seen. A final invoice
/// has a day to get through.
#[tokio::test]
async fn a_final_invoice_with_an_adjustment_goes_out_under_a_plan_that_vercel_knows() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-01-11T00:00:00Z").await;
    let down = json!([{ "match": { "path": "*/events" }, "fault": { "kind": "status", "status": 500 } }]);
    world.vercel_fails(down).await;
    let event = json!({ "resourceId": id, "planId": SCALE });
    world.partner("resource.updated", "/partner/events", &installation, event).await.expect(202);
    let adjustment = json!({ "lines": [{ "name": "set-up", "amount": "7.00" }] });
    world.partner("invoice.adjust", "/partner/invoices", &installation, adjustment).await.expect(202);
    world.advance("1h").await;
    world.uninstall(&installation).await;
    world.vercel_heals().await;
    world.advance("6h").await;
    world.cron("/cron/invoices").await;
    assert_eq!(world.invoices(&installation).await.len(), 0, "refused");
    for _ in 0..3 {
        world.sweep().await;
    }
    let invoices = world.invoices(&installation).await;
    let [invoice] = invoices.as_slice() else { panic!("{invoices:#?}") };
    let lines = invoice["items"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["name"] == "set-up" && line["total"] == "7.00"), "{invoice:#}");
    assert!(lines.iter().all(|line| line["billingPlanId"] == TEAM), "{invoice:#}");
    world.advance("1d").await;
    world.cron("/cron/invoices").await;
    world.sweep().await;
    world.close().await;
}

/// What Vercel does not take under any plan is a dead letter, a day later.
#[tokio::test]
async fn what_is_refused_for_a_day_is_a_dead_letter() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-02-01T06:05:00Z").await;
    let path = "*/billing/invoices";
    let fault = json!({ "kind": "status", "status": 400 });
    world.vercel_fails(json!([{ "match": { "method": "POST", "path": path }, "fault": fault }])).await;
    world.cron("/cron/invoices").await;
    for _ in 0..24 {
        world.sweep().await;
    }
    let phase = async || world.stored_invoice(&installation, 1).await.phase;
    assert_eq!(phase().await, InvoicePhase::Submitting);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(phase().await, InvoicePhase::Rejected);
    world.close_leaving(&["submit_invoice"]).await;
}

/// A gateway between us and Vercel answers for hours: an invoice was dead at once. It waits, and is submitted once.
#[tokio::test]
async fn a_gateways_answer_refuses_no_invoice() {
    for status in [301, 308, 400, 403, 404, 422] {
        let world = World::open().await;
        let (installation, _) = world.customer(TEAM).await;
        let fault = json!({ "kind": "foreign", "status": status });
        world.vercel_fails(json!([{ "match": { "path": "*/invoices" }, "fault": fault }])).await;
        world.advance_to("2027-02-01T06:05:00Z").await;
        world.cron("/cron/invoices").await;
        for _ in 0..4 {
            world.sweep().await;
            assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Submitting, "{status}");
        }
        assert!(world.vercel_heals().await[0] > 2);
        for _ in 0..2 {
            world.sweep().await;
        }
        let invoices = world.invoices(&installation).await;
        assert_eq!(invoices.iter().map(|invoice| text(&invoice["total"])).collect::<Vec<_>>(), ["20.00"], "{status}");
        world.close().await;
    }
}

/// The plan was never seen by Vercel, and its refusals have no envelope: after two hours the invoice goes out under the
/// first plans; a gateway that answers 400 for as long does no harm.
#[tokio::test]
async fn a_refusal_without_an_envelope_is_met_like_one_with_it_and_kills_nothing() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let fault = json!({ "kind": "foreign", "status": 400 });
    world.vercel_fails(json!([{ "match": { "method": "POST", "path": "*/invoices" }, "fault": fault }])).await;
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    for hour in 0..30 {
        world.sweep().await;
        let stored = world.stored_invoice(&installation, 1).await;
        let is_revised = stored.refused.is_some_and(|refused| refused.is_revised);
        assert_eq!((stored.phase, is_revised), (InvoicePhase::Submitting, hour >= 1), "{hour}");
    }
    assert!(world.vercel_heals().await[0] > 20);
    world.sweep().await;
    let invoice = world.invoices(&installation).await.remove(0);
    assert_eq!(text(&invoice["total"]), "20.00");
    let line = &invoice["items"][0];
    assert_eq!((&line["billingPlanId"], &line["resourceId"]), (&json!(TEAM), &json!(null)), "for the installation");
    world.advance("2h").await;
    world.sweep().await;
    world.close().await;
}
