//! The close of periods and the invoices: what the customer pays.

use serde_json::json;
use tradepost_marketplace::money::Money;
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InvoicePhase, LedgerEntry};

use crate::world;
use crate::world::got::text;
use crate::world::{FREE, SCALE, Setup, TEAM, World};
use crate::{FEBRUARY_CLOSES, JANUARY_CLOSES, balance, bill, bills, close, line, lines, paid};

#[tokio::test]
async fn a_month_is_invoiced_once_as_the_customer_watched_it() {
    let world = World::with(Setup { everything_twice: true, ..Setup::default() }).await;
    let (installation, id) = world.customer(TEAM).await;
    world.provision(&installation, TEAM, "fixed").await;
    world.provision(&installation, FREE, "free").await;
    // Half of the month on another plan: 15 and 16 of 31 days.
    world.advance_to("2027-01-16T00:00:00Z").await;
    let path = format!("/_sim/installations/{installation}/resources/{id}");
    world.control("PATCH", &path, json!({ "planId": SCALE })).await.expect(200);
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-16T00:00:00Z", "140000")]).await.expect(200);
    world.advance_to("2027-02-01T05:30:00Z").await;
    // Still January's, though it comes in February.
    world.report(&installation, "b2", &[(&id, "queries", "2027-01-31T23:59:59Z", "20000")]).await.expect(200);
    world.cron("/cron/billing").await;
    assert_eq!(world.cron("/cron/invoices").await["due"], 0, "not before six hours are over");
    world.advance_to(JANUARY_CLOSES).await;
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(world.calls_since(mark).await, ["POST billing/invoices ok"]);
    let (committed, before) = (world.committed(), world.dump().await);
    assert_eq!(world.cron("/cron/invoices").await["due"], 0);
    assert_eq!((world.committed(), world.dump().await), (committed, before));
    let invoice = world.invoices(&installation).await.remove(0);
    assert_eq!(invoice["externalId"], format!("{installation}.i1"));
    assert_eq!((&invoice["isFinal"], &invoice["invoiceDate"]), (&json!(false), &json!("2027-01-31T23:59:59.999Z")));
    let mut shown = lines(&invoice);
    shown.sort();
    let mut wanted = [
        line("Team plan", "20", "0.483870968", "9.68"),
        line("Scale plan", "5", "0.516129032", "2.58"),
        line("Queries", "0.000025", "60000", "1.50"),
        line("Team plan", "20", "1", "20.00"),
    ];
    wanted.sort();
    assert_eq!(shown, wanted);
    assert_eq!(bills(&world, &installation).await, [bill("33.76", "pending")]);
    // What was watched is what is paid.
    let state = world.state(&installation).await;
    let interim = state["interim"].as_array().unwrap();
    let january = interim.iter().rfind(|row| row["period"] == invoice["period"]).unwrap();
    assert_eq!((&january["items"], &january["discounts"]), (&invoice["items"], &invoice["discounts"]));
    // Ours, as a partner asks for it.
    let query = async || {
        let data = json!({ "invoiceId": format!("{installation}.i1") });
        world.partner("invoice.query", "/partner/invoices/query", &installation, data).await.expect(200).body
    };
    let ours = query().await;
    assert_eq!((&ours["state"], &ours["total"]), (&json!("submitted"), &json!("33.76")));
    assert_eq!(lines(&ours), lines(&invoice));
    assert_eq!(ours["vercelInvoiceId"], invoice["invoiceId"]);
    assert_eq!(balance(&world, &installation, Account::Receivable).await, "33.76");
    for (state, receivable, settled) in [("invoiced", "33.76", "0.00"), ("paid", "0.00", "33.76")] {
        world.advance("1h").await;
        assert_eq!(query().await["state"], state);
        assert_eq!(bills(&world, &installation).await, [bill("33.76", state)]);
        assert_eq!(balance(&world, &installation, Account::Receivable).await, receivable);
        assert_eq!(balance(&world, &installation, Account::Settled).await, settled);
    }
    world.close().await;
}

/// Nobody called for two months: each is invoiced by itself, in order, by the first call.
#[tokio::test]
async fn months_that_nobody_closed_are_closed_one_by_one() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-02-20T00:00:00Z").await;
    world.report(&installation, "b", &[(&id, "queries", "2027-02-19T00:00:00Z", "1")]).await.expect(200);
    world.advance_to(FEBRUARY_CLOSES).await;
    for closed in [2, 0] {
        assert_eq!(world.cron("/cron/invoices").await["closed"], closed);
    }
    let invoices = world.invoices(&installation).await;
    let periods: Vec<_> = invoices.iter().map(|it| (text(&it["period"]["start"]), text(&it["externalId"]))).collect();
    let invoice = |n: u32| format!("{installation}.i{n}");
    assert_eq!(periods, [(world::BEGIN.to_owned(), invoice(1)), ("2027-02-01T00:00:00Z".to_owned(), invoice(2))]);
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "pending"), bill("20.00", "pending")]);
    paid(&world).await;
    world.close().await;
}

