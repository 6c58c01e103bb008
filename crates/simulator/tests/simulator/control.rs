//! The customer's side: installing, provisioning, changing, uninstalling.

use serde_json::{Value, json};

use crate::partner::plan;
use crate::stage::{CRON_SECRET, Stage};

#[tokio::test]
async fn a_customer_installs_and_provisions() {
    let stage = Stage::new().await;
    let customer = stage.customer("pro").await;
    let seen = stage.partner.seen();
    assert_eq!(seen.len(), 2);
    let upsert = &seen[0];
    assert_eq!((upsert.method.as_str(), upsert.path.as_str()), ("PUT", customer.path("").as_str()));
    assert_eq!(upsert.header("x-vercel-auth"), "user");
    assert_eq!(upsert.header("idempotency-key").len(), 32);
    let body = upsert.json();
    assert_eq!(body["credentials"], json!({ "access_token": customer.token, "token_type": "Bearer" }));
    assert!(body["scopes"].as_array().unwrap().len() > 1 && body["acceptedPolicies"]["toc"].is_string());
    assert!(body["account"]["contact"]["email"].is_string());
    let provision = &seen[1];
    assert_eq!(provision.path, customer.path("/resources"));
    let metadata = json!({ "region": "iad1" });
    let expected = json!({ "productId": "product", "name": "database", "metadata": metadata, "billingPlanId": "pro" });
    assert_eq!(provision.json(), expected);

    let state = stage.state().await;
    assert_eq!(state["installations"][0]["life"], "active");
    assert_eq!(state["resources"][0]["id"], customer.resource);
    assert_eq!(state["resources"][0]["plans"][0]["planId"], "pro");
    // echo -n first-secret-value | sha256sum
    let digest = "4ff5cd95afff5a6e7e32c17fd3ee5b5e9cfb3ff36e39d2bcff90f3eba4fb7ea9";
    assert_eq!(state["secrets"][0]["name"], "API_KEY");
    assert_eq!(state["secrets"][0]["sha256"].as_str().unwrap().len(), digest.len());
    assert!(!state.to_string().contains("first-secret-value") && !state.to_string().contains(&customer.token));
}

#[tokio::test]
async fn a_provider_that_refuses_an_install_has_no_customer() {
    let stage = Stage::new().await;
    let refusal = json!({ "error": { "code": "forbidden", "message": "no" } });
    stage.partner.answer_next("PUT", "", 403, refusal.clone());
    let (status, body) = stage.control("POST", "/_sim/installations", json!({ "role": "USER" })).await;
    assert_eq!((status, &body["partner"]), (502, &json!({ "status": 403, "body": refusal })));
    assert_eq!(stage.state().await["installations"], json!([]));
}

#[tokio::test]
async fn an_answer_that_is_not_as_documented_is_named() {
    let stage = Stage::new().await;
    let (id, _) = stage.install().await;
    let order = json!({ "productId": "p", "planId": "pro", "name": "n" });
    let good = json!({ "id": "r", "productId": "p", "name": "n", "metadata": {}, "status": "ready", "secrets": [] });
    let mut no_secrets = good.clone();
    no_secrets.as_object_mut().unwrap().remove("secrets");
    no_secrets["billingPlan"] = plan("pro");
    let mut bad_status = good.clone();
    bad_status["status"] = json!("active");
    for (answer, why) in [(good, "no billingPlan"), (no_secrets, "no secrets"), (bad_status, "unknown variant")] {
        stage.partner.answer_next("POST", "/resources", 200, answer);
        let (status, body) = stage.control("POST", &format!("/_sim/installations/{id}/resources"), order.clone()).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert!(status == 502 && message.starts_with("spec B.6") && message.contains(why), "{body}");
    }
    assert_eq!(stage.state().await["resources"], json!([]));
}

