//! A.21 to A.23: items, config sync, deployment actions and connections.

use serde_json::{Value, json};

use crate::stage::Stage;

fn rows(state: &Value, section: &str) -> Vec<Value> {
    state[section].as_array().unwrap().clone()
}

#[tokio::test]
async fn items_are_created_changed_and_removed() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path(&format!("/resources/{}/experimentation/items", it.resource));
    let body = r#"{"items":[
        {"id":"b","slug":"s","origin":"https://example.com/b","category":"flag","name":"B","description":"d","isArchived":false,"createdAt":1798761600000.0,"updatedAt":1},
        {"id":"a/1","slug":"é","origin":"o"}]}"#;
    let answer = stage.raw(stage.request(&it.token, "POST", &path), body).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (204, 0));
    assert!(stage.text("/_sim/state").await.contains("\"createdAt\":1798761600000.0"));
    let change = json!({ "slug": "s2", "origin": "o2", "isArchived": true });
    assert_eq!(stage.vercel(&it.token, "PATCH", &format!("{path}/b"), change).await, (204, Value::Null));
    let items = rows(&stage.state().await, "items");
    assert_eq!((&items[0]["id"], &items[0]["slug"], &items[0]["category"]), (&json!("a/1"), &json!("é"), &Value::Null));
    assert_eq!(
        (&items[1]["slug"], &items[1]["isArchived"], &items[1]["name"]),
        (&json!("s2"), &json!(true), &json!("B"))
    );
    for bad in [
        json!({ "slug": "s" }),
        json!({ "slug": "s", "origin": "o", "id": "b" }),
        json!({ "slug": "s", "origin": "o", "category": "test" }),
        json!({ "slug": "s".repeat(1_025), "origin": "o" }),
        json!({ "slug": "s", "origin": "o".repeat(2_049) }),
    ] {
        assert_eq!(stage.vercel(&it.token, "PATCH", &format!("{path}/b"), bad.clone()).await.0, 400, "{bad}");
    }
    // The limits are characters, and are reached.
    let long = json!({ "slug": "é".repeat(1_024), "origin": "o".repeat(2_048), "name": "n".repeat(1_024) });
    assert_eq!(stage.vercel(&it.token, "PATCH", &format!("{path}/b"), long).await.0, 204);
    assert_eq!(stage.vercel(&it.token, "DELETE", &format!("{path}/a%2F1"), Value::Null).await, (204, Value::Null));
    assert_eq!(stage.vercel(&it.token, "DELETE", &format!("{path}/a%2F1"), Value::Null).await.0, 404);
    // They go with their resource.
    stage.vercel(&it.token, "DELETE", &it.path(&format!("/resources/{}", it.resource)), Value::Null).await;
    assert_eq!(rows(&stage.state().await, "items"), [Value::Null; 0]);
}