#[tokio::test]
async fn a_period_is_closed_on_demand() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    close(&world, &installation, json!({})).await.is_problem(409, "conflict");
    world.advance_to("2027-01-11T00:00:00Z").await;
    // What it would come to, and nothing done.
    let (committed, before) = (world.committed(), world.dump().await);
    let got = close(&world, &installation, json!({ "dryRun": true })).await.expect(200);
    assert_eq!((&got.body["dryRun"], &got.body["total"]), (&json!(true), &json!("6.45")));
    assert_eq!(got.body["period"], json!({ "start": "2027-01-01T00:00:00.000Z", "end": "2027-01-11T00:00:00.000Z" }));
    assert_eq!(got.body["lines"][0]["total"], "6.45");
    assert_eq!((world.committed(), world.dump().await), (committed, before));
    // Done: ten of 31 days.
    let call = world.partner_call("invoice.close", "/partner/invoices", &installation, &json!({}));
    let got = world.send_partner(&call).await.expect(202);
    let wanted = json!({
        "invoiceId": format!("{installation}.i1"), "total": "6.45", "carriedOver": "0.00",
        "effects": [format!("{installation}/money/-/0000000000000001/1")],
    });
    assert_eq!(got.body, wanted);
    assert_eq!(world.fates(&installation, &world::partner::effects(&got)).await, [("delivered".to_owned(), 0)]);
    let (committed, mark) = (world.committed(), world.mark().await);
    assert_eq!(world.send_partner(&call).await.expect(202).body, wanted);
    assert_eq!((world.committed(), world.calls_since(mark).await), (committed, vec![]));
    assert_eq!(bills(&world, &installation).await, [bill("6.45", "pending")]);
    // At once again there is nothing to close; the rest of the month is a period of its own.
    close(&world, &installation, json!({})).await.is_problem(409, "conflict");
    paid(&world).await;
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    assert_eq!(bills(&world, &installation).await, [bill("6.45", "paid"), bill("13.55", "pending")]);
    let rest = world.invoices(&installation).await.remove(1);
    assert_eq!(rest["period"], json!({ "start": "2027-01-11T00:00:00Z", "end": "2027-02-01T00:00:00Z" }));
    paid(&world).await;
    world.close().await;
}

/// Whatever is added, taken off or carried, a dry run says what the close then does. (It said 2.50 for 5.10.)
#[tokio::test]
async fn a_dry_run_is_the_close_to_the_cent() {
    let line = |amount: &str, credit: bool| json!({ "name": "set-up", "amount": amount, "credit": credit });
    for lines in [
        vec![],
        vec![line("2.60", false)],
        vec![line("7.00", false), line("3.33", true)],
        // More than the period costs: no invoice, and the rest is carried.
        vec![line("9.99", true)],
        vec![line("6.00", true)],
        vec![line("6.45", true)],
    ] {
        let world = World::open().await;
        let (installation, _) = world.customer(TEAM).await;
        world.advance_to("2027-01-11T00:00:00Z").await;
        if !lines.is_empty() {
            let lines = json!({ "lines": lines });
            world.partner("invoice.adjust", "/partner/invoices", &installation, lines).await.expect(202);
        }
        let dry = close(&world, &installation, json!({ "dryRun": true })).await.expect(200).body;
        let done = close(&world, &installation, json!({})).await.expect(202).body;
        for figure in ["total", "carriedOver"] {
            assert_eq!(dry[figure], done[figure], "{figure} {lines:?}: {dry} {done}");
        }
        assert_eq!(dry["invoiced"], !done["invoiceId"].is_null(), "{dry} {done}");
        assert_eq!(dry["notInvoiced"].is_null(), dry["invoiced"] == true, "{dry}");
        let invoices = world.invoices(&installation).await;
        match invoices.as_slice() {
            [] => assert_eq!(dry["invoiced"], false),
            [invoice] => {
                assert_eq!(invoice["total"], dry["total"]);
                assert_eq!(invoice["items"].as_array().unwrap().len(), dry["lines"].as_array().unwrap().len());
            }
            more => panic!("{more:?}"),
        }
        paid(&world).await;
        world.close().await;
    }
}

#[tokio::test]
async fn a_rehearsal_that_comes_to_nothing_says_why() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-01-11T00:00:00Z").await;
    let credit = json!({ "lines": [{ "name": "goodwill", "amount": "6.00", "credit": true }] });
    world.partner("invoice.adjust", "/partner/invoices", &installation, credit).await.expect(202);
    let got = close(&world, &installation, json!({ "test": true })).await;
    got.is_problem(409, "conflict");
    assert_eq!(
        got.body["detail"],
        "the period costs 6.45 and -6.00 is carried into it: less than 0.50 is not invoiced"
    );
    world.close().await;
}

