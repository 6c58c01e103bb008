//! What lasts: the same bytes for the same seed, the journal, and control calls that are made twice.

use std::path::Path;

use serde_json::{Value, json};
use tradepost_simulator::{ClockMode, OpenError, Options, Simulator};

use crate::stage::{CLIENT_SECRET, CRON_SECRET, Customer, Stage};

/// The sections of the state, in order.
const SECTIONS: [&str; 13] = [
    "actions",
    "balances",
    "configs",
    "connections",
    "events",
    "installations",
    "interim",
    "invoices",
    "items",
    "purchases",
    "resources",
    "secrets",
    "webhooks",
];

fn on(path: &Path) -> Options {
    Options { seed: 7, store: Some(path.to_owned()), clock: ClockMode::default() }
}

/// A row in every section that hangs on a resource, and a transfer.
async fn beside_resources(stage: &Stage, it: &Customer) {
    let (synced, credit) = (stage.synced(&it.id).await, stage.provision(&it.id, "credit-auto").await);
    let must = async |method: &str, path: String, body: Value| {
        let (status, answer) = stage.vercel(&it.token, method, &path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    };
    let import =
        json!({ "productId": "product", "name": "database", "status": "ready", "metadata": { "b": 1, "a": 2 } });
    must("PUT", it.path("/resources/imported"), import).await;
    let items =
        json!({ "items": [{ "id": "z", "slug": "s", "origin": "o" }, { "id": "a", "slug": "s", "origin": "o" }] });
    must("POST", it.path(&format!("/resources/{synced}/experimentation/items")), items).await;
    let config = it.path(&format!("/resources/{synced}/experimentation/global-config"));
    must("PUT", config, json!({ "data": { "b": 1, "a": [] } })).await;
    let action = format!("/v1/deployments/dpl_1/integrations/{}/resources/{synced}/actions/build", it.id);
    let secrets =
        json!([{ "kind": "resource-secrets", "secrets": [{ "name": "A", "value": "secret-of-a-deployment" }] }]);
    must("PATCH", action, json!({ "status": "succeeded", "outcomes": secrets })).await;
    let connection = format!("/v1/integrations/installations/{}/resources/{synced}/connections", it.id);
    must("POST", connection, json!({ "projectId": "prj_1" })).await;
    let balance = json!({ "currencyValueInCents": 999, "resourceId": credit });
    let body = json!({ "timestamp": "2027-01-01T00:00:00Z", "balances": [balance] });
    must("POST", it.path("/billing/balance"), body).await;
    let purchase = json!({ "resourceId": credit, "amount": "12.00" });
    stage.control("POST", &format!("/_sim/installations/{}/purchases", it.id), purchase).await;
    let (target, _) = stage.install().await;
    let order = json!({ "installationId": it.id, "targetInstallationId": target, "resourceIds": [credit] });
    let (_, answer) = stage.control("POST", "/_sim/transfers", order).await;
    assert_eq!(answer["moved"], true);
    stage.control("POST", "/_sim/seed", json!({ "installations": 2, "resourcesEach": 1 })).await;
}

/// A small history with a bit of everything.
async fn history(stage: &Stage) -> String {
    stage.register(json!({ "crons": [{ "path": "/cron/billing", "schedule": "0 * * * *" }] })).await;
    let it = stage.customer("pro").await;
    stage.provision(&it.id, "free").await;
    let invoice = it.submit(stage, "a").await;
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    stage.vercel(&it.token, "POST", &it.path("/events"), event).await;
    stage.control("POST", "/_sim/sso", json!({ "installationId": it.id })).await;
    beside_resources(stage, &it).await;
    stage.advance("3h").await;
    let refund = json!({ "action": "refund", "reason": "r", "total": "1.00" });
    stage.vercel(&it.token, "POST", &it.path(&format!("/billing/invoices/{invoice}/actions")), refund).await;
    stage.advance("1h").await;
    stage.control("DELETE", &format!("/_sim/installations/{}", it.id), json!({ "auth": "system" })).await;
    stage.advance("2d").await;
    stage.text("/_sim/state").await
}

#[tokio::test]
async fn the_same_seed_and_calls_give_the_same_bytes() {
    let first = history(&Stage::new().await).await;
    assert_eq!(first, history(&Stage::new().await).await);
    assert!(!first.contains("127.0.0.1"));
    let other = Stage::with(Options { seed: 8, ..Options::default() }).await;
    assert_ne!(first, history(&other).await);
    // A reset begins again, with the old seed or another.
    let (status, _) = other.control("POST", "/_sim/reset", json!({ "seed": 7 })).await;
    assert_eq!((status, other.text("/_sim/requests").await.contains("/cron")), (204, false));
    other.register(json!({})).await;
    assert_eq!(first, history(&other).await);
}

#[tokio::test]
async fn the_state_is_sorted_and_paged() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (other, _) = stage.install().await;
    let secrets: Vec<Value> = (0..1_500).map(|n| json!({ "name": format!("S{n:04}"), "value": "v" })).collect();
    let path = it.path(&format!("/resources/{}/secrets", it.resource));
    stage.vercel(&it.token, "PUT", &path, json!({ "secrets": secrets })).await;
    let mut names = Vec::new();
    let (mut cursor, mut pages) = (String::new(), 0);
    loop {
        let text = stage.text(&format!("/_sim/state?installationId={}{cursor}", it.id)).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        pages += 1;
        names.extend(page["secrets"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        let shown: usize = SECTIONS.iter().map(|section| page[section].as_array().unwrap().len()).sum();
        assert!(shown <= 1_000 && !text.contains(&other));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('/', "%2F"));
    }
    assert_eq!((pages, names.len()), (2, 1_500));
    assert!(names.is_sorted());
    assert_eq!(stage.control("GET", "/_sim/state?cursor=nonsense", Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_restarted_simulator_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let stage = Stage::with(on(&path)).await;
    stage.register(json!({ "crons": [{ "path": "/cron/billing", "schedule": "0 * * * *" }] })).await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    beside_resources(&stage, &it).await;
    stage.advance("90m").await;
    let before = stage.text("/_sim/state").await;
    let state: Value = serde_json::from_str(&before).unwrap();
    for section in SECTIONS {
        let is_empty = state[section].as_array().unwrap().is_empty();
        assert_eq!(is_empty, matches!(section, "events" | "interim"), "{section}");
    }
    let stage = stage.restart(on(&path)).await;
    assert_eq!(stage.text("/_sim/state").await, before);
    // The token still opens, the clock, the invoice and the cron go on, the client secret still signs.
    assert_eq!(it.read(&stage, &invoice).await["state"], "invoiced");
    stage.advance("30m").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "paid");
    let paid = stage.partner.webhooks("marketplace.invoice.paid");
    assert_eq!(paid.iter().filter(|seen| seen.json()["payload"]["invoiceId"] == invoice.as_str()).count(), 1);
    let crons = stage.partner.seen_of("GET", "/cron/billing");
    assert_eq!((crons.len(), crons[1].header("authorization")), (2, format!("Bearer {CRON_SECRET}").as_str()));

    // Registered again under the same key, at another address, the provider is found there.
    let (status, answer) = stage.keyed("p", "POST", "/_sim/partner", json!({ "baseUrl": "http://127.0.0.1:1" })).await;
    assert_eq!((status, &answer["baseUrl"]), (200, &json!("http://127.0.0.1:1")));
    let (_, answer) = stage.keyed("p", "POST", "/_sim/partner", json!({ "baseUrl": "http://127.0.0.1:2/x/" })).await;
    assert_eq!(answer["webhookUrl"], "http://127.0.0.1:2/x/webhooks/vercel");

    // A torn last line is as if it had never been written.
    let before = stage.text("/_sim/state").await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"[{\"t\":\"installations\",\"k\":\"icfg_torn\",\"v\":{\"id\":");
    std::fs::write(&path, bytes).unwrap();
    let stage = stage.restart(on(&path)).await;
    assert_eq!(stage.text("/_sim/state").await, before);
}

#[tokio::test]
async fn a_journal_is_refused_with_another_seed_or_if_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let stage = Stage::with(on(&path)).await;
    stage.install().await;
    let other = Simulator::open(Options { seed: 8, ..on(&path) });
    assert!(matches!(other, Err(OpenError::OtherSeed { .. })));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("{\"t\":", "{\"x\":", 1)).unwrap();
    assert!(matches!(Simulator::open(on(&path)), Err(OpenError::Damaged { line: 1, .. })));
}

