//! The caller does not come back: whole, or not at all.

use serde_json::json;
use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InstallationStatus, Resource, UsageBatch};

use crate::world::World;
use crate::world::acts::{
    Stage, a_month_of_scale, a_paid_invoice, adjust, buy, close, delete, digests, live, nothing, refund, rename,
    report_late, rotate, tell, uninstall,
};
use crate::{Caller, balance, cut_off, totals};

#[tokio::test]
async fn a_provision_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        // What was never answered is taken back: we have what Vercel has.
        let mut kept = world.records::<Resource>(&stage.installation, "S#1#").await;
        kept.retain(|resource| !resource.life.is_void());
        assert_eq!(kept.len(), world.state(&stage.installation).await["resources"].as_array().unwrap().len());
        assert_eq!(kept.len(), world.local.provisioner.resources());
        assert!(kept.iter().all(|resource| resource.life.is_there()));
        assert_eq!(world.installation(&stage.installation).await.resources_live as usize, kept.len());
    };
    cut_off(Caller::GivesUp, nothing, buy, check).await;
}

#[tokio::test]
async fn a_change_that_nobody_repeats() {
    let check = async |world: &World, stage: &Stage| {
        let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
        let orders = world.provisioner.orders();
        let told = orders.last().unwrap();
        assert_eq!(json!(stored.name), told["name"], "the provisioner and we call it the same");
        let shown = world.resource(&stage.installation, &stage.resource).await;
        assert_eq!(json!(stored.name), shown["name"], "and so does Vercel");
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
        let there = usize::from(stored.life.is_there());
        assert_eq!(world.local.provisioner.resources(), there);
        assert_eq!(world.installation(&stage.installation).await.resources_live as usize, there);
        let shown = world.resource(&stage.installation, &stage.resource).await;
        assert_eq!(shown["deletedAt"].is_null(), there == 1, "Vercel has heard of it");
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
