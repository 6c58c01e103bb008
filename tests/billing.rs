//! Usage, the hourly push, the close of periods, invoices, refunds and the end: what is charged is what was reported,
//! once, and the ledger says what Vercel says. (Closing a world compares the two to the cent.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use serde_json::{Value, json};
use tradepost_marketplace::money::Money;
use tradepost_provider::ledger::{Account, Balances};
use tradepost_provider::state::{
    InstallationStatus, InvoicePhase, LedgerEntry, MeterTotal, PushFailed, RefundPhase, UsageBatch,
};
use world::got::{Got, text};
use world::partner::usage;
use world::{FREE, SCALE, Setup, TEAM, World};

const JANUARY_CLOSES: &str = "2027-02-01T06:05:00Z";
const FEBRUARY_CLOSES: &str = "2027-03-01T06:05:00Z";

/// A plan whose bill can be as small as one likes.
const PENNIES: &str = r#"
[[product]]
id = "ledgerbase"
slug = "ledgerbase"
name = "Ledgerbase"

[[product.meter]]
id = "queries"
name = "Queries"
units = "queries"
aggregation = "sum"
show = "interval"

[[product.plan]]
id = "pennies"
name = "Pennies"
type = "subscription"
scope = "resource"
payment_method_required = true
period = "month"
upgrade = "immediate"
downgrade = "immediate"

[[product.plan.charge]]
kind = "per_unit"
meter = "queries"
price = "0.01"
"#;

async fn pennies() -> World {
    World::with(Setup { catalog: Some(PENNIES), ..Setup::default() }).await
}

/// The figures of every total of an installation: (resource's totals are told apart by meter here).
async fn totals(world: &World, installation: &str, prefix: &str) -> Vec<(String, String)> {
    let totals = world.records::<MeterTotal>(installation, prefix).await;
    totals.iter().map(|total| (total.meter.clone(), total.aggregate.period_value().to_string())).collect()
}

/// The lines of an invoice or of interim data: (name, price, quantity, total).
fn lines(row: &Value) -> Vec<(String, String, String, String)> {
    let line =
        |item: &Value| (text(&item["name"]), text(&item["price"]), item["quantity"].to_string(), text(&item["total"]));
    row["items"].as_array().unwrap().iter().map(line).collect()
}

fn line(name: &str, price: &str, quantity: &str, total: &str) -> (String, String, String, String) {
    (name.to_owned(), price.to_owned(), quantity.to_owned(), total.to_owned())
}

/// Invoices at Vercel: (total, state), oldest period first.
async fn bills(world: &World, installation: &str) -> Vec<(String, String)> {
    let invoices = world.invoices(installation).await;
    invoices.iter().map(|invoice| (text(&invoice["total"]), text(&invoice["state"]))).collect()
}

fn bill(total: &str, state: &str) -> (String, String) {
    (total.to_owned(), state.to_owned())
}

async fn balance(world: &World, installation: &str, account: Account) -> String {
    let entries = world.records::<LedgerEntry>(installation, "J#").await;
    Balances::of(entries.iter().map(|stored| &stored.entry)).unwrap().debit(account).to_string()
}

async fn close(world: &World, installation: &str, data: Value) -> Got {
    world.partner("invoice.close", "/partner/invoices", installation, data).await
}

async fn adjust(world: &World, installation: &str, lines: Value) -> Got {
    world.partner("invoice.adjust", "/partner/invoices", installation, json!({ "lines": lines })).await
}

async fn refund(world: &World, installation: &str, number: u32, total: &str) -> Got {
    let invoice = format!("{installation}.i{number}");
    let data = json!({ "invoiceId": invoice, "total": total, "reason": "an outage" });
    world.partner("invoice.refund", &format!("/partner/invoices/{invoice}/refund"), installation, data).await
}

/// Moves the clock until Vercel has taken an invoice's payment: an hour pending, an hour invoiced.
async fn paid(world: &World) {
    world.advance("2h").await;
}

