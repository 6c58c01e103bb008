//! The clock: what is due, in order, each awaited.

use jiff::Timestamp;
use serde_json::{Value, json};
use tradepost_simulator::{ClockMode, Options};

use crate::stage::{CRON_SECRET, Stage};

#[tokio::test]
async fn crons_are_called_at_their_instants_in_order() {
    let stage = Stage::new().await;
    let crons = json!([
        { "path": "/cron/billing", "schedule": "5 * * * *" },
        { "path": "/cron/daily", "schedule": "0 3 * * *" },
    ]);
    stage.register(json!({ "crons": crons })).await;
    stage.advance("1d").await;
    let seen = stage.partner.seen();
    assert_eq!(seen.iter().filter(|seen| seen.path == "/cron/billing").count(), 24);
    assert_eq!(seen.iter().position(|seen| seen.path == "/cron/daily"), Some(3));
    assert!(
        seen.iter().all(|seen| seen.method == "GET" && seen.header("authorization") == format!("Bearer {CRON_SECRET}"))
    );
    let log: Value = serde_json::from_str(&stage.text("/_sim/requests").await).unwrap();
    let first = &log["requests"][0];
    assert_eq!((&first["at"], &first["path"]), (&json!("2027-01-01T00:05:00Z"), &json!("/cron/billing")));
    assert_eq!(
        (&first["direction"], &first["status"], &first["outcome"]),
        (&json!("to_partner"), &json!(200), &json!("ok"))
    );
    // Registered again, a cron keeps its turn.
    stage.register(json!({ "crons": crons })).await;
    stage.advance("5m").await;
    assert_eq!(stage.partner.seen().len(), 26);
}

#[tokio::test]
async fn the_clock_says_no_to_the_past_and_to_nonsense() {
    let stage = Stage::new().await;
    stage.advance("1d").await;
    for bad in [
        json!({ "to": "2027-01-01T12:00:00Z" }),
        json!({ "advance": "-1h" }),
        json!({ "advance": "401d" }),
        json!({}),
        json!({ "advance": "1h", "to": "2027-02-01T00:00:00Z" }),
    ] {
        assert_eq!(stage.control("POST", "/_sim/clock", bad.clone()).await.0, 400, "{bad}");
    }
    let (_, now) = stage.control("GET", "/_sim/clock", Value::Null).await;
    assert_eq!(now, json!({ "now": "2027-01-02T00:00:00Z" }));
    assert_eq!(stage.simulator.clock().now().to_string(), "2027-01-02T00:00:00Z");
}

#[tokio::test]
async fn a_webhook_is_tried_again_until_it_is_taken() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    it.submit(&stage, "a").await;
    for _ in 0..3 {
        stage.partner.answer_next("POST", "/webhooks/vercel", 500, Value::Null);
    }
    stage.advance("1h").await;
    let created = async || stage.partner.webhooks("marketplace.invoice.created");
    assert_eq!(created().await.len(), 1);
    for (wait, count) in [("59s", 1), ("1s", 2), ("119s", 2), ("1s", 3), ("239s", 3), ("1s", 4), ("2d", 4)] {
        stage.advance(wait).await;
        assert_eq!(created().await.len(), count, "after {wait}");
    }
    let tries = created().await;
    assert!(tries.iter().all(|it| it.body == tries[0].body), "the id and the bytes stay the same");
    let webhooks = stage.state().await["webhooks"].clone();
    assert_eq!((&webhooks[0]["attempts"], &webhooks[0]["state"]), (&json!(4), &json!("delivered")));
}

#[tokio::test]
async fn a_webhook_is_dropped_after_a_day() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    for _ in 0..100 {
        stage.partner.answer_next("POST", "/webhooks/vercel", 500, Value::Null);
    }
    stage.control("POST", "/_sim/members", json!({ "installationId": it.id, "memberId": "m", "role": "USER" })).await;
    stage.advance("2d").await;
    let webhook = stage.state().await["webhooks"][0].clone();
    assert_eq!(
        (&webhook["attempts"], &webhook["state"], &webhook["lastStatus"]),
        (&json!(11), &json!("dropped"), &json!(500))
    );
}

#[tokio::test]
async fn an_event_of_ones_own_is_delivered_as_often_as_asked() {
    let stage = Stage::new().await;
    stage.partner.answer_next("POST", "/webhooks/vercel", 403, Value::Null);
    let body = json!({ "type": "test-webhook", "payload": { "a": 1 }, "signature": "bad", "times": 2 });
    let (_, answer) = stage.control("POST", "/_sim/webhooks", body).await;
    assert_eq!(answer["deliveries"], json!([{ "status": 403 }, { "status": 200 }]));
    let none = json!({ "type": "test-webhook", "payload": {}, "signature": "none" });
    stage.control("POST", "/_sim/webhooks", none).await;
    let seen = stage.partner.seen();
    assert_eq!(seen[0].json()["id"], seen[1].json()["id"]);
    assert!(seen[0].header("x-vercel-signature").len() == 40 && seen[2].header("x-vercel-signature").is_empty());
    assert_ne!(seen[0].json()["id"], seen[2].json()["id"]);
}

#[tokio::test]
async fn a_running_clock_does_what_is_due_by_itself() {
    // Two seconds before the first cron falls due.
    let start: Timestamp = "2027-01-01T00:00:58Z".parse().unwrap();
    let stage = Stage::with(Options { seed: 1, store: None, clock: ClockMode::Running { start } }).await;
    stage.register(json!({ "crons": [{ "path": "/cron/outbox", "schedule": "* * * * *" }] })).await;
    let called = async {
        while stage.partner.seen_of("GET", "/cron/outbox").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let timeout = tradepost_marketplace::doors::Sleeper::sleep(
        &tradepost_marketplace::doors::SystemSleeper,
        std::time::Duration::from_secs(20),
    );
    tokio::select! {
        () = called => {}
        () = timeout => panic!("the cron was never called"),
    }
    let before = stage.simulator.clock().now();
    stage.advance("1h").await;
    assert!(before.duration_until(stage.simulator.clock().now()).as_mins() >= 60);
    assert!(stage.partner.seen_of("GET", "/cron/outbox").len() >= 61);
}