#[tokio::test]
async fn no_secret_is_in_the_journal_or_the_logs_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let stage = Stage::with(on(&path)).await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = told.clone();
    stage.simulator.on_secret(std::sync::Arc::new(move |secret| kept.lock().unwrap().push(secret.to_owned())));
    let (status, body) = stage.keyed("k1", "POST", "/_sim/installations", json!({})).await;
    assert_eq!(status, 201);
    let id = body["installationId"].as_str().unwrap();
    let order = json!({ "productId": "p", "planId": "pro", "name": "n" });
    stage.keyed("k2", "POST", &format!("/_sim/installations/{id}/resources"), order).await;
    stage.keyed("k3", "POST", "/_sim/sso", json!({ "installationId": id })).await;
    let token = body["accessToken"].as_str().unwrap().to_owned();
    beside_resources(&stage, &Customer { id: id.to_owned(), token, resource: String::new() }).await;
    stage.keyed("k4", "DELETE", &format!("/_sim/installations/{id}"), json!({})).await;
    let text = std::fs::read_to_string(&path).unwrap()
        + &stage.text("/_sim/requests").await
        + &stage.text("/_sim/state").await;
    let mut secrets = told.lock().unwrap().clone();
    assert!(secrets.len() >= 6, "{}", secrets.len());
    secrets.extend([CLIENT_SECRET, CRON_SECRET, "first-secret-value", "secret-of-a-deployment"].map(str::to_owned));
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in clear");
    }
}

