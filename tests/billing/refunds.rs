//! Refunds, unpaid invoices and the webhooks that tell of them.

use serde_json::{Value, json};
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InvoicePhase, InvoiceRecord, LedgerEntry, RefundPhase};
use tradepost_store::Write;

use crate::world;
use crate::world::got::Got;
use crate::world::{Setup, TEAM, World};
use crate::{JANUARY_CLOSES, balance, bill, bills, paid};

pub(crate) async fn refund(world: &World, installation: &str, number: u32, total: &str) -> Got {
    let invoice = format!("{installation}.i{number}");
    let data = json!({ "invoiceId": invoice, "total": total, "reason": "an outage" });
    world.partner("invoice.refund", &format!("/partner/invoices/{invoice}/refund"), installation, data).await
}

#[tokio::test]
async fn refunds_are_one_at_a_time_and_never_more_than_was_paid() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    refund(&world, &installation, 1, "1.00").await.is_problem(404, "not_found");
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    refund(&world, &installation, 1, "1.00").await.is_problem(409, "conflict");
    paid(&world).await;
    for (total, status, code) in
        [("20.01", 422, "unprocessable"), ("0.00", 422, "unprocessable"), ("-1.00", 400, "validation_error")]
    {
        refund(&world, &installation, 1, total).await.is_problem(status, code);
    }
    // All of it is no more than was paid; what is under way is one.
    refund(&world, &installation, 1, "20.00").await.expect(202);
    refund(&world, &installation, 1, "1.00").await.is_problem(409, "conflict");
    world.advance("1h").await;
    refund(&world, &installation, 1, "1.00").await.is_problem(422, "unprocessable");
    assert_eq!(balance(&world, &installation, Account::Settled).await, "0.00");
    world.close().await;
}

#[tokio::test]
async fn a_refund_goes_to_vercel_once_and_into_the_ledger_once() {
    let world = World::with(Setup { everything_twice: true, ..Setup::default() }).await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    paid(&world).await;
    let invoice = format!("{installation}.i1");
    let route = format!("/partner/invoices/{invoice}/refund");
    let ask = |total: &str, reason: &str| {
        let data = json!({ "invoiceId": invoice, "total": total, "reason": reason });
        world.partner_call("invoice.refund", &route, &installation, &data)
    };
    for reason in ["", "  ", &"x".repeat(501)] {
        world.send_partner(&ask("1.00", reason)).await.is_problem(400, "validation_error");
    }
    // The answer is lost: the invoice is read before every try, and the refund not asked for again.
    let lost = json!([{ "match": { "path": "*/actions" }, "fault": "reset_after", "times": 1 }]);
    world.vercel_fails(lost).await;
    let mark = world.mark().await;
    let call = ask("5.00", "an outage");
    let got = world.send_partner(&call).await.expect(202);
    let effects = world::partner::effects(&got);
    let fates = |refund: (&str, u64)| [(refund.0.to_owned(), refund.1), ("pending".to_owned(), 0)];
    assert_eq!(world.fates(&installation, &effects).await, fates(("pending", 1)), "and the look at what became of it");
    world.send_partner(&ask("1.00", "more")).await.is_problem(409, "conflict");
    // The lost call is waited out; then Vercel says that it has begun.
    world.advance("1m").await;
    world.cron("/cron/outbox").await;
    let calls = world.calls_since(mark).await;
    assert_eq!(calls.iter().filter(|call| call.starts_with("POST billing/invoices/actions")).count(), 1, "{calls:?}");
    assert_eq!(world.fates(&installation, &effects).await, fates(("delivered", 0)));
    // An hour after it was asked for it is done.
    world.advance("1h").await;
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "refunded")]);
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, stored.refund.as_ref().unwrap().phase), (InvoicePhase::Refunded, RefundPhase::Refunded));
    assert_eq!(stored.booked_refunds.to_string(), "5.00");
    for (account, amount) in [(Account::Refunds, "5.00"), (Account::Settled, "15.00"), (Account::Receivable, "0.00")] {
        assert_eq!(balance(&world, &installation, account).await, amount, "{account}");
    }
    // The repeat, signed anew, is the same refund.
    let committed = world.committed();
    let call = world::partner::Call { at: world.now(), ..call };
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    assert_eq!(world.committed(), committed);
    // Another one is another one, up to what is left.
    world.send_partner(&ask("15.01", "more")).await.is_problem(422, "unprocessable");
    world.send_partner(&ask("1.00", "more")).await.expect(202);
    world.advance("1h").await;
    assert_eq!(balance(&world, &installation, Account::Refunds).await, "6.00");
    assert_eq!(world.stored_invoice(&installation, 1).await.booked_refunds.to_string(), "6.00");
    world.close().await;
}

/// A refund that Vercel refuses is over: nothing is booked, and the next may be asked for.
#[tokio::test]
async fn a_refund_that_vercel_refuses_blocks_nothing() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    paid(&world).await;
    let refused =
        json!([{ "match": { "path": "*/actions" }, "fault": { "kind": "status", "status": 400 }, "times": 1 }]);
    world.vercel_fails(refused).await;
    refund(&world, &installation, 1, "5.00").await.expect(202);
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, stored.refund.as_ref().unwrap().phase), (InvoicePhase::Paid, RefundPhase::Rejected));
    refund(&world, &installation, 1, "5.00").await.expect(202);
    world.advance("1h").await;
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "refunded")]);
    assert_eq!(balance(&world, &installation, Account::Refunds).await, "5.00");
    world.close().await;
}

