//! Resources move from one installation to another.

use serde_json::{Value, json};

use crate::rules::with;
use crate::stage::{Customer, Stage};

fn order(from: &Customer, to: &str) -> Value {
    json!({ "installationId": from.id, "targetInstallationId": to, "resourceIds": [from.resource] })
}

async fn transfer(stage: &Stage, body: Value) -> (u16, Value) {
    stage.control("POST", "/_sim/transfers", body).await
}

#[tokio::test]
async fn a_resource_moves_with_all_that_belongs_to_it() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (target, token) = stage.install().await;
    let change = format!("/_sim/installations/{}/resources/{}", it.id, it.resource);
    stage
        .control("PATCH", &change, json!({ "protocolSettings": { "experimentation": { "edgeConfigId": "e" } } }))
        .await;
    let at = |rest: &str| it.path(&format!("/resources/{}/{rest}", it.resource));
    let item = json!({ "items": [{ "id": "i", "slug": "s", "origin": "o" }] });
    stage.vercel(&it.token, "POST", &at("experimentation/items"), item).await;
    stage.vercel(&it.token, "PUT", &at("experimentation/edge-config"), json!({ "data": { "a": 1 } })).await;
    let connection = format!("/v1/integrations/installations/{}/resources/{}/connections", it.id, it.resource);
    stage.vercel(&it.token, "POST", &connection, json!({ "projectId": "p" })).await;
    let balance = json!({ "currencyValueInCents": 1, "resourceId": it.resource });
    let body = json!({ "timestamp": "2027-01-01T00:00:00Z", "balances": [balance] });
    stage.vercel(&it.token, "POST", &it.path("/billing/balance"), body).await;
    stage.advance("10d").await;

    let (status, answer) = transfer(&stage, order(&it, &target)).await;
    assert_eq!((status, &answer["moved"]), (200, &json!(true)), "{answer}");
    let claim = answer["providerClaimId"].as_str().unwrap();
    let seen = stage.partner.seen();
    let calls: Vec<_> = seen.iter().filter(|seen| seen.path.contains("transfer")).collect();
    let paths: Vec<(&str, String)> = calls.iter().map(|seen| (seen.method.as_str(), seen.path.clone())).collect();
    let base = |id: &str| format!("/v1/installations/{id}/resource-transfer-requests");
    assert_eq!(
        paths,
        [
            ("POST", base(&it.id)),
            ("GET", format!("{}/{claim}/verify", base(&target))),
            ("POST", format!("{}/{claim}/accept", base(&target))),
        ]
    );
    assert!(calls.iter().all(|seen| seen.header("x-vercel-auth") == "system"));
    let created = calls[0].json();
    // A day from now.
    assert_eq!(created, json!({ "resourceIds": [it.resource], "expiresAt": 1_798_761_600_000_i64 + 11 * 86_400_000 }));

    let of = async |id: &str| {
        let text = stage.text(&format!("/_sim/state?installationId={id}")).await;
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (old, new) = (of(&it.id).await, of(&target).await);
    for section in ["balances", "configs", "connections", "items", "secrets"] {
        assert_eq!(old[section], json!([]), "{section}");
        assert_eq!(new[section].as_array().unwrap().len(), 1, "{section}");
        assert_eq!(new[section][0]["installationId"], target.as_str(), "{section}");
    }
    assert_eq!(old["resources"][0]["deletedAt"], "2027-01-11T00:00:00Z");
    assert_eq!(old["resources"][0]["plans"][0]["to"], "2027-01-11T00:00:00Z");
    assert_eq!(
        (&new["resources"][0]["id"], &new["resources"][0]["internalId"]),
        (&json!(it.resource), &old["resources"][0]["internalId"])
    );
    assert_eq!(new["resources"][0]["plans"][0]["from"], "2027-01-11T00:00:00Z");
    // What was used before the move is billed where it was used, the rest where it is.
    it.submit(&stage, "a").await;
    let moved = Customer { id: target, token, resource: it.resource.clone() };
    let past = with(&moved.invoice("past"), "/period/end", json!("2027-01-11T00:00:00Z"));
    let past = with(&past, "/invoiceDate", json!("2027-01-10T00:00:00Z"));
    assert_eq!(stage.vercel(&moved.token, "POST", &moved.path("/billing/invoices"), past).await.0, 400);
    moved.submit(&stage, "a").await;
    assert_eq!(stage.vercel(&it.token, "GET", &at("x").replace("/x", ""), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_resource_can_come_back() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (target, token) = stage.install().await;
    let there = Customer { id: target.clone(), token, resource: it.resource.clone() };
    stage.advance("5d").await;
    assert_eq!(transfer(&stage, order(&it, &target)).await.1["moved"], true);
    stage.advance("5d").await;
    assert_eq!(transfer(&stage, order(&there, &it.id)).await.1["moved"], true);
    let state = stage.state().await;
    let row =
        state["resources"].as_array().unwrap().iter().find(|row| row["installationId"] == it.id.as_str()).unwrap();
    assert_eq!((row["plans"].as_array().unwrap().len(), &row["deletedAt"]), (2, &Value::Null));
    assert_eq!(row["plans"][0]["to"], "2027-01-06T00:00:00Z");
}

#[tokio::test]
async fn what_the_provider_refuses_does_not_move() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (target, _) = stage.install().await;
    let refusal = json!({ "error": { "code": "conflict", "message": "no" } });
    for (method, suffix, step) in
        [("POST", "requests", "create"), ("GET", "verify", "verify"), ("POST", "accept", "accept")]
    {
        stage.partner.answer_next(method, suffix, 409, refusal.clone());
        let (status, answer) = transfer(&stage, order(&it, &target)).await;
        assert_eq!((status, &answer[step]["status"], &answer["moved"]), (200, &json!(409), &json!(false)), "{answer}");
    }
    assert_eq!(
        stage.vercel(&it.token, "GET", &it.path(&format!("/resources/{}", it.resource)), Value::Null).await.0,
        200
    );
    stage.partner.answer_next("POST", "requests", 200, json!({ "providerClaimId": "a/b" }));
    assert_eq!(transfer(&stage, order(&it, &target)).await.0, 502);
    for bad in [
        with(&order(&it, &target), "/resourceIds", json!([])),
        with(&order(&it, &target), "/targetInstallationId", json!(it.id)),
    ] {
        assert_eq!(transfer(&stage, bad).await.0, 400);
    }
    assert_eq!(transfer(&stage, with(&order(&it, &target), "/resourceIds", json!(["unknown"]))).await.0, 404);
    assert_eq!(transfer(&stage, order(&it, "icfg_unknown")).await.0, 404);
}

#[tokio::test]
async fn a_transfer_goes_step_by_step_and_brings_a_new_plan() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (target, _) = stage.install().await;
    let (_, answer) = transfer(&stage, with(&order(&it, &target), "/until", json!("created"))).await;
    assert_eq!((&answer["moved"], answer.get("verify")), (&json!(false), None));
    let rest = with(&order(&it, &target), "/providerClaimId", answer["providerClaimId"].clone());
    stage.partner.answer_next("GET", "verify", 200, json!({ "newBillingPlan": crate::partner::plan("team") }));
    let (_, answer) = transfer(&stage, with(&rest, "/until", json!("verified"))).await;
    assert_eq!(answer["verify"]["body"]["newBillingPlan"]["id"], "team");
    stage.partner.answer_next("GET", "verify", 200, json!({ "newBillingPlan": crate::partner::plan("team") }));
    let (_, answer) = transfer(&stage, rest).await;
    assert_eq!((&answer["moved"], answer.get("create")), (&json!(true), None));
    let state = stage.state().await;
    let row = state["installations"].as_array().unwrap().iter().find(|row| row["id"] == target.as_str()).unwrap();
    assert_eq!(row["billingPlan"]["id"], "team");
    assert_eq!(stage.partner.seen_of("POST", "requests").len(), 1);
}

#[tokio::test]
async fn a_repeated_transfer_is_the_same_one() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (target, _) = stage.install().await;
    stage.partner.answer_next("POST", "accept", 503, Value::Null);
    let (_, first) = stage.keyed("t", "POST", "/_sim/transfers", order(&it, &target)).await;
    assert_eq!(first["moved"], false);
    stage.advance("1h").await;
    let (_, second) = stage.keyed("t", "POST", "/_sim/transfers", order(&it, &target)).await;
    assert_eq!((&second["moved"], &second["providerClaimId"]), (&json!(true), &first["providerClaimId"]));
    let created = stage.partner.seen_of("POST", "requests");
    assert_eq!((created.len(), &created[0].body), (2, &created[1].body));
    assert_eq!(stage.keyed("t", "POST", "/_sim/transfers", order(&it, &target)).await, (200, second));
    assert_eq!(stage.partner.seen_of("POST", "accept").len(), 2);
}