#[tokio::test]
async fn a_control_call_made_twice_acts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let stage = Stage::with(on(&path)).await;
    let first = stage.keyed("install", "POST", "/_sim/installations", json!({})).await;
    assert_eq!(stage.keyed("install", "POST", "/_sim/installations", json!({})).await, first);
    assert_eq!(stage.partner.seen().len(), 1);
    let other = stage.keyed("install", "POST", "/_sim/installations", json!({ "role": "USER" })).await;
    assert_eq!(other.0, 409);
    let id = first.1["installationId"].as_str().unwrap().to_owned();
    let order = json!({ "productId": "p", "planId": "pro", "name": "n" });
    let resources = format!("/_sim/installations/{id}/resources");
    let provisioned = stage.keyed("provision", "POST", &resources, order.clone()).await;
    assert_eq!(provisioned.0, 201);
    let moved = stage.keyed("tick", "POST", "/_sim/clock", json!({ "advance": "1h" })).await;

    let stage = stage.restart(on(&path)).await;
    assert_eq!(stage.keyed("install", "POST", "/_sim/installations", json!({})).await, first);
    assert_eq!(stage.keyed("provision", "POST", &resources, order).await, provisioned);
    assert_eq!(stage.keyed("tick", "POST", "/_sim/clock", json!({ "advance": "1h" })).await, moved);
    assert_eq!(stage.simulator.clock().now().to_string(), "2027-01-01T01:00:00Z");
    assert_eq!(stage.partner.seen().len(), 2);
}

/// Takes the kept answer of a key out of the journal, as if the simulator had died before it was written.
fn forget_answer(path: &Path, key: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let is_answer = |line: &&str| {
        let puts: Value = serde_json::from_str(line).unwrap();
        puts.as_array()
            .unwrap()
            .iter()
            .any(|put| put["t"] == "controls" && put["k"] == key && !put["v"]["answer"].is_null())
    };
    let kept: Vec<&str> = text.lines().filter(|line| !is_answer(line)).collect();
    assert_eq!(kept.len() + 1, text.lines().count());
    std::fs::write(path, kept.join("\n") + "\n").unwrap();
}

