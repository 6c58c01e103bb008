//! A crash between any two steps loses nothing and repeats nothing: every act is cut off after each of its commits in
//! turn. Repeated, as Vercel, partner systems and the scheduler do, it always ends the same. Not repeated, it has
//! happened whole or not at all, and whoever is owed something for it gets it from the sweeper.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use http::Method;
use serde_json::{Value, json};
use tradepost_cli::development;
use tradepost_provider::ledger::{Account, Balances};
use tradepost_provider::state::{
    InstallationStatus, InvoicePhase, LedgerEntry, MeterTotal, PushFailed, Resource, ResourceState, UsageBatch,
};
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

async fn cut_off_everywhere(
    prepare: impl AsyncFn(&World, &Stage),
    act: impl AsyncFn(&World, &Stage) -> Got,
    check: impl AsyncFn(&World, &Stage),
) {
    cut_off(Caller::Repeats, prepare, act, check).await;
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

#[tokio::test]
async fn an_install() {
    let act = async |world: &World, stage: &Stage| {
        let credentials = json!({ "access_token": "another-token", "token_type": "Bearer" });
        let body = json!({ "scopes": [], "credentials": credentials });
        let path = format!("/v1/installations/{}", stage.installation);
        world.vercel(Call::new("PUT", path).of(&stage.installation).body(body).key("k")).await
    };
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.installation(&stage.installation).await.retired_tokens.len(), 1);
    };
    cut_off_everywhere(nothing, act, check).await;
}

async fn provision(world: &World, stage: &Stage) -> Got {
    let body = json!({ "productId": PRODUCT, "name": "more", "billingPlanId": TEAM, "metadata": {} });
    world.vercel(Call::new("POST", resources(stage)).of(&stage.installation).body(body).key("k")).await
}

#[tokio::test]
async fn a_provision() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 2);
        assert_eq!(world.installation(&stage.installation).await.resources_live, 2);
        let kept = world.records::<Resource>(&stage.installation, "S#1#").await;
        assert!(kept.len() == 2 && kept.iter().all(|resource| resource.state == ResourceState::Live));
        assert!(kept.iter().all(|resource| live(world, resource.id.as_str()) == [1]));
    };
    cut_off_everywhere(nothing, provision, check).await;
}

async fn rename(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("PATCH", path).of(&stage.installation).body(json!({ "name": "renamed" })).key("k")).await
}

#[tokio::test]
async fn a_change() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        assert_eq!(stored.name, "renamed");
    };
    cut_off_everywhere(nothing, rename, check).await;
}

async fn rotate(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}/secrets/rotate", resources(stage), stage.resource);
    world.vercel(Call::new("POST", path).of(&stage.installation).body(json!({})).key("k")).await
}

#[tokio::test]
async fn a_rotation() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(live(world, &stage.resource), [1, 2], "one rotation");
        let held = world.secrets(&stage.installation, &stage.resource).await;
        assert_eq!(held, digests(world, &stage.resource, 2));
    };
    cut_off_everywhere(nothing, rotate, check).await;
}

#[tokio::test]
async fn the_expiry_of_old_secrets() {
    let prepare = async |world: &World, stage: &Stage| {
        let route = format!("/partner/resources/{}/secrets", stage.resource);
        let data = json!({ "resourceId": stage.resource, "delayHours": 0 });
        world.partner("secrets.rotate", &route, &stage.installation, data).await.expect(202);
        world.advance("2m").await;
    };
    let act = async |world: &World, _: &Stage| cron(world, "/cron/secrets").await;
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(live(world, &stage.resource), [2]);
        assert_eq!(world.secrets(&stage.installation, &stage.resource).await, digests(world, &stage.resource, 2));
    };
    cut_off_everywhere(prepare, act, check).await;
}

async fn delete(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

#[tokio::test]
async fn a_delete() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 0);
        assert_eq!(world.installation(&stage.installation).await.resources_live, 0);
    };
    cut_off_everywhere(nothing, delete, check).await;
}

async fn uninstall(world: &World, stage: &Stage) -> Got {
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

#[tokio::test]
async fn an_uninstall() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 0);
        let stored = world.installation(&stage.installation).await;
        assert_eq!((stored.status, stored.resources_live), (InstallationStatus::Uninstalling, 0));
    };
    cut_off_everywhere(nothing, uninstall, check).await;
}

