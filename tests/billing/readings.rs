//! What Vercel says of money can be read in two ways, and nobody outside knows which is meant: each ends right.

use serde_json::{Value, json};
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InvoicePhase, RefundPhase};

use crate::refunds::refund;
use crate::world::got::text;
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
