//! Switches: both readings of what nobody outside knows of Vercel.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::stage::{Customer, Stage};

async fn switch(stage: &Stage, switches: Value) -> Value {
    let (status, set) = stage.control("PUT", "/_sim/switches", switches).await;
    assert_eq!(status, 200, "{set}");
    set
}

async fn get(stage: &Stage, it: &Customer, rest: &str) -> (u16, Value) {
    stage.vercel(&it.token, "GET", &it.path(rest), Value::Null).await
}

async fn refund(stage: &Stage, it: &Customer, invoice: &str, total: &str) -> u16 {
    let body = json!({ "action": "refund", "reason": "unhappy", "total": total });
    let path = it.path(&format!("/billing/invoices/{invoice}/actions"));
    let (status, _) = stage.vercel(&it.token, "POST", &path, body).await;
    stage.advance("1h").await;
    status
}

#[tokio::test]
async fn what_is_set_is_shown_is_kept_and_is_forgotten_with_a_reset() {
    let stage = Stage::new().await;
    let defaults: Value = serde_json::from_str(&stage.text("/_sim/switches").await).unwrap();
    assert_eq!(
        defaults,
        json!({ "taxPercent": 0, "refundTotal": "cumulative", "refundTax": false, "refundWebhooks": "sent",
                "leaving": "served", "unlisted": "agree", "gone": [], "envelopes": "kept",
                "removedTeam": false, "lock": "none" })
    );
    let set = switch(&stage, json!({ "taxPercent": 19, "lock": "during_rotation" })).await;
    assert_eq!(
        (&set["taxPercent"], &set["lock"], &set["leaving"]),
        (&json!(19), &json!("during_rotation"), &json!("served"))
    );
    let set = switch(&stage, json!({ "removedTeam": true })).await;
    assert_eq!((&set["taxPercent"], &set["removedTeam"]), (&json!(0), &json!(true)), "all of them at once");
    for wrong in [
        json!({ "taxPercent": 101 }),
        json!({ "taxPercent": -1 }),
        json!({ "refundTotal": "some" }),
        json!({ "tax": 19 }),
        json!({ "gone": "icfg_1" }),
        json!({ "gone": vec!["icfg_1"; 1_001] }),
        json!("19"),
    ] {
        let (status, body) = stage.control("PUT", "/_sim/switches", wrong.clone()).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("bad_request")), "{wrong}");
    }
    stage.control("POST", "/_sim/reset", json!({})).await;
    assert_eq!(serde_json::from_str::<Value>(&stage.text("/_sim/switches").await).unwrap(), defaults);
}

#[tokio::test]
async fn a_total_may_contain_tax() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    switch(&stage, json!({ "taxPercent": 19 })).await;
    let invoice = it.submit(&stage, "a").await;
    let read = it.read(&stage, &invoice).await;
    assert_eq!((&read["total"], &read["items"][0]["total"]), (&json!("23.80"), &json!("20.00")));
    stage.advance("2h").await;
    let paid = stage.partner.webhooks("marketplace.invoice.paid")[0].json();
    assert_eq!(paid["payload"]["invoiceTotal"], "23.80");
    assert_eq!(refund(&stage, &it, &invoice, "23.81").await, 400);
    assert_eq!(refund(&stage, &it, &invoice, "23.80").await, 204, "with its tax");
    switch(&stage, json!({})).await;
    assert_eq!(it.read(&stage, &invoice).await["total"], "20.00");
}

#[tokio::test]
async fn a_refund_total_is_the_sum_or_the_last_or_absent() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    stage.advance("2h").await;
    for total in ["5.00", "3.00"] {
        assert_eq!(refund(&stage, &it, &invoice, total).await, 204);
    }
    for (reading, shown) in [("cumulative", json!("8.00")), ("last", json!("3.00")), ("absent", Value::Null)] {
        switch(&stage, json!({ "refundTotal": reading })).await;
        let read = it.read(&stage, &invoice).await;
        assert_eq!((&read["refundTotal"], read["refundedAt"].is_string()), (&shown, true), "{reading}");
    }
}