#[tokio::test]
async fn a_batch_of_usage() {
    let act = async |world: &World, stage: &Stage| {
        let data = usage("b1", &[(&stage.resource, "queries", world::BEGIN, "10")]);
        partner(world, "usage.recorded", "/partner/usage", &stage.installation, data).await
    };
    let check = async |world: &World, stage: &Stage| {
        let totals = world.records::<MeterTotal>(&stage.installation, "S#2#").await;
        assert_eq!(totals.iter().map(|it| it.aggregate.period_value().to_string()).collect::<Vec<_>>(), ["10"]);
    };
    cut_off_everywhere(nothing, act, check).await;
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

/// After the close it costs something, by way of the archive and the carried amounts.
#[tokio::test]
async fn a_late_batch_of_usage() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(balance(world, stage, Account::Carried).await, "1.00");
    };
    cut_off_everywhere(a_month_of_scale, report_late, check).await;
}

async fn tell(world: &World, stage: &Stage) -> Got {
    let data = json!({ "resourceId": stage.resource, "name": "renamed" });
    partner(world, "resource.updated", "/partner/events", &stage.installation, data).await
}

#[tokio::test]
async fn an_event() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.resource(&stage.installation, &stage.resource).await["name"], "renamed");
    };
    cut_off_everywhere(nothing, tell, check).await;
}

async fn adjust(world: &World, stage: &Stage) -> Got {
    let data = json!({ "lines": [{ "name": "Sorry", "amount": "5.00", "credit": true }] });
    partner(world, "invoice.adjust", "/partner/invoices", &stage.installation, data).await
}

#[tokio::test]
async fn an_adjustment() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(balance(world, stage, Account::Carried).await, "-5.00");
    };
    cut_off_everywhere(nothing, adjust, check).await;
}

#[tokio::test]
async fn a_close_by_the_scheduler() {
    let prepare = async |world: &World, _: &Stage| world.advance_to("2027-02-01T06:05:00Z").await;
    let act = async |world: &World, _: &Stage| cron(world, "/cron/invoices").await;
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(totals(world, stage).await, ["20.00"]);
        assert_eq!(balance(world, stage, Account::Settled).await, "20.00");
    };
    cut_off_everywhere(prepare, act, check).await;
}

async fn close(world: &World, stage: &Stage) -> Got {
    partner(world, "invoice.close", "/partner/invoices", &stage.installation, json!({})).await
}

#[tokio::test]
async fn a_close_on_demand() {
    let prepare = async |world: &World, _: &Stage| world.advance_to("2027-01-11T00:00:00Z").await;
    let check = async |world: &World, stage: &Stage| {
        let invoices = world.invoices(&stage.installation).await;
        assert_eq!(totals(world, stage).await.len(), 1, "{invoices:#?}");
        // Ten of 31 days, and the two minutes that the repeat may have come later.
        assert!(["6.45", "6.46"].contains(&totals(world, stage).await[0].as_str()), "{invoices:#?}");
    };
    cut_off_everywhere(prepare, close, check).await;
}

#[tokio::test]
async fn the_end() {
    let prepare = async |world: &World, stage: &Stage| {
        world.advance("10d").await;
        world.uninstall(&stage.installation).await;
        world.advance("6h").await;
    };
    let act = async |world: &World, _: &Stage| cron(world, "/cron/invoices").await;
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(totals(world, stage).await, ["6.45"]);
        assert_eq!(balance(world, stage, Account::Settled).await, "6.45");
        assert_eq!(world.installation(&stage.installation).await.status, InstallationStatus::Finalized);
    };
    cut_off_everywhere(prepare, act, check).await;
}

async fn refund(world: &World, stage: &Stage) -> Got {
    let invoice = format!("{}.i1", stage.installation);
    let data = json!({ "invoiceId": invoice, "total": "5.00", "reason": "an outage" });
    let route = format!("/partner/invoices/{invoice}/refund");
    partner(world, "invoice.refund", &route, &stage.installation, data).await
}

#[tokio::test]
async fn a_refund() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(balance(world, stage, Account::Refunds).await, "5.00");
        assert_eq!(balance(world, stage, Account::Settled).await, "15.00");
    };
    cut_off_everywhere(a_paid_invoice, refund, check).await;
}

/// Vercel repeats its webhooks until they are taken.
#[tokio::test]
async fn the_webhooks_of_an_invoice() {
    let prepare = async |world: &World, _: &Stage| {
        world.advance_to("2027-02-01T06:05:00Z").await;
        world.cron("/cron/invoices").await;
    };
    let act = async |world: &World, _: &Stage| {
        world.advance("2h").await;
        world.control("GET", "/_sim/health", Value::Null).await
    };
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.stored_invoice(&stage.installation, 1).await.phase, InvoicePhase::Paid);
        assert_eq!(balance(world, stage, Account::Settled).await, "20.00");
    };
    cut_off_everywhere(prepare, act, check).await;
}