#[tokio::test]
async fn a_batch_counts_once_whatever_its_repeats_are_called() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    world.advance("1h").await;
    let readings = [
        (id.as_str(), "queries", "2027-01-01T00:10:00Z", "1000.5"),
        (&id, "storage_gb", "2027-01-01T00:20:00Z", "7.5"),
    ];
    let call = world.partner_call("usage.recorded", "/partner/usage", &installation, &usage("b1", &readings));
    let got = world.send_partner(&call).await;
    got.is(200, &json!({ "batchId": "b1", "accepted": 2, "refused": [], "refusedCount": 0 }));
    let wanted = [("queries".to_owned(), "1000.5".to_owned()), ("storage_gb".to_owned(), "7.5".to_owned())];
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    // The same delivery.
    let committed = world.committed();
    assert_eq!(world.send_partner(&call).await.body, got.body);
    assert_eq!(world.committed(), committed);
    // The same batch in another delivery, even long after.
    for wait in ["0s", "6m", "20d"] {
        world.advance(wait).await;
        let got = world.report(&installation, "b1", &readings).await;
        got.is(200, &json!({ "batchId": "b1", "accepted": 2, "refused": [], "refusedCount": 0 }));
        assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    }
    // Another batch under the same name, and another body under the same delivery.
    let other = [(id.as_str(), "queries", "2027-01-01T00:10:00Z", "9")];
    world.report(&installation, "b1", &other).await.is_problem(409, "idempotency_key_reused");
    let mut reused = world.partner_call("usage.recorded", "/partner/usage", &installation, &usage("b2", &other));
    reused.id.clone_from(&call.id);
    world.send_partner(&reused).await.is_problem(409, "idempotency_key_reused");
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    assert_eq!(world.records::<UsageBatch>(&installation, "U#").await.len(), 1);
    // The next one adds up: a sum, and a peak.
    let more =
        [(id.as_str(), "queries", "2027-01-01T00:11:00Z", "0.25"), (&id, "storage_gb", "2027-01-01T00:21:00Z", "3")];
    world.report(&installation, "b2", &more).await.expect(200);
    let wanted = [("queries".to_owned(), "1000.75".to_owned()), ("storage_gb".to_owned(), "7.5".to_owned())];
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    world.close().await;
}

/// Two deliveries of one batch at the same time, and two batches for the same total.
#[tokio::test]
async fn batches_that_race_count_once_each() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let one = |batch: &'static str| {
        let (world, installation, id) = (&world, &installation, &id);
        async move { world.report(installation, batch, &[(id, "queries", world::BEGIN, "10")]).await.expect(200).body }
    };
    let (a, b, c, d) = tokio::join!(one("same"), one("same"), one("other"), one("third"));
    assert_eq!(a, b);
    assert_eq!((&c["accepted"], &d["accepted"]), (&json!(1), &json!(1)));
    assert_eq!(totals(&world, &installation, "S#2#").await, [("queries".to_owned(), "30".to_owned())]);
    world.close().await;
}

