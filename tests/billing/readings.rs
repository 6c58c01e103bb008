//! What Vercel says of money can be read in two ways, and nobody outside knows which is meant: each ends right.

use serde_json::{Value, json};
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InvoicePhase, RefundPhase};
use tradepost_store::Write;

use crate::refunds::refund;
use crate::world::got::text;
use crate::world::partner::effects;
use crate::world::{TEAM, World};
use crate::{JANUARY_CLOSES, balance, bills, paid};

async fn switch(world: &World, switches: Value) {
    world.control("PUT", "/_sim/switches", switches).await.expect(200);
}

/// January's invoice, paid.
async fn january(world: &World) -> String {
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    paid(world).await;
    installation
}

/// A webhook of a refund, as Vercel signs it.
async fn told(world: &World, installation: &str, amount: &str) {
    let invoice = world.invoices(installation).await.remove(0);
    let payload = json!({
        "configuration": { "id": installation }, "installationId": installation, "invoiceId": invoice["invoiceId"],
        "externalInvoiceId": invoice["externalId"], "period": invoice["period"], "amount": amount, "reason": "x",
    });
    let event = json!({ "type": "marketplace.invoice.refunded", "payload": payload });
    let got = world.control("POST", "/_sim/webhooks", event).await.expect(200);
    assert_eq!(got.body["deliveries"], json!([{ "status": 200 }]));
}

/// Tax is Vercel's and the customer's: what we invoiced is booked, whether the total contains it or not.
#[tokio::test]
async fn an_invoice_is_paid_with_or_without_tax_in_its_total() {
    for (percent, vercels) in [(0, Value::Null), (19, json!("23.80"))] {
        let world = World::open().await;
        switch(&world, json!({ "taxPercent": percent })).await;
        let installation = january(&world).await;
        let stored = world.stored_invoice(&installation, 1).await;
        assert_eq!((stored.phase, stored.booked_paid), (InvoicePhase::Paid, true), "{percent}");
        let query = json!({ "invoiceId": stored.external_id });
        let shown = world.partner("invoice.query", "/partner/invoices/query", &installation, query).await.expect(200);
        assert_eq!((&shown.body["total"], &shown.body["vercelTotal"]), (&json!("20.00"), &vercels), "{percent}");
        assert_eq!(balance(&world, &installation, Account::Settled).await, "20.00", "{percent}");
        refund(&world, &installation, 1, "20.00").await.expect(202);
        world.advance("1h").await;
        assert_eq!(balance(&world, &installation, Account::Refunds).await, "20.00", "{percent}");
        assert_eq!(world.waiting(&installation).await, [], "{percent}");
        world.close().await;
    }
}

/// What we asked for decides, whatever `refundTotal` says: twice the same amount, and one in between that nobody here
/// asked for.
#[tokio::test]
async fn refunds_are_booked_by_what_was_asked_for_however_vercel_counts() {
    for reading in ["cumulative", "last", "absent"] {
        let world = World::open().await;
        switch(&world, json!({ "refundTotal": reading })).await;
        let installation = january(&world).await;
        let booked = async || text(&json!(world.stored_invoice(&installation, 1).await.booked_refunds));
        for sum in ["5.00", "10.00"] {
            refund(&world, &installation, 1, "5.00").await.expect(202);
            world.advance("1h").await;
            let stored = world.stored_invoice(&installation, 1).await;
            assert_eq!(stored.refund.as_ref().unwrap().phase, RefundPhase::Refunded, "{reading}");
            assert_eq!(booked().await, sum, "{reading}");
        }
        // Vercel's support gives something back.
        told(&world, &installation, "3.00").await;
        assert_eq!(booked().await, "13.00", "{reading}");
        refund(&world, &installation, 1, "7.00").await.expect(202);
        world.advance("1h").await;
        assert_eq!(booked().await, "20.00", "{reading}");
        assert_eq!(balance(&world, &installation, Account::Refunds).await, "20.00", "{reading}");
        for _ in 0..7 {
            world.sweep().await;
        }
        assert_eq!(world.waiting(&installation).await, [], "{reading}");
        world.leave();
    }
}

/// The answer to a refund is lost, and all that tells of it is the invoice. It is asked for once.
#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_asked_for_once_however_vercel_counts() {
    for reading in ["cumulative", "last", "absent"] {
        let world = World::open().await;
        switch(&world, json!({ "refundTotal": reading })).await;
        let installation = january(&world).await;
        refund(&world, &installation, 1, "5.00").await.expect(202);
        world.advance("1h").await;
        let mark = world.mark().await;
        world.vercel_fails(json!([{ "match": { "path": "*/actions" }, "fault": "reset_after", "times": 1 }])).await;
        refund(&world, &installation, 1, "5.00").await.expect(202);
        assert_eq!(world.waiting(&installation).await, [("refund_invoice", 1, false)], "{reading}");
        // By then it is done, and its webhook came.
        for _ in 0..2 {
            world.sweep().await;
        }
        let asked = world.calls_since(mark).await;
        let asked = asked.iter().filter(|call| call.starts_with("POST billing/invoices/actions")).count();
        assert_eq!(asked, 1, "{reading}");
        assert_eq!(text(&json!(world.stored_invoice(&installation, 1).await.booked_refunds)), "10.00", "{reading}");
        assert_eq!(world.waiting(&installation).await, [], "{reading}");
        assert_eq!(bills(&world, &installation).await[0].1, "refunded", "{reading}");
        world.close().await;
    }
}

