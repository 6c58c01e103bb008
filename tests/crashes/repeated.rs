//! The caller comes back: it always ends the same.

use tradepost_provider::ledger::Account;
use tradepost_provider::state::{InstallationStatus, InvoicePhase, MeterTotal, PushFailed, Resource};

use crate::world::World;
use crate::world::acts::{
    Stage, a_month_of_scale, a_paid_invoice, adjust, at_the_end, at_the_next_month, at_the_second_day, buy, close,
    delete, digests, expire, install, invoiced, live, nothing, provision, push, refund, rename, report_late, rotate,
    rotated, run_invoices, run_outbox, some_usage, tell, ten_days, two_hours_pass, uninstall, unknown_to_vercel,
};
use crate::world::got::{Got, text};
use crate::{Caller, balance, cut_off, totals};

async fn cut_off_everywhere(
    prepare: impl AsyncFn(&World, &Stage),
    act: impl AsyncFn(&World, &Stage) -> Got,
    check: impl AsyncFn(&World, &Stage),
) {
    cut_off(Caller::Repeats, prepare, act, check).await;
}

#[tokio::test]
async fn an_install() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.installation(&stage.installation).await.retired_tokens.len(), 1);
    };
    cut_off_everywhere(nothing, install, check).await;
}

#[tokio::test]
async fn a_provision() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 2);
        assert_eq!(world.installation(&stage.installation).await.resources_live, 2);
        assert_eq!(world.state(&stage.installation).await["resources"].as_array().unwrap().len(), 2);
        let kept = world.records::<Resource>(&stage.installation, "S#1#").await;
        assert!(kept.len() == 2 && kept.iter().all(|resource| resource.life.is_live()));
        assert!(kept.iter().all(|resource| live(world, resource.id.as_str()) == [1]));
    };
    cut_off_everywhere(nothing, buy, check).await;
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
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(live(world, &stage.resource), [2]);
        assert_eq!(world.secrets(&stage.installation, &stage.resource).await, digests(world, &stage.resource, 2));
    };
    cut_off_everywhere(rotated, expire, check).await;
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
async fn a_resource_taken_back() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.local.provisioner.resources(), 1);
        assert_eq!(world.installation(&stage.installation).await.resources_live, 1);
        let void =
            world.records::<Resource>(&stage.installation, "S#1#").await.into_iter().filter(|it| it.life.is_void());
        assert_eq!(void.map(|it| it.life.is_deleted()).collect::<Vec<_>>(), [true]);
        let repeat = provision(world, stage).await;
        assert_eq!(repeat.status, 409, "{repeat:?}");
    };
    cut_off_everywhere(unknown_to_vercel, run_outbox, check).await;
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
    let check = async |world: &World, stage: &Stage| {
        let totals = world.records::<MeterTotal>(&stage.installation, "S#2#").await;
        assert_eq!(totals.iter().map(|it| it.aggregate.period_value().to_string()).collect::<Vec<_>>(), ["10"]);
    };
    cut_off_everywhere(nothing, some_usage, check).await;
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
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(totals(world, stage).await, ["20.00"]);
        assert_eq!(balance(world, stage, Account::Settled).await, "20.00");
    };
    cut_off_everywhere(at_the_next_month, run_invoices, check).await;
}

#[tokio::test]
async fn a_close_on_demand() {
    let check = async |world: &World, stage: &Stage| {
        let invoices = world.invoices(&stage.installation).await;
        assert_eq!(totals(world, stage).await.len(), 1, "{invoices:#?}");
        // Ten of 31 days, and the two minutes that the repeat may have come later.
        assert!(["6.45", "6.46"].contains(&totals(world, stage).await[0].as_str()), "{invoices:#?}");
    };
    cut_off_everywhere(ten_days, close, check).await;
}

#[tokio::test]
async fn the_end() {
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(totals(world, stage).await, ["6.45"]);
        assert_eq!(balance(world, stage, Account::Settled).await, "6.45");
        assert_eq!(world.installation(&stage.installation).await.status, InstallationStatus::Finalized);
    };
    cut_off_everywhere(at_the_end, run_invoices, check).await;
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
    let check = async |world: &World, stage: &Stage| {
        assert_eq!(world.stored_invoice(&stage.installation, 1).await.phase, InvoicePhase::Paid);
        assert_eq!(balance(world, stage, Account::Settled).await, "20.00");
    };
    cut_off_everywhere(invoiced, two_hours_pass, check).await;
}

#[tokio::test]
async fn the_hourly_push() {
    let check = async |world: &World, stage: &Stage| {
        let state = world.state(&stage.installation).await;
        let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
        assert_eq!(days, ["2027-01-01T23:59:59.999Z", "2027-01-02T23:59:59.999Z"]);
        assert_eq!(state["interim"][0]["usage"][0]["dayValue"], 10);
        assert_eq!(world.records::<PushFailed>(&stage.installation, "S#3").await.len(), 0);
    };
    cut_off_everywhere(at_the_second_day, push, check).await;
}