#[tokio::test]
async fn a_call_whose_answer_was_not_kept_is_made_again_without_doubling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let mut stage = Stage::with(on(&path)).await;
    let (_, body) = stage.keyed("install", "POST", "/_sim/installations", json!({})).await;
    let id = body["installationId"].as_str().unwrap().to_owned();
    let order = json!({ "productId": "p", "planId": "pro", "name": "n" });
    let resources = format!("/_sim/installations/{id}/resources");
    let calls = [
        ("install", "POST", "/_sim/installations".to_owned(), json!({})),
        ("provision", "POST", resources, order),
        ("tick", "POST", "/_sim/clock".to_owned(), json!({ "advance": "1h" })),
        ("uninstall", "DELETE", format!("/_sim/installations/{id}"), json!({})),
    ];
    for (key, method, url, body) in calls {
        let first = stage.keyed(key, method, &url, body.clone()).await;
        let before = stage.text("/_sim/state").await;
        forget_answer(&path, key);
        stage = stage.restart(on(&path)).await;
        assert_eq!(stage.keyed(key, method, &url, body).await, first, "{key}");
        assert_eq!(stage.text("/_sim/state").await, before, "{key}");
    }
    for (method, suffix) in [("PUT", id.as_str()), ("POST", "/resources"), ("DELETE", id.as_str())] {
        let seen = stage.partner.seen_of(method, suffix);
        assert_eq!(seen.len(), 2, "{method} {suffix}");
        assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));
        assert_eq!(seen[0].body, seen[1].body);
    }
}

#[tokio::test]
async fn a_purchase_and_a_transfer_whose_answers_were_not_kept_do_not_double() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vercel");
    let mut stage = Stage::with(on(&path)).await;
    let it = stage.customer("credit-1").await;
    let (target, _) = stage.install().await;
    let purchase = json!({ "resourceId": it.resource, "amount": "5.00" });
    let order = json!({ "installationId": it.id, "targetInstallationId": target, "resourceIds": [it.resource] });
    for (key, url, body) in [
        ("purchase", format!("/_sim/installations/{}/purchases", it.id), purchase),
        ("transfer", "/_sim/transfers".to_owned(), order),
    ] {
        let first = stage.keyed(key, "POST", &url, body.clone()).await;
        let before = stage.text("/_sim/state").await;
        forget_answer(&path, key);
        stage = stage.restart(on(&path)).await;
        assert_eq!(stage.keyed(key, "POST", &url, body).await, first, "{key}");
        assert_eq!(stage.text("/_sim/state").await, before, "{key}");
    }
    for suffix in ["/provision", "/resource-transfer-requests", "/accept"] {
        let seen = stage.partner.seen_of("POST", suffix);
        assert_eq!((seen.len(), &seen[0].body), (2, &seen[1].body), "{suffix}");
        assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"), "{suffix}");
    }
}

#[tokio::test]
async fn a_provider_that_could_not_act_is_asked_again_under_the_same_key() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = format!("/_sim/installations/{}/resources/{}", it.id, it.resource);
    stage.partner.answer_next("PATCH", &it.resource, 503, Value::Null);
    stage.partner.answer_next("PATCH", &it.resource, 409, json!({ "error": { "code": "conflict", "message": "m" } }));
    let rename =
        async || stage.keyed("rename", "PATCH", &path, json!({ "name": "new" })).await.1["partner"]["status"].clone();
    assert_eq!(rename().await, 503);
    // A 409 without Retry-After is an answer like any other, and kept.
    assert_eq!((rename().await, rename().await), (json!(409), json!(409)));
    let seen = stage.partner.seen_of("PATCH", &it.resource);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));
}
