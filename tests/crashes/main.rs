//! A crash between any two steps loses nothing and repeats nothing. [`points`] lets the provider die before and after
//! every call to the outside; here every act is cut off after each of its commits in turn. Repeated, as Vercel, partner systems and the scheduler do, it always ends the same. Not repeated, it has
//! happened whole or not at all, and whoever is owed something for it gets it from the sweeper.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod given_up;
mod points;
mod repeated;
#[path = "../world/mod.rs"]
mod world;

use http::Method;
use serde_json::{Value, json};
use tradepost_cli::development;
use tradepost_provider::ledger::{Account, Balances};
use tradepost_provider::state::{LedgerEntry, Resource};
use tradepost_store::Write;
use world::got::{Got, text};
use world::partner::usage;
use world::table::resource_id;
use world::vercel::{Call, sha256};
use world::{PRODUCT, TEAM, World};

/// Longer than every lease.
const LATER: i64 = 121;

/// More commits than any act makes.
const COMMITS_MAX: u64 = 30;

/// What acts work with: an installation on [`TEAM`] and its resource.
struct Stage {
    installation: String,
    resource: String,
}

/// Whether whoever acts comes back after the crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Repeats,
    GivesUp,
}

/// Plays an act in a new world for every commit at which the provider may die, and looks at the end.
async fn cut_off(
    caller: Caller,
    prepare: impl AsyncFn(&World, &Stage),
    act: impl AsyncFn(&World, &Stage) -> Got,
    check: impl AsyncFn(&World, &Stage),
) {
    for commits in 0..COMMITS_MAX {
        let world = World::open().await;
        let (installation, resource) = world.customer(TEAM).await;
        let stage = Stage { installation, resource };
        prepare(&world, &stage).await;
        let before = world.committed();
        world.die_after(commits);
        act(&world, &stage).await;
        let lived = world.committed() - before < commits;
        world.revive_after(LATER).await;
        if caller == Caller::Repeats {
            let got = act(&world, &stage).await;
            assert!((200..300).contains(&got.status), "the repeat after {commits} commits: {got:?}");
        }
        for _ in 0..3 {
            world.sweep().await;
        }
        check(&world, &stage).await;
        world.close().await;
        if lived {
            assert!(commits > 0, "the act writes nothing");
            return;
        }
    }
    panic!("the act makes more than {COMMITS_MAX} commits");
}

async fn nothing(_: &World, _: &Stage) {}

/// An invoice of January, paid.
async fn a_paid_invoice(world: &World, _: &Stage) {
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    world.advance("2h").await;
}

/// The same partner call, signed anew.
async fn partner(world: &World, kind: &str, route: &str, installation: &str, data: Value) -> Got {
    let call = world.partner_call(kind, route, installation, &data);
    world.send_partner(&world::partner::Call { id: "msg_the_same".to_owned(), ..call }).await
}

/// The scheduler's call, which may fail.
async fn cron(world: &World, path: &str) -> Got {
    let bearer = format!("Bearer {}", development::CRON_SECRET);
    world.send(world.request(Method::GET, path).header("authorization", bearer), "").await
}

fn resources(stage: &Stage) -> String {
    format!("/v1/installations/{}/resources", stage.installation)
}

fn digests(world: &World, resource: &str, version: u64) -> Vec<(String, String)> {
    let made = world.local.provisioner.secrets(&resource_id(resource), version).into_iter();
    let mut digests: Vec<_> = made.map(|(name, value)| (name.to_owned(), sha256(&value))).collect();
    digests.sort();
    digests
}

fn live(world: &World, resource: &str) -> Vec<u64> {
    world.local.provisioner.live_versions(&resource_id(resource)).into_iter().collect()
}

async fn balance(world: &World, stage: &Stage, account: Account) -> String {
    let entries = world.records::<LedgerEntry>(&stage.installation, "J#").await;
    Balances::of(entries.iter().map(|stored| &stored.entry)).unwrap().debit(account).to_string()
}

async fn totals(world: &World, stage: &Stage) -> Vec<String> {
    let invoices = world.invoices(&stage.installation).await;
    invoices.iter().map(|invoice| text(&invoice["total"])).collect()
}

