//! What is owed is delivered, once and in order, whatever fails on the way: Vercel, the provisioner, the provider's
//! own process. And what nobody finished is finished by the sweeper.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod lanes;
mod left_behind;
mod news;
mod secrets;
mod unheard;

use serde_json::{Value, json};
use tradepost_rehearsal::world;
use world::got::Got;
use world::provisioner::Mood;
use world::table::resource_id;
use world::vercel::{Call, sha256};
use world::{PRODUCT, TEAM, World};

/// How long a command holds its resource, and a lane is held.
const OPERATION_LEASE: i64 = 120;

fn down(path: &str) -> Value {
    json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }])
}

async fn rename(world: &World, installation: &str, resource: &str, name: &str) -> Got {
    let data = json!({ "resourceId": resource, "name": name });
    world.partner("resource.updated", "/partner/events", installation, data).await
}

/// A rotation for a partner system; the old secrets stay good for so many hours.
async fn rotate(world: &World, installation: &str, resource: &str, hours: u32) -> Got {
    let data = json!({ "resourceId": resource, "delayHours": hours });
    world.partner("secrets.rotate", &format!("/partner/resources/{resource}/secrets"), installation, data).await
}

fn path(installation: &str, resource: &str) -> String {
    format!("/v1/installations/{installation}/resources/{resource}")
}

fn patch(installation: &str, resource: &str, name: &str) -> Call {
    Call::new("PATCH", path(installation, resource)).of(installation).body(json!({ "name": name }))
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

/// Makes a call whose provider dies once the provisioner has been asked, and before it hears the answer.
async fn dies_at_the_provisioner(world: &World, call: Call) {
    let asked = world.provisioner.orders().len();
    world.provisioner.next(Mood::Holds);
    let death = async {
        world.provisioner.holds(1).await;
        world.die_after(0);
        world.provisioner.let_go();
    };
    let (got, ()) = tokio::join!(world.vercel(call), death);
    got.is_envelope(500, "internal");
    assert_eq!(world.provisioner.orders().len(), asked + 1);
}

fn provision(installation: &str) -> Call {
    let body = json!({ "productId": PRODUCT, "name": "orders", "billingPlanId": TEAM, "metadata": {} });
    Call::new("POST", format!("/v1/installations/{installation}/resources")).of(installation).body(body).key("p1")
}