/// A customer who does not pay, then does; and one who gets the unpaid invoice cancelled.
#[tokio::test]
async fn an_unpaid_invoice_is_receivable_until_it_is_paid_or_given_back() {
    let world = World::open().await;
    let (payer, _) = world.customer(TEAM).await;
    let (other, _) = world.customer(TEAM).await;
    for id in [&payer, &other] {
        let path = format!("/_sim/installations/{id}/payment");
        world.control("POST", &path, json!({ "result": "notpaid" })).await.expect(200);
    }
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    world.advance("2h").await;
    assert_eq!(world.stored_invoice(&payer, 1).await.phase, InvoicePhase::NotPaid);
    assert_eq!(balance(&world, &payer, Account::Receivable).await, "20.00");
    world.advance("15d").await;
    assert_eq!(world.stored_invoice(&payer, 1).await.phase, InvoicePhase::Overdue);
    let path = format!("/_sim/installations/{payer}/payment");
    world.control("POST", &path, json!({ "result": "paid" })).await.expect(200);
    world.advance("1m").await;
    assert_eq!(world.stored_invoice(&payer, 1).await.phase, InvoicePhase::Paid);
    assert_eq!(balance(&world, &payer, Account::Settled).await, "20.00");
    refund(&world, &other, 1, "20.00").await.expect(202);
    world.advance("1h").await;
    assert_eq!(world.stored_invoice(&other, 1).await.phase, InvoicePhase::Refunded);
    assert_eq!(balance(&world, &other, Account::Receivable).await, "0.00");
    assert_eq!(balance(&world, &other, Account::Settled).await, "0.00");
    world.close().await;
}

/// A webhook is a hint: what is booked is what the invoice says, however often and in whatever order it comes.
#[tokio::test]
async fn webhooks_book_what_the_invoice_says() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    let invoice = world.invoices(&installation).await.remove(0);
    let event = |happening: &str, more: Value| {
        let mut payload = json!({
            "configuration": { "id": installation }, "installationId": installation, "invoiceId": invoice["invoiceId"],
            "externalInvoiceId": invoice["externalId"], "period": invoice["period"],
            "invoiceDate": invoice["invoiceDate"], "invoiceTotal": "20.00",
        });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "type": format!("marketplace.invoice.{happening}"), "payload": payload, "times": 3 })
    };
    // Vercel has sent nothing yet: "paid" is not true, and a refund neither.
    let refunded = json!({ "amount": "7.00", "reason": "x" });
    for webhook in
        [event("paid", json!({})), event("refunded", refunded), event("paid", json!({ "invoiceTotal": "1.00" }))]
    {
        let got = world.control("POST", "/_sim/webhooks", webhook).await.expect(200);
        assert_eq!(got.body["deliveries"], json!([{ "status": 200 }, { "status": 200 }, { "status": 200 }]));
        assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Submitted);
    }
    // Of others' invoices, of nobody's, and of no kind that we know: acknowledged, and nothing is done.
    let (committed, mark) = (world.committed(), world.mark().await);
    for webhook in [
        event("paid", json!({ "externalInvoiceId": "somebody-else-1" })),
        event("paid", json!({ "externalInvoiceId": "icfg_of_nobody.i1", "installationId": "icfg_of_nobody" })),
        event("paid", json!({ "externalInvoiceId": null })),
        event("exploded", json!({})),
        json!({ "type": "deployment.created", "payload": {} }),
    ] {
        let got = world.control("POST", "/_sim/webhooks", webhook).await.expect(200);
        assert!(got.body["deliveries"].as_array().unwrap().iter().all(|it| it["status"] == 200), "{got:?}");
    }
    assert_eq!((world.committed(), world.calls_since(mark).await), (committed, vec![]));
    paid(&world).await;
    assert_eq!(balance(&world, &installation, Account::Settled).await, "20.00");
    let entries = world.records::<LedgerEntry>(&installation, "J#").await;
    assert_eq!(entries.len(), 2, "issued once, paid once");
    world.close().await;
}

/// The table was restored to before the invoice: what Vercel tells of it meanwhile is kept until it is there again.
#[tokio::test]
async fn an_event_about_an_invoice_that_is_not_there_is_not_lost() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    let stored = world.stored_invoice(&installation, 1).await;
    let forget = Write::delete(InvoiceRecord::key_of(&stored.installation, 1), stored.version);
    world.local.bare.commit(vec![forget]).await.unwrap();
    paid(&world).await;
    let kept = [("read_invoice", 0, false), ("read_invoice", 0, false)];
    assert_eq!(world.waiting(&installation).await, kept, "that it was sent, and that it was paid");
    world.sweep().await;
    assert_eq!(world.waiting(&installation).await, kept);
    let restored = InvoiceRecord { vercel_id: None, ..stored.item };
    world.local.bare.commit(vec![Write::create(&restored).unwrap()]).await.unwrap();
    world.sweep().await;
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!(stored.phase, InvoicePhase::Paid);
    assert_eq!(json!(stored.vercel_id), world.invoices(&installation).await[0]["invoiceId"]);
    assert_eq!(balance(&world, &installation, Account::Settled).await, "20.00");
    world.close().await;
}
