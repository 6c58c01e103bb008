//! Acts on what Vercel may or may not know: answers that it has had, resources that it denies, an installation that it
//! says is gone.

use serde_json::json;
use tradepost_provider::state::Resource;

use super::World;
use super::acts::{Stage, a_paid_invoice, buy, invoiced, partner, refund, rotate, settle, tell, uninstall};
use super::got::Got;

/// Vercel has had its answer to a rotation that it asked for.
pub async fn rotation_answered(world: &World, stage: &Stage) {
    rotate(world, stage).await.expect(202);
    world.advance("5s").await;
}

/// Vercel has had its answer to an uninstall.
pub async fn uninstall_answered(world: &World, stage: &Stage) {
    uninstall(world, stage).await.expect(200);
    world.advance("5s").await;
}

/// Uninstalled while January waits for its close, and past the time of grace.
pub async fn two_periods_at_the_end(world: &World, stage: &Stage) {
    world.advance_to("2027-02-01T05:00:00Z").await;
    world.uninstall(&stage.installation).await;
    world.advance("6h").await;
}

/// A second resource, that Vercel names and says that it does not know.
pub async fn denied(world: &World, stage: &Stage) {
    buy(world, stage).await.expect(201);
    let fault = json!({ "kind": "status", "status": 404 });
    world.vercel_fails(json!([{ "match": { "method": "GET", "path": "*/resources/*" }, "fault": fault }])).await;
    world.sweep().await;
}

pub async fn settle_resource(world: &World, stage: &Stage) -> Got {
    let resources = world.records::<Resource>(&stage.installation, "S#1#").await;
    let denied = resources.into_iter().find(|resource| resource.name == "more").unwrap();
    let data = json!({ "resourceId": denied.id, "outcome": "known" });
    partner(world, "resource.settle", "/partner/invoices", &stage.installation, data).await
}

/// It was denied when January was closed, and turned out to be known; February is over.
pub async fn denied_in_january(world: &World, stage: &Stage) {
    denied(world, stage).await;
    invoiced(world, stage).await;
    world.vercel_heals().await;
    world.sweep().await;
    world.advance_to("2027-03-01T06:05:00Z").await;
}

/// Vercel answers 410 to everything about the installation.
pub async fn answered_gone(world: &World, stage: &Stage) {
    let path = format!("/v1/installations/{}*", stage.installation);
    world.vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 410 } }])).await;
    world.advance_to("2027-01-02T00:59:00Z").await;
}

/// It did, while something was owed to it; now it is there again.
pub async fn held(world: &World, stage: &Stage) {
    answered_gone(world, stage).await;
    tell(world, stage).await.expect(202);
    world.vercel_heals().await;
}

pub async fn settle_installation(world: &World, stage: &Stage) -> Got {
    let data = json!({ "outcome": "there" });
    partner(world, "installation.settle", "/partner/invoices", &stage.installation, data).await
}

/// A refund that Vercel took, and whose webhook never comes.
pub async fn refund_unheard(world: &World, stage: &Stage) {
    world.control("PUT", "/_sim/switches", json!({ "refundWebhooks": "lost" })).await.expect(200);
    a_paid_invoice(world, stage).await;
    refund(world, stage).await.expect(202);
}

/// Vercel has given it back by now.
pub async fn refund_unheard_for_long(world: &World, stage: &Stage) {
    refund_unheard(world, stage).await;
    world.advance("3h").await;
}

pub async fn settle_refund(world: &World, stage: &Stage) -> Got {
    settle(world, stage, json!({ "outcome": "refunded" })).await
}
