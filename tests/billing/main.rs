//! Usage, the hourly push, the close of periods, invoices, refunds and the end: what is charged is what was reported,
//! once, and the ledger says what Vercel says. (Closing a world compares the two to the cent.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod carrying;
mod close;
mod ending;
mod leaving;
mod metering;
mod push;
mod readings;
mod refunds;
mod refused;
mod settling;

use serde_json::Value;
use tradepost_provider::ledger::{Account, Balances};
use tradepost_provider::state::{LedgerEntry, MeterTotal};
use tradepost_rehearsal::world;
use world::got::{Got, text};
use world::{Setup, World};

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

/// Moves the clock until Vercel has taken an invoice's payment: an hour pending, an hour invoiced.
async fn paid(world: &World) {
    world.advance("2h").await;
}
