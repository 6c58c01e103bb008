//! Every rule of Vercel's face, broken once. A rule without a row fails, and so does a row without its rule; a
//! refusal changes nothing, and what is not broken is accepted.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tradepost_simulator::RULES;

use crate::rows::{By, Row, import, interim, item, refund, rows};
use crate::scene::{Scene, invoice};
use crate::stage::{CLIENT_ID, CLIENT_SECRET};

async fn made(scene: &Scene, row: &Row) -> (u16, Value) {
    let mut request = http::Request::builder().method(row.method).uri(format!("{}{}", scene.stage.url, row.path));
    if let Some(token) = &row.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some((name, value)) = &row.header {
        request = request.header(*name, value);
    }
    scene.stage.send(request, row.body.clone()).await.unwrap()
}

#[tokio::test]
async fn every_rule_is_broken_once() {
    let scene = Scene::new().await;
    let rows = rows(&scene);
    let before = scene.stage.whole_state().await;
    assert!(before.len() > 10 && before.last().unwrap().contains("webhooks"));
    let mut broken = BTreeSet::new();
    for row in &rows {
        let Some(rule) = RULES.iter().find(|rule| rule.id == row.rule) else { panic!("{:?} is no rule", row.rule) };
        assert!(broken.insert(row.rule), "{:?} has two rows", row.rule);
        let (status, body) = made(&scene, row).await;
        let of_oauth = || body["error_description"].as_str();
        let message = body["error"]["message"].as_str().or_else(of_oauth).unwrap_or_default();
        assert!(message.starts_with(row.rule), "wanted {:?}, got {status} {body}", row.rule);
        assert_eq!(status, rule.status, "{message}");
        assert!(body["error"].is_string() || body["error"]["code"].is_string(), "{body}");
    }
    let without: Vec<&str> = RULES.iter().map(|rule| rule.id).filter(|id| !broken.contains(id)).collect();
    assert_eq!(without, [""; 0], "rules that no row breaks");
    assert!(scene.stage.whole_state().await == before, "a refusal changed something");
}

#[tokio::test]
async fn what_the_rows_break_is_good_otherwise() {
    let scene = Scene::new().await;
    let (live, uninstalling) = (By(&scene.live), By(&scene.uninstalling));
    let mine = format!("/resources/{}", scene.live.resource);
    let config = format!("/resources/{}/experimentation/global-config", scene.synced);
    let mut last = invoice(&scene.uninstalling, "final", "02-01", "02-03");
    last["final"] = json!(true);
    let action = format!("/v1/deployments/dpl_1/integrations/{}{mine}/actions/build", scene.live.id);
    let connection = format!("/v1/integrations/installations/{}{mine}/connections", scene.live.id);
    let to = |path: String, row: Row| Row { path, ..row };
    let rows = vec![
        live.row("200", "PUT", "/resources/new", import()),
        live.row("200", "PUT", &mine, import()),
        live.row("201", "POST", "/billing", interim(&scene.live)),
        live.row("200", "POST", "/billing/invoices", invoice(&scene.live, "new", "02-01", "02-28")),
        uninstalling.row("200", "POST", "/billing/invoices", last),
        live.row("204", "POST", &format!("/billing/invoices/{}/actions", scene.paid), refund()),
        live.row(
            "200",
            "POST",
            "/credentials/rotate",
            json!({ "client_secret": CLIENT_SECRET, "client_id": CLIENT_ID }),
        ),
        live.row("201", "PUT", &format!("/products/product{mine}/secrets"), json!({ "secrets": [] })),
        live.row("204", "POST", &format!("{mine}/experimentation/items"), json!({ "items": vec![item(); 50] })),
        live.row("204", "DELETE", &format!("{mine}/experimentation/items/i"), Value::Null),
        live.row("200", "GET", &config, Value::Null),
        live.row("200", "PUT", &config, json!({ "data": {} })),
        to(
            action,
            live.row("202", "PATCH", "", json!({ "outcomes": [{ "kind": "resource-secrets", "secrets": [] }] })),
        ),
        to(connection, live.row("201", "POST", "", json!({ "projectId": "prj_1" }))),
        Row {
            token: None,
            ..to("/v1/integrations/sso/token".to_owned(), live.row("200", "POST", "", scene.code.body()))
        },
    ];
    for row in rows {
        let (status, body) = made(&scene, &row).await;
        assert_eq!(status.to_string(), row.rule, "{} {}: {body}", row.method, row.path);
    }
}
