//! The Partner API as Vercel uses it: what each call does, and that the same call again does nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod installations;
mod provisioner;
mod provisioning;
mod resources;
mod together;

use serde_json::{Value, json};
use tradepost_rehearsal::world;
use world::got::Got;
use world::vercel::Call;
use world::{PRODUCT, World};

fn at(installation: &str) -> String {
    format!("/v1/installations/{installation}")
}

fn resources(installation: &str) -> String {
    format!("/v1/installations/{installation}/resources")
}

fn provision(installation: &str, body: &Value) -> Call {
    Call::new("POST", resources(installation)).of(installation).body(body.clone())
}

fn order(name: &str, plan: &str) -> Value {
    json!({ "productId": PRODUCT, "name": name, "billingPlanId": plan, "metadata": { "region": "fra1" } })
}

/// Makes a call under a key twice: the same answer, and the second time no commit and no order.
async fn twice(world: &World, call: Call, key: &str) -> Got {
    let first = world.vercel(call.clone().key(key)).await;
    let (committed, orders) = (world.committed(), world.provisioner.orders().len());
    let second = world.vercel(call.key(key)).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body), "a repeat is answered the same");
    assert_eq!(first.header("content-type"), second.header("content-type"));
    assert_eq!(world.committed(), committed, "a repeat writes nothing");
    assert_eq!(world.provisioner.orders().len(), orders, "a repeat orders nothing");
    first
}
