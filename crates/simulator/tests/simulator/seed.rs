//! Many installations at once.

use serde_json::{Value, json};
use tradepost_simulator::Options;

use crate::stage::Stage;

async fn seed(stage: &Stage, body: Value) -> (u16, Value) {
    stage.control("POST", "/_sim/seed", body).await
}

fn order(installations: u32, resources_each: u32) -> Value {
    json!({ "installations": installations, "resourcesEach": resources_each, "productId": "p", "planId": "pro" })
}

#[tokio::test]
async fn a_seed_installs_and_provisions_by_real_calls() {
    let stage = Stage::new().await;
    let (status, answer) = seed(&stage, order(40, 2)).await;
    assert_eq!((status, &answer), (200, &json!({ "failed": 0, "failures": [], "installations": 40, "resources": 80 })));
    assert_eq!(stage.partner.seen_of("POST", "/resources").len(), 80);
    let state = stage.state().await;
    assert_eq!(
        (state["installations"].as_array().unwrap().len(), state["resources"].as_array().unwrap().len()),
        (40, 80)
    );
    // Once there is a resource, more of it need not be described.
    let (_, answer) = seed(&stage, json!({ "installations": 1, "resourcesEach": 1 })).await;
    assert_eq!(answer["resources"], 1);
    let last = stage.partner.seen_of("POST", "/resources").pop().unwrap().json();
    assert_eq!((&last["productId"], &last["billingPlanId"]), (&json!("p"), &json!("pro")));
}

#[tokio::test]
async fn a_seed_is_the_same_however_its_calls_interleave() {
    let mut states = Vec::new();
    for _ in 0..2 {
        let stage = Stage::with(Options { seed: 3, ..Options::default() }).await;
        seed(&stage, order(20, 1)).await;
        states.push(stage.text("/_sim/state").await);
    }
    assert_eq!(states[0], states[1]);
}

#[tokio::test]
async fn a_seed_counts_what_failed_and_why() {
    let stage = Stage::new().await;
    stage.partner.answer_next("POST", "/resources", 409, json!({ "error": { "code": "conflict", "message": "busy" } }));
    let (_, answer) = seed(&stage, order(1, 2)).await;
    assert_eq!((&answer["failed"], &answer["installations"], &answer["resources"]), (&json!(1), &json!(1), &json!(1)));
    assert!(answer["failures"][0].as_str().unwrap().contains("answered 409"), "{answer}");
    assert_eq!(seed(&stage, order(100_001, 0)).await.0, 400);
    assert_eq!(seed(&stage, order(1, 1_001)).await.0, 400);
    let empty = Stage::new().await;
    assert_eq!(seed(&empty, json!({ "installations": 1, "resourcesEach": 1 })).await.0, 400);
    assert_eq!(seed(&empty, json!({ "installations": 1, "resourcesEach": 0 })).await.1["installations"], 1);
}