#[tokio::test]
async fn readings_are_refused_one_by_one_with_their_reason() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let (_, foreign) = world.customer(SCALE).await;
    // Four periods end within the month: what is late for them counts all the same.
    for _ in 0..4 {
        world.advance("1h").await;
        close(&world, &installation, json!({})).await.expect(202);
        paid(&world).await;
    }
    world.advance_to("2027-01-30T00:00:00Z").await;
    let late = world.provision(&installation, SCALE, "late").await;
    let reading = |id: &str, resource: &str, meter: &str, at: &str| json!({ "id": id, "resourceId": resource, "meter": meter, "at": at, "quantity": "1" });
    let now = "2027-01-30T00:00:00Z";
    let readings = json!([
        reading("good", &id, "queries", now),
        reading("good", &id, "queries", now),
        reading("", &id, "queries", now),
        reading(&"x".repeat(129), &id, "queries", now),
        reading("foreign", &foreign, "queries", now),
        reading("nobody", "icfg_x.r1", "queries", now),
        reading("meter", &id, "hours", now),
        reading("ahead", &id, "queries", "2027-01-30T00:05:01Z"),
        reading("just ahead", &id, "queries", "2027-01-30T00:05:00Z"),
        reading("before it was", &late, "queries", "2027-01-29T23:59:59Z"),
        reading("late", &id, "queries", "2027-01-01T00:30:00Z"),
    ]);
    let data = json!({ "batchId": "b", "readings": readings });
    let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await.expect(200);
    let refused = |id: &str, reason: &str| json!({ "id": id, "reason": reason });
    let wanted = json!({ "batchId": "b", "accepted": 3, "refusedCount": 8, "refused": [
        refused("good", "duplicate_id"), refused("", "invalid_id"), refused(&"x".repeat(129), "invalid_id"),
        refused("foreign", "unknown_resource"), refused("nobody", "unknown_resource"), refused("meter", "unknown_meter"),
        refused("ahead", "in_future"), refused("before it was", "no_plan"),
    ] });
    assert_eq!(got.body, wanted);
    assert_eq!(totals(&world, &installation, "S#2#").await, [("queries".to_owned(), "2".to_owned())]);
    // Thirty days back, to the second.
    world.advance_to("2027-01-31T09:00:01Z").await;
    let old = [(id.as_str(), "queries", "2027-01-01T09:00:00Z", "1"), (&id, "queries", "2027-01-01T09:00:01Z", "1")];
    let got = world.report(&installation, "old", &old).await.expect(200);
    assert_eq!((&got.body["accepted"], &got.body["refused"]), (&json!(1), &json!([refused("r0", "too_old")])));
    world.close().await;
}

#[tokio::test]
async fn batches_have_limits_and_are_taken_whole_or_not() {
    let world = World::open().await;
    let installation = world.install().await;
    let mut ids = Vec::new();
    for n in 0..14 {
        ids.push(world.provision(&installation, SCALE, &format!("r{n}")).await);
    }
    let before = world.dump().await;
    // 14 resources × 3 meters are 42 totals.
    let mut many = Vec::new();
    for id in &ids {
        for meter in ["queries", "storage_gb", "egress_gb"] {
            many.push((id.as_str(), meter, world::BEGIN, "1"));
        }
    }
    let got = world.report(&installation, "wide", &many).await;
    got.is_problem(422, "unprocessable");
    let long: Vec<_> = (0..5_001).map(|_| (ids[0].as_str(), "queries", world::BEGIN, "1")).collect();
    // Short ids keep it under the limit of bytes, so that it is the count that is refused.
    let short = |(n, _): (usize, &(&str, &str, &str, &str))| json!({ "id": n.to_string(), "resourceId": "x", "meter": "m", "at": world::BEGIN, "quantity": "1" });
    let readings: Vec<Value> = long.iter().enumerate().map(short).collect();
    let data = json!({ "batchId": "long", "readings": readings });
    let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await;
    assert!(matches!(got.status, 413 | 422), "{}", got.status);
    for batch in ["", "a b", "a#b", &"x".repeat(129)] {
        let got = world.report(&installation, batch, &[]).await;
        got.is_problem(400, "validation_error");
    }
    for quantity in [json!(1), json!("1e3"), json!("-1"), json!("1234567890123"), json!("0.1234567891"), json!("NaN")] {
        let mut data = usage("b", &[(&ids[0], "queries", world::BEGIN, "1")]);
        data["readings"][0]["quantity"] = quantity;
        let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await;
        got.is_problem(400, "validation_error");
    }
    assert_eq!(world.dump().await, before);
    // Forty fit. A sum beyond what can be counted is refused with all of its batch.
    world.report(&installation, "wide", &many[..40]).await.expect(200);
    let most = [(ids[0].as_str(), "queries", world::BEGIN, "999999999999")];
    world.report(&installation, "most", &most).await.is_problem(422, "unprocessable");
    assert_eq!(totals(&world, &installation, "S#2#").await.len(), 40);
    world.close().await;
}