#[tokio::test]
async fn the_two_ways_to_a_resource_may_disagree() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let one = format!("/resources/{}", it.resource);
    let shown = async || {
        let listed = get(&stage, &it, "/resources").await.1["resources"].as_array().unwrap().len();
        let (status, body) = get(&stage, &it, &one).await;
        (listed, status, body["error"]["code"].clone())
    };
    assert_eq!(shown().await, (1, 200, Value::Null));
    switch(&stage, json!({ "unlisted": "get_unknown" })).await;
    assert_eq!(shown().await, (1, 404, json!("not_found")));
    switch(&stage, json!({ "unlisted": "list_empty" })).await;
    assert_eq!(shown().await, (0, 200, Value::Null));
    // What is asked while the installation is being uninstalled.
    switch(&stage, json!({ "leaving": "forgotten" })).await;
    assert_eq!(shown().await, (1, 200, Value::Null));
    stage.control("DELETE", &format!("/_sim/installations/{}", it.id), json!({})).await;
    assert_eq!(shown().await, (0, 404, json!("not_found")));
    switch(&stage, json!({})).await;
    assert_eq!(shown().await, (1, 200, Value::Null));
}

#[tokio::test]
async fn an_installation_may_be_gone_although_nobody_uninstalled() {
    let stage = Stage::new().await;
    let (it, other) = (stage.customer("pro").await, stage.customer("pro").await);
    switch(&stage, json!({ "gone": [it.id] })).await;
    for rest in ["/account", "/resources"] {
        let (status, body) = get(&stage, &it, rest).await;
        assert_eq!((status, &body["error"]["code"]), (410, &json!("gone")), "{rest}");
        assert_eq!(get(&stage, &other, rest).await.0, 200, "{rest}");
    }
    switch(&stage, json!({})).await;
    assert_eq!(get(&stage, &it, "/account").await.0, 200);
}

#[tokio::test]
async fn an_envelope_may_be_lost() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    switch(&stage, json!({ "envelopes": "lost" })).await;
    let answer = stage.raw(stage.request(&it.token, "GET", &it.path("/resources/nobody")), "").await;
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (404, "text/html"));
    assert!(answer.body().starts_with(b"<html>"));
    assert_eq!(get(&stage, &it, "/account").await.0, 200, "what is no refusal goes out whole");
}

#[tokio::test]
async fn the_removed_event_may_name_the_team() {
    for (named, wanted) in [(false, true), (true, false)] {
        let stage = Stage::new().await;
        let it = stage.customer("pro").await;
        switch(&stage, json!({ "removedTeam": named })).await;
        stage.control("DELETE", &format!("/_sim/installations/{}", it.id), json!({})).await;
        let event = stage.partner.webhooks("integration-configuration.removed")[0].json();
        assert_eq!(event["payload"]["team"]["id"].is_null(), wanted, "{event}");
    }
}

/// The caller hangs up in the middle of a delay: it is carried out all the same.
#[tokio::test]
async fn a_delay_acts_although_the_caller_has_gone() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let faults = json!([{ "match": { "path": "*/events" }, "fault": { "kind": "delay", "ms": 300 }, "times": 1 }]);
    assert_eq!(stage.control("PUT", "/_sim/faults", faults).await.0, 200);
    let body = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } }).to_string();
    let mut socket = tokio::net::TcpStream::connect(stage.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        it.path("/events"),
        it.token,
        body.len(),
    );
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    let fired = async || {
        let armed: Value = serde_json::from_str(&stage.text("/_sim/faults").await).unwrap();
        armed[0]["fired"] == 1
    };
    while !fired().await {
        tokio::task::yield_now().await;
    }
    drop(socket);
    let acted = async {
        while stage.state().await["events"].as_array().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), acted).await.expect("it is carried out");
}
