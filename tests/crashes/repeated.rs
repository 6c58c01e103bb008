//! The caller comes back: it always ends the same.

use serde_json::{Value, json};
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InstallationStatus, InvoicePhase, MeterTotal, PushFailed, Resource, ResourceState};

use crate::world;
use crate::world::World;
use crate::world::got::{Got, text};
use crate::world::partner::usage;
use crate::world::vercel::Call;
use crate::{
    Caller, Stage, a_month_of_scale, a_paid_invoice, adjust, balance, close, cron, cut_off, delete, digests, live,
    nothing, partner, provision, refund, rename, report_late, rotate, tell, totals, uninstall,
};

async fn cut_off_everywhere(
    prepare: impl AsyncFn(&World, &Stage),
    act: impl AsyncFn(&World, &Stage) -> Got,
    check: impl AsyncFn(&World, &Stage),
) {
    cut_off(Caller::Repeats, prepare, act, check).await;
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

#[tokio::test]
async fn a_change() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        assert_eq!(stored.name, "renamed");
    };
    cut_off_everywhere(nothing, rename, check).await;
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

#[tokio::test]
async fn a_delete() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 0);
        assert_eq!(world.installation(&stage.installation).await.resources_live, 0);
    };
    cut_off_everywhere(nothing, delete, check).await;
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

/// After the close it costs something, by way of the archive and the carried amounts.
#[tokio::test]
async fn a_late_batch_of_usage() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(balance(world, stage, Account::Carried).await, "1.00");
    };
    cut_off_everywhere(a_month_of_scale, report_late, check).await;
}

#[tokio::test]
async fn an_event() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.resource(&stage.installation, &stage.resource).await["name"], "renamed");
    };
    cut_off_everywhere(nothing, tell, check).await;
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
