//! What must be true at the end of every world.

use serde_json::Value;
use tradepost_marketplace::money::Money;
use tradepost_provider::ledger::{Account, Balances, Entry};
use tradepost_provider::state::{InvoiceRecord, LedgerEntry};

use super::World;
use super::got::text;

/// Nothing is owed but what the test says, and no command is in progress. What waits on
/// purpose from the start, and was not tried yet, is not looked for: a test need not sweep for it.
pub async fn left(world: &World, wanted: &[&str]) {
    let mut effects = Vec::new();
    for item in world.dump().await {
        let key = item["sk"]["S"].as_str().unwrap_or_default();
        let data = &item["data"]["M"];
        let given_up = data["abandoned"]["BOOL"] == true;
        let waits = data["owed_since"].get("S").is_some() && data["last_failure"].get("S").is_none();
        // Vercel's face was asked by a raw call, which keeps no answer.
        let is_asked = data["what"]["M"].get("confirm_resource").is_some() && data["attempts"]["N"] == "0";
        let waits = waits || is_asked;
        if (key.starts_with("E#") || key.starts_with("Q#")) && !given_up && !waits {
            effects.push(match &data["what"]["M"] {
                Value::Object(what) => what.keys().next().cloned().unwrap_or_default(),
                _ => text(&data["what"]["S"]),
            });
        }
        let busy = item["kind"]["S"] == "resource" && data["operation"].get("M").is_some();
        assert!(!busy, "an operation is left on {item}");
    }
    effects.sort();
    assert_eq!(effects, wanted, "what is left in the outbox");
}

/// Every fault that was armed for a number of times has struck so often.
pub async fn faults_are_spent(world: &World) {
    let armed = world.control("GET", "/_sim/faults", Value::Null).await.expect(200).body;
    for fault in armed.as_array().unwrap() {
        let fired = fault["fired"].as_u64().unwrap();
        let spent = fault.get("times").and_then(Value::as_u64).map_or(fired > 0, |times| fired == times);
        assert!(spent, "a fault was armed and not spent: {fault}");
    }
}

/// Every request in either direction has ended.
pub async fn nothing_runs(world: &World) {
    let open: Vec<_> = world.log_since(0).await.into_iter().filter(|row| row.outcome == "open").collect();
    assert!(open.is_empty(), "requests that have not ended: {open:#?}");
}

fn money(value: &Value) -> Money {
    value.as_str().map_or(Money::ZERO, |text| text.parse().unwrap())
}

fn difference(a: Money, b: Money) -> Money {
    Money::from_cents(a.cents() - b.cents())
}

/// The ledger of every installation says of each invoice what Vercel says.
pub async fn books(world: &World) {
    for item in world.dump().await.iter().filter(|item| item["kind"]["S"] == "installation") {
        books_of(world, &text(&item["data"]["M"]["id"]["S"])).await;
    }
}

async fn books_of(world: &World, id: &str) {
    let entries: Vec<Entry> =
        world.records::<LedgerEntry>(id, "J#").await.into_iter().map(|stored| stored.item.entry).collect();
    let balances = Balances::of(&entries).unwrap();
    let (mut settled, mut receivable, mut refunds) = (Money::ZERO, Money::ZERO, Money::ZERO);
    for invoice in world.invoices(id).await.iter().filter(|invoice| invoice["isTest"] == false) {
        let back = money(&invoice["refundTotal"]);
        let side = if invoice["paidAt"].is_null() { &mut receivable } else { &mut settled };
        *side += difference(money(&invoice["total"]), back);
        refunds += back;
    }
    let mut carried: i64 = world.installation(id).await.carried.iter().map(|carried| carried.amount.cents()).sum();
    let records = world.records::<InvoiceRecord>(id, "V#").await;
    carried +=
        records.iter().filter(|record| !record.booked_issued).map(|record| record.carried_in.cents()).sum::<i64>();
    for (account, wanted) in [
        (Account::Settled, settled),
        (Account::Receivable, receivable),
        (Account::Refunds, refunds),
        (Account::Carried, Money::from_cents(carried)),
    ] {
        assert_eq!(balances.debit(account), wanted, "{account} of {id}, ours and Vercel's: {entries:#?}");
    }
    let sum: Money = balances.iter().map(|(_, balance)| balance).sum();
    assert_eq!(sum, Money::ZERO, "the ledger of {id} balances");
}