#[tokio::test]
async fn the_hourly_push() {
    let prepare = async |world: &World, stage: &Stage| {
        world.report(&stage.installation, "b1", &[(&stage.resource, "queries", world::BEGIN, "10")]).await.expect(200);
        world.advance_to("2027-01-02T00:59:00Z").await;
    };
    let act = async |world: &World, _: &Stage| cron(world, "/cron/billing").await;
    let check = async |world: &World, stage: &Stage| {
        let state = world.state(&stage.installation).await;
        let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
        assert_eq!(days, ["2027-01-01T23:59:59.999Z", "2027-01-02T23:59:59.999Z"]);
        assert_eq!(state["interim"][0]["usage"][0]["dayValue"], 10);
        assert_eq!(world.records::<PushFailed>(&stage.installation, "S#3").await.len(), 0);
    };
    cut_off_everywhere(prepare, act, check).await;
}

#[tokio::test]
async fn a_provision_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        // Answered or not, Vercel's side asked for one at most; what was never answered is taken back.
        let kept = world.records::<Resource>(&stage.installation, "S#1#").await;
        assert_eq!(kept.len(), world.local.provisioner.resources());
        assert!(kept.iter().all(|resource| resource.state == ResourceState::Live));
        assert_eq!(world.installation(&stage.installation).await.resources_live as usize, kept.len());
    };
    cut_off(Caller::GivesUp, nothing, provision, check).await;
}

#[tokio::test]
async fn a_change_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        let orders = world.provisioner.orders();
        let told = orders.last().unwrap();
        assert_eq!(json!(stored.name), told["name"], "the provisioner and we call it the same");
    };
    cut_off(Caller::GivesUp, nothing, rename, check).await;
}

#[tokio::test]
async fn a_rotation_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let newest = *live(world, &stage.resource).last().unwrap();
        let held = world.secrets(&stage.installation, &stage.resource).await;
        assert_eq!(held, digests(world, &stage.resource, newest), "Vercel has what the provisioner made");
    };
    cut_off(Caller::GivesUp, nothing, rotate, check).await;
}

#[tokio::test]
async fn a_delete_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        let there = usize::from(stored.state == ResourceState::Live);
        assert_eq!(world.local.provisioner.resources(), there);
        assert_eq!(world.installation(&stage.installation).await.resources_live as usize, there);
    };
    cut_off(Caller::GivesUp, nothing, delete, check).await;
}

#[tokio::test]
async fn an_uninstall_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.installation(&stage.installation).await;
        let there = usize::from(stored.status == InstallationStatus::Active);
        assert_eq!(world.local.provisioner.resources(), there);
        assert_eq!(stored.resources_live as usize, there);
    };
    cut_off(Caller::GivesUp, nothing, uninstall, check).await;
}

#[tokio::test]
async fn an_event_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        let shown = world.resource(&stage.installation, &stage.resource).await;
        assert_eq!(shown["name"], json!(stored.name), "what was stored was told");
    };
    cut_off(Caller::GivesUp, nothing, tell, check).await;
}

/// That the ledger has what the installation carries is looked at when the world closes.
#[tokio::test]
async fn an_adjustment_that_nobody_repeats() {
    cut_off(Caller::GivesUp, nothing, adjust, nothing).await;
}

#[tokio::test]
async fn a_late_batch_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let known = world.records::<UsageBatch>(&stage.installation, "U#").await.len() == 2;
        let wanted = if known { "1.00" } else { "0.00" };
        assert_eq!(balance(world, stage, Account::Carried).await, wanted);
    };
    cut_off(Caller::GivesUp, a_month_of_scale, report_late, check).await;
}

/// A close that was begun is finished by the scheduler.
#[tokio::test]
async fn a_close_on_demand_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        world.cron("/cron/invoices").await;
        world.advance("3h").await;
        let closed = world.installation(&stage.installation).await.closed_periods.len();
        assert_eq!(totals(world, stage).await.len(), closed);
        assert!(closed <= 1);
    };
    let prepare = async |world: &World, _: &Stage| world.advance_to("2027-01-11T00:00:00Z").await;
    cut_off(Caller::GivesUp, prepare, close, check).await;
}

#[tokio::test]
async fn a_refund_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let asked = world.stored_invoice(&stage.installation, 1).await.refund.is_some();
        let wanted = if asked { "5.00" } else { "0.00" };
        assert_eq!(balance(world, stage, Account::Refunds).await, wanted);
    };
    cut_off(Caller::GivesUp, a_paid_invoice, refund, check).await;
}