/// What the customer watches: the scheduler's hourly call, the figures as reported, priced as they will be paid.
#[tokio::test]
async fn the_hourly_push_shows_what_was_reported() {
    let setup = Setup { crons: &[("/cron/billing", "0 * * * *")], everything_twice: true, ..Setup::default() };
    let world = World::with(setup).await;
    let (installation, id) = world.customer(SCALE).await;
    let readings = [
        (id.as_str(), "queries", "2027-01-01T00:00:01Z", "140000.000000001"),
        (&id, "queries", "2027-01-01T00:00:02Z", "9999.999999999"),
        (&id, "storage_gb", "2027-01-01T00:00:03Z", "7.5"),
        (&id, "storage_gb", "2027-01-01T00:00:04Z", "6.25"),
        (&id, "egress_gb", "2027-01-01T00:00:05Z", "112"),
    ];
    world.report(&installation, "b1", &readings).await.expect(200);
    world.advance("2h").await;
    let state = world.state(&installation).await;
    let day = &state["interim"][0];
    assert_eq!(state["interim"].as_array().unwrap().len(), 1);
    // 50,000 over at 0.000025; 2.5 GB over at 0.75, half-even; 90 GB at 0.09 and 2 GB at 0.07 over the first ten.
    let wanted = [
        line("Scale plan", "5", "1", "5.00"),
        line("Queries", "0.000025", "50000", "1.25"),
        line("Storage", "0.75", "2.5", "1.88"),
        line("Egress", "0.09", "90", "8.10"),
        line("Egress", "0.07", "12", "0.84"),
    ];
    assert_eq!(lines(day), wanted);
    let figures: Vec<_> = day["usage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["name"], &it["type"], it["dayValue"].to_string(), it["periodValue"].to_string()))
        .collect();
    let figure = |name: &'static str, kind: &'static str, value: &str| {
        (json!(name), json!(kind), value.to_owned(), value.to_owned())
    };
    let wanted = [
        figure("Queries", "interval", "150000"),
        figure("Storage", "total", "7.5"),
        figure("Egress", "interval", "112"),
    ];
    assert_eq!(figures, wanted.iter().map(|(a, b, c, d)| (a, b, c.clone(), d.clone())).collect::<Vec<_>>());
    assert_eq!(day["eod"], "2027-01-01T23:59:59.999Z");
    assert_eq!(day["period"], json!({ "start": world::BEGIN, "end": "2027-02-01T00:00:00Z" }));
    // A push that succeeds writes the shard's lease and checkpoint, and nothing else.
    let (committed, before) = (world.committed(), world.dump().await);
    world.advance("1h").await;
    assert_eq!(world.committed(), committed + 2);
    let after = world.dump().await;
    let changed: Vec<_> = after.iter().filter(|item| !before.contains(item)).map(|item| &item["kind"]["S"]).collect();
    assert_eq!(changed, ["shard_checkpoint"]);
    world.close().await;
}

/// Vercel takes a day's figures for 24 h after it: what came late is in them.
#[tokio::test]
async fn after_midnight_the_day_before_is_made_final() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let push = async |at: &str| {
        world.advance_to(at).await;
        let report = world.cron("/cron/billing").await;
        assert_eq!((&report["pushed"], &report["failed"]), (&json!(1), &json!(0)), "{report}");
    };
    let days = async || {
        let state = world.state(&installation).await;
        let rows = state["interim"].as_array().unwrap().iter();
        rows.map(|row| {
            (text(&row["eod"]), row["usage"][0]["dayValue"].to_string(), row["usage"][0]["periodValue"].to_string())
        })
        .collect::<Vec<_>>()
    };
    let day = |eod: &str, day: &str, period: &str| (eod.to_owned(), day.to_owned(), period.to_owned());
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-01T00:00:00Z", "10")]).await.expect(200);
    push("2027-01-01T23:59:00Z").await;
    let last = "2027-01-01T23:59:59.999Z";
    assert_eq!(days().await, [day(last, "10", "10")]);
    // Measured before midnight, reported after it, beside the new day's first reading.
    world.advance_to("2027-01-02T00:30:00Z").await;
    let readings =
        [(id.as_str(), "queries", "2027-01-01T23:59:30Z", "5"), (&id, "queries", "2027-01-02T00:10:00Z", "1")];
    world.report(&installation, "b2", &readings).await.expect(200);
    push("2027-01-02T00:59:00Z").await;
    let shown = days().await;
    assert_eq!((&shown[0].0, &shown[0].1), (&last.to_owned(), &"15".to_owned()), "the day before, final");
    assert_eq!(shown[1], day("2027-01-02T23:59:59.999Z", "1", "16"));
    // A tick of the same hour has nothing to do, the next hour's sends one push.
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/billing").await["due"], 0);
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
    push("2027-01-02T01:59:00Z").await;
    assert_eq!(world.calls_since(mark).await, ["POST billing ok"]);
    assert_eq!(world.records::<PushFailed>(&installation, "S#3").await.len(), 0);
    world.close().await;
}