async fn provision(world: &World, stage: &Stage) -> Got {
    let body = json!({ "productId": PRODUCT, "name": "more", "billingPlanId": TEAM, "metadata": {} });
    world.vercel(Call::new("POST", resources(stage)).of(&stage.installation).body(body).key("k")).await
}

async fn rename(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("PATCH", path).of(&stage.installation).body(json!({ "name": "renamed" })).key("k")).await
}

async fn rotate(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}/secrets/rotate", resources(stage), stage.resource);
    world.vercel(Call::new("POST", path).of(&stage.installation).body(json!({})).key("k")).await
}

async fn delete(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

async fn uninstall(world: &World, stage: &Stage) -> Got {
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

async fn a_month_of_scale(world: &World, stage: &Stage) {
    let path = format!("/_sim/installations/{}/resources/{}", stage.installation, stage.resource);
    world.control("PATCH", &path, json!({ "planId": world::SCALE })).await.expect(200);
    world.report(&stage.installation, "b0", &[(&stage.resource, "queries", world::BEGIN, "100000")]).await.expect(200);
    a_paid_invoice(world, stage).await;
}

async fn report_late(world: &World, stage: &Stage) -> Got {
    let data = usage("b1", &[(&stage.resource, "queries", "2027-01-31T00:00:00Z", "40000")]);
    partner(world, "usage.recorded", "/partner/usage", &stage.installation, data).await
}

async fn tell(world: &World, stage: &Stage) -> Got {
    let data = json!({ "resourceId": stage.resource, "name": "renamed" });
    partner(world, "resource.updated", "/partner/events", &stage.installation, data).await
}

async fn adjust(world: &World, stage: &Stage) -> Got {
    let data = json!({ "lines": [{ "name": "Sorry", "amount": "5.00", "credit": true }] });
    partner(world, "invoice.adjust", "/partner/invoices", &stage.installation, data).await
}

async fn close(world: &World, stage: &Stage) -> Got {
    partner(world, "invoice.close", "/partner/invoices", &stage.installation, json!({})).await
}

async fn refund(world: &World, stage: &Stage) -> Got {
    let invoice = format!("{}.i1", stage.installation);
    let data = json!({ "invoiceId": invoice, "total": "5.00", "reason": "an outage" });
    let route = format!("/partner/invoices/{invoice}/refund");
    partner(world, "invoice.refund", &route, &stage.installation, data).await
}

async fn install(world: &World, stage: &Stage) -> Got {
    let credentials = json!({ "access_token": "another-token", "token_type": "Bearer" });
    let body = json!({ "scopes": [], "credentials": credentials });
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("PUT", path).of(&stage.installation).body(body).key("k")).await
}

/// A rotation whose old secrets are over.
async fn rotated(world: &World, stage: &Stage) {
    let route = format!("/partner/resources/{}/secrets", stage.resource);
    let data = json!({ "resourceId": stage.resource, "delayHours": 0 });
    world.partner("secrets.rotate", &route, &stage.installation, data).await.expect(202);
    world.advance("2m").await;
}

async fn expire(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/secrets").await
}

async fn some_usage(world: &World, stage: &Stage) -> Got {
    let data = usage("b1", &[(&stage.resource, "queries", world::BEGIN, "10")]);
    partner(world, "usage.recorded", "/partner/usage", &stage.installation, data).await
}

async fn at_the_next_month(world: &World, _: &Stage) {
    world.advance_to("2027-02-01T06:05:00Z").await;
}

async fn run_invoices(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/invoices").await
}

async fn ten_days(world: &World, _: &Stage) {
    world.advance_to("2027-01-11T00:00:00Z").await;
}

/// Uninstalled, and past the time of grace for late readings.
async fn at_the_end(world: &World, stage: &Stage) {
    world.advance("10d").await;
    world.uninstall(&stage.installation).await;
    world.advance("6h").await;
}

async fn invoiced(world: &World, stage: &Stage) {
    at_the_next_month(world, stage).await;
    world.cron("/cron/invoices").await;
}

/// January's invoice, whose submission fails once, the way that the fault says.
async fn an_invoice_that_fails(world: &World, fault: Value) {
    world.advance_to("2027-02-01T06:05:00Z").await;
    let path = "*/billing/invoices";
    world.vercel_fails(json!([{ "match": { "method": "POST", "path": path }, "fault": fault, "times": 1 }])).await;
    world.cron("/cron/invoices").await;
}

/// Vercel has it, and we do not know.
async fn a_doubtful_invoice(world: &World, _: &Stage) {
    an_invoice_that_fails(world, json!("reset_after")).await;
}

async fn a_refused_invoice(world: &World, _: &Stage) {
    an_invoice_that_fails(world, json!({ "kind": "status", "status": 400 })).await;
}

async fn settle(world: &World, stage: &Stage, mut data: Value) -> Got {
    data["invoiceId"] = json!(format!("{}.i1", stage.installation));
    partner(world, "invoice.settle", "/partner/invoices", &stage.installation, data).await
}

async fn give_up(world: &World, stage: &Stage) -> Got {
    settle(world, stage, json!({ "outcome": "abandon", "reason": "billed by hand" })).await
}

async fn submit_again(world: &World, stage: &Stage) -> Got {
    settle(world, stage, json!({ "outcome": "resubmit" })).await
}

async fn declare_submitted(world: &World, stage: &Stage) -> Got {
    let id = world.invoices(&stage.installation).await.remove(0)["invoiceId"].clone();
    settle(world, stage, json!({ "outcome": "submitted", "vercelInvoiceId": id })).await
}

/// Vercel refused to hear of a change.
async fn dead_news(world: &World, stage: &Stage) {
    let fault = json!({ "kind": "status", "status": 400 });
    world.vercel_fails(json!([{ "match": { "path": "*/events" }, "fault": fault, "times": 1 }])).await;
    let data = json!({ "resourceId": stage.resource, "name": "renamed" });
    world.partner("resource.updated", "/partner/events", &stage.installation, data).await.expect(202);
}

async fn try_again(world: &World, stage: &Stage) -> Got {
    let id = format!("{}/state/{}/resource_updated/1", stage.installation, stage.resource);
    let data = json!({ "effectId": id, "outcome": "retry" });
    partner(world, "effect.settle", "/partner/invoices", &stage.installation, data).await
}

/// The table was restored to before changes that the provisioner has seen.
async fn forgotten_fences(world: &World, stage: &Stage) {
    for _ in 0..3 {
        let path = format!("{}/{}", resources(stage), stage.resource);
        let body = json!({ "name": "renamed" });
        world.vercel(Call::new("PATCH", path).of(&stage.installation).body(body)).await.expect(200);
    }
    let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
    let forgot = Resource { fence: 0, ..stored.item };
    world.local.bare.commit(vec![Write::replace(&forgot, stored.version).unwrap()]).await.unwrap();
}

/// The last period is over and cost nothing, and Vercel knows the token no more.
async fn gone(world: &World, stage: &Stage) {
    let path = format!("/_sim/installations/{}/resources/{}", stage.installation, stage.resource);
    world.control("PATCH", &path, json!({ "planId": world::FREE })).await.expect(200);
    at_the_end(world, stage).await;
    let fault = json!({ "kind": "status", "status": 401 });
    let refused = |path: &str| json!({ "match": { "path": path }, "fault": fault });
    world.vercel_fails(json!([refused("*/billing/finalize"), refused("*/account")])).await;
}

/// Time enough for Vercel to collect, and to say so.
async fn two_hours_pass(world: &World, _: &Stage) -> Got {
    world.advance("2h").await;
    world.control("GET", "/_sim/health", Value::Null).await
}

/// Some usage, and the next day begun.
async fn at_the_second_day(world: &World, stage: &Stage) {
    world.report(&stage.installation, "b1", &[(&stage.resource, "queries", world::BEGIN, "10")]).await.expect(200);
    world.advance_to("2027-01-02T00:59:00Z").await;
}

async fn push(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/billing").await
}
