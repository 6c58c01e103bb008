//! What goes to the next invoice: late usage, adjustments, amounts that are too small.

use serde_json::{Value, json};
use tradepost_provider::ledger::Account;

use crate::world;
use crate::world::got::Got;
use crate::world::{SCALE, TEAM, World};
use crate::{FEBRUARY_CLOSES, JANUARY_CLOSES, balance, bill, bills, line, lines, paid, pennies, totals};

async fn adjust(world: &World, installation: &str, lines: Value) -> Got {
    world.partner("invoice.adjust", "/partner/invoices", installation, json!({ "lines": lines })).await
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
        assert_eq!(carried.iter().map(|it| it.amount.cents()).collect::<Vec<_>>(), [100]);
    }
    // Another batch of the same period is put beside it, and prices from where the first ended.
    let more =
        [(id.as_str(), "queries", "2027-01-26T00:00:00Z", "4000"), (&id, "queries", "2027-02-01T08:00:00Z", "7")];
    world.report(&installation, "later", &more).await.expect(200);
    assert_eq!(committed().await.iter().map(|it| it.amount.cents()).collect::<Vec<_>>(), [110]);
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