#[tokio::test]
async fn a_push_that_fails_is_noted_and_the_note_goes_with_the_next_success() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let (other, _) = world.customer(TEAM).await;
    world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "10")]).await.expect(200);
    world.advance_to("2027-01-01T22:59:00Z").await;
    assert_eq!(world.cron("/cron/billing").await["pushed"], 2);
    let path = format!("/v1/installations/{installation}/billing");
    let down = json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }]);
    world.vercel_fails(down).await;
    for (attempts, at) in [(1, "2027-01-01T23:59:00Z"), (2, "2027-01-02T00:59:00Z"), (3, "2027-01-02T01:59:00Z")] {
        world.advance_to(at).await;
        let report = world.cron("/cron/billing").await;
        assert_eq!((&report["pushed"], &report["failed"]), (&json!(1), &json!(1)), "one failure stops no other");
        let failed = world.records::<PushFailed>(&installation, "S#3").await;
        assert_eq!(
            (failed.len(), failed[0].attempts, failed[0].since.to_string()),
            (1, attempts, "2027-01-01T23:59:00Z".to_owned())
        );
        let owed: Vec<String> = failed[0].days_owed.iter().map(ToString::to_string).collect();
        assert_eq!(owed, if attempts == 1 { vec![] } else { vec!["2027-01-02T00:00:00Z".to_owned()] });
    }
    assert_eq!(world.records::<PushFailed>(&other, "S#3").await.len(), 0);
    assert!(world.vercel_heals().await[0] >= 3);
    world.advance_to("2027-01-02T02:59:00Z").await;
    assert_eq!(world.cron("/cron/billing").await["pushed"], 2);
    assert_eq!(world.records::<PushFailed>(&installation, "S#3").await.len(), 0);
    let state = world.state(&installation).await;
    let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
    assert_eq!(days, ["2027-01-01T23:59:59.999Z", "2027-01-02T23:59:59.999Z"], "and the day that was owed is there");
    world.close().await;
}

/// An hour that nobody served is made up for, once.
#[tokio::test]
async fn a_scheduler_that_slept_is_caught_up_with() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-01-03T05:59:00Z").await;
    let report = world.cron("/cron/billing").await;
    assert_eq!((&report["lag_hours"], &report["pushed"]), (&json!(53), &json!(1)));
    let state = world.state(&installation).await;
    // Vercel takes figures that are at most 24 h old: those of the second, and of today.
    let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
    assert_eq!(days, ["2027-01-02T23:59:59.999Z", "2027-01-03T23:59:59.999Z"]);
    world.close().await;
}

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