/// The webhook of a refund never comes: the invoice is read until it says what became of it.
#[tokio::test]
async fn a_refund_whose_webhook_never_comes_is_booked_by_the_invoice() {
    for reading in ["cumulative", "last", "absent"] {
        let world = World::open().await;
        switch(&world, json!({ "refundTotal": reading, "refundWebhooks": "lost" })).await;
        let installation = january(&world).await;
        for (amount, sum) in [("5.00", "5.00"), ("3.00", "8.00")] {
            refund(&world, &installation, 1, amount).await.expect(202);
            refund(&world, &installation, 1, "1.00").await.is_problem(409, "conflict");
            for _ in 0..8 {
                world.sweep().await;
            }
            let stored = world.stored_invoice(&installation, 1).await;
            assert_eq!(stored.refund.as_ref().unwrap().phase, RefundPhase::Refunded, "{reading}");
            assert_eq!(balance(&world, &installation, Account::Refunds).await, sum, "{reading}");
        }
        world.close().await;
    }
}

/// What Vercel gives back with the tax on top is what we asked for, whether it is read or told.
#[tokio::test]
async fn a_refund_with_its_tax_is_the_one_that_was_asked_for() {
    for reading in ["cumulative", "last", "absent"] {
        for webhooks in ["sent", "lost"] {
            let world = World::open().await;
            let switches = json!({ "taxPercent": 19, "refundTax": true, "refundTotal": reading,
                "refundWebhooks": webhooks });
            switch(&world, switches).await;
            let installation = january(&world).await;
            for (amount, sum) in [("5.00", "5.00"), ("3.33", "8.33"), ("11.67", "20.00")] {
                refund(&world, &installation, 1, amount).await.expect(202);
                for _ in 0..8 {
                    world.sweep().await;
                }
                let stored = world.stored_invoice(&installation, 1).await;
                assert_eq!(stored.refund.as_ref().unwrap().phase, RefundPhase::Refunded, "{reading} {webhooks}");
                assert_eq!(balance(&world, &installation, Account::Refunds).await, sum, "{reading} {webhooks}");
            }
            world.close().await;
        }
    }
}

/// Vercel gave back another amount than was asked for, and nobody tells of it: what became of ours is looked for, for
/// two weeks; then a person says it.
#[tokio::test]
async fn a_refund_that_vercel_leaves_open_is_settled_by_a_partner_system() {
    for (outcome, booked, phase) in [
        ("refunded", "4.00", RefundPhase::Refunded),
        ("notRefunded", "0.00", RefundPhase::Rejected),
        ("abandon", "0.00", RefundPhase::Rejected),
    ] {
        let world = World::open().await;
        switch(&world, json!({ "refundWebhooks": "lost" })).await;
        let installation = january(&world).await;
        let settle = async |outcome: &str, more: Value| {
            let mut data = json!({ "invoiceId": format!("{installation}.i1"), "outcome": outcome });
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            world.partner("invoice.settle", "/partner/invoices", &installation, data).await
        };
        settle("refunded", json!({})).await.is_problem(409, "conflict");
        settle("refunded", json!({ "reason": "x" })).await.is_problem(400, "validation_error");
        let look = effects(&refund(&world, &installation, 1, "5.00").await.expect(202)).remove(1);
        let mut stored = world.stored_invoice(&installation, 1).await;
        stored.item.refund.as_mut().unwrap().total = "4.00".parse().unwrap();
        world.local.bare.commit(vec![Write::replace(&stored.item, stored.version).unwrap()]).await.unwrap();
        for _ in 0..13 {
            world.advance("1d").await;
            world.cron("/cron/outbox").await;
            assert_eq!(world.waiting(&installation).await, [("read_invoice", 0, false)], "{outcome}");
        }
        for _ in 0..2 {
            world.advance("1d").await;
            world.cron("/cron/outbox").await;
        }
        assert_eq!(world.waiting(&installation).await, [("read_invoice", 1, true)], "{outcome}");
        refund(&world, &installation, 1, "1.00").await.is_problem(409, "conflict");
        if outcome != "abandon" {
            settle(outcome, json!({})).await.expect(202);
            settle(outcome, json!({})).await.is_problem(409, "conflict");
        }
        let data = json!({ "effectId": look, "outcome": "abandon", "reason": "settled" });
        world.partner("effect.settle", "/partner/invoices", &installation, data).await.expect(202);
        let stored = world.stored_invoice(&installation, 1).await;
        assert_eq!(
            (json!(stored.booked_refunds), stored.refund.as_ref().unwrap().phase),
            (json!(booked), phase),
            "{outcome}"
        );
        assert_eq!(balance(&world, &installation, Account::Refunds).await, booked, "{outcome}");
        world.leave();
    }
}