/// A rehearsal is submitted as a test invoice: it closes nothing, charges nothing and is in no ledger.
#[tokio::test]
async fn an_invoice_is_rehearsed_without_closing_anything() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-01-11T00:00:00Z").await;
    let call = world.partner_call("invoice.close", "/partner/invoices", &installation, &json!({ "test": true }));
    let got = world.send_partner(&call).await.expect(202);
    assert_eq!(got.body["total"], "6.45");
    let committed = world.committed();
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    assert_eq!(world.committed(), committed);
    let shown = async || {
        let invoices = world.invoices(&installation).await;
        invoices.iter().map(|it| (it["isTest"] == true, text(&it["total"]))).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [(true, "6.45".to_owned())]);
    assert_eq!(world.installation(&installation).await.open_period().end.to_string(), "2027-02-01T00:00:00Z");
    paid(&world).await;
    assert_eq!(world.records::<LedgerEntry>(&installation, "J#").await.len(), 0);
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    let mut invoices = shown().await;
    invoices.sort();
    assert_eq!(invoices, [(false, "20.00".to_owned()), (true, "6.45".to_owned())]);
    paid(&world).await;
    world.close().await;
}

/// A month is invoiced once, though Vercel's answer to the invoice was lost: its webhook says what it is called.
#[tokio::test]
async fn an_invoice_whose_answer_was_lost_is_settled_by_the_webhook() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    let lost =
        json!([{ "match": { "method": "POST", "path": "*/billing/invoices" }, "fault": "reset_after", "times": 1 }]);
    world.vercel_fails(lost).await;
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(world.calls_since(mark).await, ["POST billing/invoices reset_after", "POST billing/invoices refused"]);
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!((stored.phase, stored.vercel_id.is_none()), (InvoicePhase::Unknown, true));
    assert_eq!(
        balance(&world, &installation, Account::Receivable).await,
        "0.00",
        "nothing is booked that is not known"
    );
    // An hour later Vercel sends the invoice, and says so.
    let mark = world.mark().await;
    world.advance("1h").await;
    let stored = world.stored_invoice(&installation, 1).await;
    assert_eq!(stored.phase, InvoicePhase::Invoiced);
    assert_eq!(json!(stored.vercel_id), world.invoices(&installation).await[0]["invoiceId"]);
    assert_eq!(balance(&world, &installation, Account::Receivable).await, "20.00");
    world.sweep().await;
    let submitted = world.calls_since(mark).await.into_iter().filter(|call| call.starts_with("POST billing/invoices"));
    assert_eq!(submitted.count(), 0, "no further try");
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "paid")]);
    assert_eq!(balance(&world, &installation, Account::Settled).await, "20.00");
    world.close().await;
}

/// The scheduler fires twice at once: one close.
#[tokio::test]
async fn two_schedulers_close_a_period_once() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to(JANUARY_CLOSES).await;
    let (a, b) = tokio::join!(world.cron("/cron/invoices"), world.cron("/cron/invoices"));
    let closed = a["closed"].as_u64().unwrap() + b["closed"].as_u64().unwrap();
    assert_eq!((closed, &a["failed"], &b["failed"]), (1, &json!(0), &json!(0)));
    assert_eq!(bills(&world, &installation).await, [bill("20.00", "pending")]);
    paid(&world).await;
    world.close().await;
}

/// A reading that meets the close is in the invoice or an adjustment of the next one: never in neither, never in both.
#[tokio::test]
async fn a_reading_that_races_the_close_is_charged_once() {
    for _ in 0..4 {
        let world = World::open().await;
        let (installation, id) = world.customer(SCALE).await;
        world.report(&installation, "b0", &[(&id, "queries", world::BEGIN, "100000")]).await.expect(200);
        world.advance_to(JANUARY_CLOSES).await;
        let batches = ["b1", "b2", "b3"];
        let report = |batch: &'static str| {
            let (world, installation, id) = (&world, &installation, &id);
            async move { world.report(installation, batch, &[(id, "queries", "2027-01-31T00:00:00Z", "40000")]).await }
        };
        let (cron, a, b, c) =
            tokio::join!(world.cron("/cron/invoices"), report(batches[0]), report(batches[1]), report(batches[2]));
        assert_eq!(cron["closed"], 1);
        for (batch, got) in batches.into_iter().zip([a, b, c]) {
            if got.status == 200 {
                continue;
            }
            // In a moment, it says: the partner comes again.
            got.is_problem(409, "operation_in_progress");
            assert!(!got.header("retry-after").is_empty());
            report(batch).await.expect(200);
        }
        let invoiced = bills(&world, &installation).await.remove(0).0;
        let charged: Money = invoiced.parse().unwrap();
        let carried: i64 = world.installation(&installation).await.carried.iter().map(|it| it.amount.cents()).sum();
        assert_eq!(charged.cents() + carried, 500 + 300, "{invoiced} invoiced, {carried} cents carried");
        paid(&world).await;
        world.close().await;
    }
}