/// Nobody called for two months: each is invoiced by itself, in order.
#[tokio::test]
async fn months_that_nobody_closed_are_closed_one_by_one() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-02-20T00:00:00Z").await;
    world.report(&installation, "b", &[(&id, "queries", "2027-02-19T00:00:00Z", "1")]).await.expect(200);
    world.advance_to(FEBRUARY_CLOSES).await;
    for closed in [1, 1, 0] {
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
async fn a_reading_after_the_close_goes_to_the_next_invoice() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    world.advance_to("2027-01-20T00:00:00Z").await;
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-19T00:00:00Z", "90000")]).await.expect(200);
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    paid(&world).await;
    assert_eq!(bills(&world, &installation).await, [bill("5.00", "paid")]);
    // 90,000 of 100,000 were used: of 50,000 more 40,000 cost 0.000025 each.
    let late = [(id.as_str(), "queries", "2027-01-25T00:00:00Z", "50000")];
    let committed = async || world.installation(&installation).await.carried.clone();
    for batch in ["late", "late"] {
        world.report(&installation, batch, &late).await.expect(200);
        let carried = committed().await;
        assert_eq!(carried.iter().map(|it| it.cents).collect::<Vec<_>>(), [100]);
    }
    // Another batch of the same period is put beside it, and prices from where the first ended.
    let more =
        [(id.as_str(), "queries", "2027-01-26T00:00:00Z", "4000"), (&id, "queries", "2027-02-01T08:00:00Z", "7")];
    world.report(&installation, "later", &more).await.expect(200);
    assert_eq!(committed().await.iter().map(|it| it.cents).collect::<Vec<_>>(), [110]);
    assert_eq!(totals(&world, &installation, "A#").await, [("queries".to_owned(), "144000".to_owned())]);
    assert_eq!(totals(&world, &installation, "S#2#").await, [("queries".to_owned(), "7".to_owned())]);
    assert_eq!(balance(&world, &installation, Account::Carried).await, "1.10");
    assert_eq!(bills(&world, &installation).await, [bill("5.00", "paid")], "what was invoiced stays as it was");
    world.advance_to(FEBRUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    let invoice = world.invoices(&installation).await.remove(1);
    let name = "Usage of the period from 2027-01-01 to 2027-02-01, reported late";
    assert_eq!(lines(&invoice), [line("Scale plan", "5", "1", "5.00"), line(name, "1.1", "1", "1.10")]);
    assert_eq!(committed().await.len(), 0);
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

#[tokio::test]
async fn adjustments_go_to_the_next_invoice() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let lines_given = json!([
        { "name": "Support", "amount": "3.00" },
        { "name": "Outage", "amount": "1.25", "credit": true, "resourceId": id },
    ]);
    let data = json!({ "lines": lines_given });
    let call = world.partner_call("invoice.adjust", "/partner/invoices", &installation, &data);
    world.send_partner(&call).await.is(202, &json!({ "lines": 2 }));
    let committed = world.committed();
    world.send_partner(&call).await.is(202, &json!({ "lines": 2 }));
    assert_eq!(world.committed(), committed);
    assert_eq!(balance(&world, &installation, Account::Carried).await, "1.75");
    let line_of = |name: &str, amount: &str| json!([{ "name": name, "amount": amount }]);
    let too_many: Vec<Value> = (0..21).map(|_| json!({ "name": "x", "amount": "1.00" })).collect();
    for bad in [
        json!([]),
        json!(too_many),
        line_of("", "1.00"),
        line_of("x", "0.00"),
        line_of("x", "-1.00"),
        line_of("x", "1.001"),
        line_of(&"x".repeat(201), "1.00"),
    ] {
        adjust(&world, &installation, bad).await.is_problem(400, "validation_error");
    }
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    let invoice = world.invoices(&installation).await.remove(0);
    assert_eq!(lines(&invoice), [line("Team plan", "20", "1", "20.00"), line("Support", "3", "1", "3.00")]);
    let discounts = &invoice["discounts"];
    assert_eq!(
        (&discounts[0]["name"], &discounts[0]["amount"], &discounts[0]["resourceId"]),
        (&json!("Outage"), &json!("1.25"), &json!(id))
    );
    assert_eq!(bills(&world, &installation).await, [bill("21.75", "pending")]);
    paid(&world).await;
    world.close().await;
}

/// A partner that gives the same discount every month sends the same lines under another `webhook-id`.
#[tokio::test]
async fn the_same_adjustment_asked_for_twice_is_two_adjustments() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let lines = json!([{ "name": "Loyalty", "amount": "5.00", "credit": true }]);
    for wanted in ["-5.00", "-10.00"] {
        adjust(&world, &installation, lines.clone()).await.expect(202);
        assert_eq!(balance(&world, &installation, Account::Carried).await, wanted);
    }
    world.advance_to(JANUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    assert_eq!(bills(&world, &installation).await, [bill("10.00", "pending")]);
    paid(&world).await;
    world.close().await;
}

/// What a credit leaves below nothing is not invoiced; the rest of it goes on.
#[tokio::test]
async fn a_credit_larger_than_the_bill_is_carried_on() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    adjust(&world, &installation, json!([{ "name": "Sorry", "amount": "25.00", "credit": true }])).await.expect(202);
    world.advance_to(JANUARY_CLOSES).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(bills(&world, &installation).await, []);
    assert_eq!(balance(&world, &installation, Account::Carried).await, "-5.00");
    world.advance_to(FEBRUARY_CLOSES).await;
    world.cron("/cron/invoices").await;
    assert_eq!(bills(&world, &installation).await, [bill("15.00", "pending")]);
    assert_eq!(balance(&world, &installation, Account::Carried).await, "0.00");
    paid(&world).await;
    world.close().await;
}