#[tokio::test]
async fn a_config_is_read_and_written_under_conditions() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let synced = stage.synced(&it.id).await;
    let asked = stage.partner.seen_of("POST", "/resources")[1].json();
    assert_eq!(asked["protocolSettings"], json!({ "experimentation": { "edgeConfigId": "ecfg_1" } }));
    let path = it.path(&format!("/resources/{synced}/experimentation/global-config"));
    let older = path.replace("global-config", "edge-config");
    let ask = |method: &str, path: &str| stage.request(&it.token, method, path);
    let (status, empty) = stage.vercel(&it.token, "GET", &path, Value::Null).await;
    assert_eq!((status, &empty["items"], &empty["purpose"]), (200, &json!({}), &json!("experimentation")));
    assert_eq!(empty["updatedAt"], 1_798_761_600_000_i64);

    stage.advance("1h").await;
    let first = r#"{"data":{"z":1.10,"a":{"on":true,"none":null}}}"#;
    let tag = format!("\"{}\"", empty["digest"].as_str().unwrap());
    let put = stage.raw(ask("PUT", &path).header("if-match", &tag), first).await;
    let text = String::from_utf8(put.body().to_vec()).unwrap();
    assert!(put.status() == 200 && text.contains(r#""items":{"a":{"none":null,"on":true},"z":1.10}"#), "{text}");
    assert!(text.contains("\"updatedAt\":1798765200000"), "{text}");
    let new = put.headers()["etag"].to_str().unwrap().to_owned();
    assert!(new != tag && text.contains(new.trim_matches('"')));
    let lost = stage.raw(ask("PUT", &path).header("if-match", &tag), r#"{"data":{}}"#).await;
    assert_eq!(lost.status().as_u16(), 412);
    // The same data in another order is the same config, an hour later too.
    stage.advance("1h").await;
    let again = stage
        .raw(ask("PUT", &older).header("if-match", "*"), r#"{"data":{"a":{"none":null,"on":true},"z":1.10}}"#)
        .await;
    assert_eq!((again.status().as_u16(), String::from_utf8(again.body().to_vec()).unwrap()), (200, text.clone()));

    for (name, value, status) in [
        ("if-none-match", new.clone(), 304),
        ("if-none-match", format!("\"x\", W/{new}"), 304),
        ("if-none-match", new.trim_matches('"').to_owned(), 304),
        ("if-none-match", tag.clone(), 200),
        ("accept", "application/json".to_owned(), 200),
    ] {
        for (method, path) in [("GET", &path), ("HEAD", &path), ("GET", &older), ("HEAD", &older)] {
            let answer = stage.raw(ask(method, path).header(name, &value), "").await;
            let has_body = method == "GET" && status == 200;
            assert_eq!((answer.status().as_u16(), !answer.body().is_empty()), (status, has_body), "{method} {value}");
            assert_eq!(answer.headers()["etag"], new.as_str());
        }
    }
    let state = stage.state().await;
    let configs = rows(&state, "configs");
    assert_eq!((configs.len(), format!("{}", configs[0]["digest"])), (1, new));
    assert!(configs[0].get("data").is_none());
}

#[tokio::test]
async fn syncing_is_enabled_by_the_customer_and_disabled_by_either() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path(&format!("/resources/{}/experimentation/global-config", it.resource));
    let change = format!("/_sim/installations/{}/resources/{}", it.id, it.resource);
    assert_eq!(stage.vercel(&it.token, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(stage.vercel(&it.token, "PUT", &path, json!({ "data": {} })).await.0, 409);
    let settings = json!({ "experimentation": { "globalConfigId": "gcfg_1" } });
    stage.control("PATCH", &change, json!({ "protocolSettings": settings })).await;
    assert_eq!(stage.vercel(&it.token, "PUT", &path, json!({ "data": {} })).await.0, 200);
    let (_, shown) = stage.vercel(&it.token, "GET", &it.path("/resources"), Value::Null).await;
    assert_eq!(shown["resources"][0]["protocolSettings"], settings);
    let off = json!({ "experimentation": { "edgeConfigSyncingEnabled": false } });
    stage.partner.set(&it.resource, "protocolSettings", off);
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    stage.vercel(&it.token, "POST", &it.path("/events"), event).await;
    stage.state().await;
    assert_eq!(stage.vercel(&it.token, "GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn an_action_is_recorded_with_digests_only() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = format!("/v1/deployments/dpl_1/integrations/{}/resources/{}/actions/branch", it.id, it.resource);
    let act = async |body: Value| stage.vercel(&it.token, "PATCH", &path, body).await;
    assert_eq!(
        act(json!({ "status": "running", "statusText": "at it", "statusUrl": "sso:https://example.com" })).await,
        (202, Value::Null)
    );
    let secret = json!({ "name": "URL", "value": "secret-of-a-branch" });
    let outcomes = json!([{ "kind": "resource-secrets", "secrets": [secret] }]);
    assert_eq!(act(json!({ "status": "succeeded", "outcomes": outcomes })).await.0, 202);
    assert_eq!(stage.vercel(&it.token, "PATCH", &path, Value::Null).await.0, 202);
    let state = stage.state().await;
    let row = &rows(&state, "actions")[0];
    assert_eq!(
        (&row["deploymentId"], &row["action"], &row["status"]),
        (&json!("dpl_1"), &json!("branch"), &json!("succeeded"))
    );
    assert_eq!((&row["statusText"], &row["outcomes"][0]["name"]), (&json!("at it"), &json!("URL")));
    assert!(!state.to_string().contains("secret-of-a-branch"));
    // The resource's own secrets are others.
    assert_eq!(rows(&state, "secrets")[0]["name"], "API_KEY");
    for bad in [
        json!({ "state": "running" }),
        json!({ "statusUrl": "ftp://x" }),
        json!({ "outcomes": [
            { "kind": "resource-secrets", "secrets": [{ "name": "A", "value": "v", "prefix": "P" }] },
        ] }),
    ] {
        assert_eq!(act(bad.clone()).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_connection_is_made_once_and_told_once() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = format!("/v1/integrations/installations/{}/resources/{}/connections", it.id, it.resource);
    for _ in 0..2 {
        let got = stage.vercel(&it.token, "POST", &path, json!({ "projectId": "prj_1" })).await;
        assert_eq!(got, (201, Value::Null));
        stage.advance("1h").await;
    }
    let state = stage.state().await;
    assert_eq!(rows(&state, "connections")[0]["projectId"], "prj_1");
    let told = stage.partner.webhooks("integration-resource.project-connected");
    let payload = told[0].json()["payload"].clone();
    assert_eq!((told.len(), &payload["project"]["id"], &payload["projectId"]), (1, &json!("prj_1"), &json!("prj_1")));
    assert_eq!((&payload["configuration"]["id"], &payload["resourceId"]), (&json!(it.id), &json!(it.resource)));
    assert_eq!(payload["targets"], json!(["production", "preview", "development"]));
    let more = json!({ "projectId": "prj_2", "envVarEnvironments": ["staging"], "makeEnvVarsSensitive": true });
    assert_eq!(stage.vercel(&it.token, "POST", &path, more).await.0, 201);
    let row = stage.state().await["connections"][1].clone();
    assert_eq!((&row["targets"], &row["sensitive"]), (&json!(["staging"]), &json!(true)));
    let told = stage.partner.webhooks("integration-resource.project-connected")[1].json();
    assert_eq!(told["payload"]["targets"], json!(["staging"]));
}