#[tokio::test]
async fn plans_names_secrets_and_removal_reach_the_state() {
    let stage = Stage::new().await;
    let customer = stage.customer("free").await;
    let path = format!("/_sim/installations/{}/resources/{}", customer.id, customer.resource);
    stage.advance("10d").await;
    let (status, _) = stage.control("PATCH", &path, json!({ "planId": "pro", "name": "renamed" })).await;
    assert_eq!(status, 200);
    let rotate = json!({ "resourceId": customer.resource, "reason": "leak", "delayHours": 1.5 });
    let before = stage.state().await["secrets"][0]["sha256"].clone();
    stage.control("POST", &format!("/_sim/installations/{}/secrets/rotate", customer.id), rotate).await;
    let asked = stage.partner.seen_of("POST", "/secrets/rotate")[0].json();
    assert_eq!(asked, json!({ "reason": "leak", "delayOldSecretsExpirationHours": 1.5 }));
    let state = stage.state().await;
    assert_eq!(state["resources"][0]["name"], "renamed");
    let spans = state["resources"][0]["plans"].as_array().unwrap();
    assert_eq!((&spans[0]["to"], &spans[1]["planId"]), (&json!("2027-01-11T00:00:00Z"), &json!("pro")));
    assert_ne!(state["secrets"][0]["sha256"], before);
    let (status, _) = stage.control("DELETE", &path, Value::Null).await;
    assert_eq!(status, 200);
    let state = stage.state().await;
    assert_eq!(state["resources"][0]["deletedAt"], "2027-01-11T00:00:00Z");
    assert_eq!(state["secrets"], json!([]));
}

#[tokio::test]
async fn an_installation_level_plan_is_recorded() {
    let stage = Stage::new().await;
    stage.partner.answer_next("PUT", "", 200, json!({ "billingPlan": plan("base") }));
    let (id, _) = stage.install().await;
    stage.partner.answer_next("PATCH", "", 200, json!({ "billingPlan": plan("team") }));
    stage.control("PATCH", &format!("/_sim/installations/{id}"), json!({ "planId": "team" })).await;
    assert_eq!(stage.state().await["installations"][0]["billingPlan"]["id"], "team");
    assert_eq!(stage.partner.seen_of("PATCH", &id)[0].json(), json!({ "billingPlanId": "team" }));
}

#[tokio::test]
async fn members_change_and_the_provider_is_told() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let body = json!({ "installationId": id, "memberId": "abc", "role": "USER" });
    stage.control("POST", "/_sim/members", body).await;
    let told = stage.partner.webhooks("marketplace.member.changed")[0].json();
    assert_eq!((&told["payload"]["memberId"], &told["payload"]["role"]), (&json!("abc"), &json!("USER")));
    let (status, member) =
        stage.vercel(&token, "GET", &format!("/v1/installations/{id}/member/abc"), Value::Null).await;
    assert_eq!((status, &member["role"]), (200, &json!("USER")));
    stage.control("POST", "/_sim/members", json!({ "installationId": id, "memberId": "abc", "role": "NONE" })).await;
    let (status, _) = stage.vercel(&token, "GET", &format!("/v1/installations/{id}/member/abc"), Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    let (status, body) = stage.control("POST", "/_sim/installations", json!({ "rol": "USER" })).await;
    assert!(status == 400 && body.to_string().contains("unknown field"), "{body}");
    assert_eq!(stage.control("POST", "/_sim/nothing", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_request_is_repeated_byte_for_byte() {
    let stage = Stage::new().await;
    stage.register(json!({ "repeat": 3, "crons": [{ "path": "/cron/billing", "schedule": "0 * * * *" }] })).await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = told.clone();
    stage.simulator.on_repeat(std::sync::Arc::new(move |it| {
        kept.lock().unwrap().push((it.moment, it.method.to_owned(), it.path.to_owned(), it.first_status, it.status));
    }));
    stage.partner.answer_next("PUT", "", 200, json!({}));
    stage.partner.answer_next("PUT", "", 500, json!({ "second": true }));
    let (status, body) = stage.control("POST", "/_sim/installations", json!({})).await;
    assert_eq!((status, &body["partner"]["status"]), (201, &json!(200)));
    let seen = stage.partner.seen();
    assert_eq!(seen.len(), 3);
    for other in &seen[1..] {
        assert_eq!((&other.headers, &other.body, &other.path), (&seen[0].headers, &seen[0].body, &seen[0].path));
    }
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 4);
    assert_eq!((told[0].3, told[0].4), (Some(200), None));
    assert_eq!((told[1].3, told[1].4), (Some(200), Some(500)));
    stage.advance("1h").await;
    let crons = stage.partner.seen_of("GET", "/cron/billing");
    assert_eq!(crons.len(), 3);
    assert_eq!(crons[2].header("authorization"), format!("Bearer {CRON_SECRET}"));
}