#[tokio::test]
async fn less_than_half_a_dollar_is_carried_to_the_next_month() {
    let world = pennies().await;
    let (installation, id) = world.customer("pennies").await;
    world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "30")]).await.expect(200);
    world.advance_to(JANUARY_CLOSES).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(bills(&world, &installation).await, []);
    assert_eq!(balance(&world, &installation, Account::Carried).await, "0.30");
    world.report(&installation, "b2", &[(&id, "queries", "2027-02-01T00:00:00Z", "19")]).await.expect(200);
    // 0.49 so far: carried again.
    world.advance_to(FEBRUARY_CLOSES).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(bills(&world, &installation).await, []);
    world.report(&installation, "b3", &[(&id, "queries", "2027-03-01T00:00:00Z", "1")]).await.expect(200);
    world.advance_to("2027-04-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    let invoice = world.invoices(&installation).await.remove(0);
    let carried = "Carried over from earlier periods";
    assert_eq!(lines(&invoice), [line("Queries", "0.01", "1", "0.01"), line(carried, "0.49", "1", "0.49")]);
    assert_eq!(bills(&world, &installation).await, [bill("0.50", "pending")]);
    paid(&world).await;
    world.close().await;
}

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
        let carried: i64 = world.installation(&installation).await.carried.iter().map(|it| it.cents).sum();
        assert_eq!(charged.cents() + carried, 500 + 300, "{invoiced} invoiced, {carried} cents carried");
        paid(&world).await;
        world.close().await;
    }
}

/// The invoice can be read no more when we come to it: the token died with the last payment. What Vercel's signed events
/// said of it is booked, each fact.
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
    assert_eq!(world.fates(&installation, &effects).await, [("pending".to_owned(), 1)]);
    world.send_partner(&ask("1.00", "more")).await.is_problem(409, "conflict");
    // The lost call is waited out; then Vercel says that it has begun.
    world.advance("1m").await;
    world.cron("/cron/outbox").await;
    let calls = world.calls_since(mark).await;
    assert_eq!(calls.iter().filter(|call| call.starts_with("POST billing/invoices/actions")).count(), 1, "{calls:?}");
    assert_eq!(world.fates(&installation, &effects).await, [("delivered".to_owned(), 0)]);
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
        event("paid", json!({ "externalInvoiceId": format!("{installation}.i99") })),
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
