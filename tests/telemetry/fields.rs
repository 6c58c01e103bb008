//! Each request has one wide event, and exactly these fields.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::FutureExt;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tradepost_host::guarded;
use tradepost_provider::layer::wrap;

use crate::world::provisioner::Mood;
use crate::world::vercel::Call;
use crate::world::{self, FREE, SCALE, World};
use crate::{log, scheduled};

/// What every wide event has.
const ALWAYS: [&str; 13] = [
    "deadline.left_ms",
    "duration_ms",
    "http.method",
    "http.route",
    "http.status",
    "level",
    "message",
    "provisioner.calls",
    "request.id",
    "store.calls",
    "target",
    "timestamp",
    "vercel.calls",
];

/// The event has these fields besides those that all have, and no others; those that say how much, say this.
#[track_caller]
fn has(wide: &Value, fields: &[(&str, Value)]) {
    let mut wanted: Vec<&str> = ALWAYS.iter().copied().chain(fields.iter().map(|(name, _)| *name)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut names: Vec<&str> = wide.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, wanted, "{wide:#}");
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        assert_eq!(&wide[name], value, "{name} in {wide:#}");
    }
}

/// For a field whose value is no matter.
const ANY: Value = Value::Null;

#[tokio::test]
async fn usage_tells_who_reported_and_how_much() {
    let (log, _guard) = log();
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let readings = [
        (id.as_str(), "queries", world::BEGIN, "1"),
        (&id, "queries", "2026-01-01T00:00:00Z", "1"),
        (&id, "queries", world::BEGIN, "2"),
    ];
    let call =
        world.partner_call("usage.recorded", "/partner/usage", &installation, &world::partner::usage("b1", &readings));
    let got = world.send_partner(&call).await.expect(200);
    let caller = [
        ("caller.kind", json!("partner")),
        ("partner.key_id", json!(call.key_id)),
        ("partner.type", json!("usage.recorded")),
        ("installation.id", json!(installation)),
    ];
    let told = [("readings.accepted", json!(2)), ("readings.refused", json!(1))];
    let wide = log.of(&got);
    has(&wide, &[&caller[..], &told].concat());
    assert_eq!(
        (&wide["http.method"], &wide["http.route"], &wide["http.status"]),
        (&json!("POST"), &json!("/partner/usage"), &json!(200))
    );
    // The idempotency record, the batch, the slice, one transaction.
    assert_eq!(
        (&wide["store.calls"], &wide["vercel.calls"], &wide["provisioner.calls"]),
        (&json!(4), &json!(0), &json!(0))
    );
    let deadline = i64::try_from(world.local.provider.deadline.as_millis()).unwrap();
    assert_eq!(wide["duration_ms"].as_i64().unwrap() + wide["deadline.left_ms"].as_i64().unwrap(), deadline);
    // The same again has the same answer, and says so.
    let got = world.send_partner(&call).await.expect(200);
    has(&log.of(&got), &[&caller[..], &[("request.repeated", json!(true))]].concat());
    world.close().await;
}

#[tokio::test]
async fn a_refusal_has_its_code_and_cause_in_the_same_line() {
    let (log, _guard) = log();
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let mut call = world.partner_call("usage.recorded", "/partner/usage", &installation, &json!({}));
    call.forged_body = Some("{}".to_owned());
    let got = world.send_partner(&call).await.expect(401);
    has(&log.of(&got), &[("error.code", json!("invalid_signature")), ("error.cause", ANY)]);
    // Let in, and refused then: no cause but what the caller is told.
    let data = json!({ "resourceId": "icfg_1.r1", "name": "x" });
    let got = world.partner("resource.updated", "/partner/events", &installation, data).await.expect(404);
    let wide = log.of(&got);
    has(
        &wide,
        &[
            ("error.code", json!("not_found")),
            ("caller.kind", json!("partner")),
            ("partner.key_id", ANY),
            ("partner.type", json!("resource.updated")),
            ("installation.id", json!(installation)),
            ("resource.id", json!("icfg_1.r1")),
        ],
    );
    assert_eq!(wide["level"], "INFO");
    // What is not the caller's fault has a line of its own besides, at its own level.
    world.provisioner.next(Mood::Down);
    let path = format!("/v1/installations/{installation}/resources/{id}");
    let call = Call::new("PATCH", path).of(&installation).body(json!({ "name": "other" })).key("k1");
    world.vercel(call).await.expect(503);
    let wide = log.wide("/v1/installations/{installation}/resources/{resource}").pop().unwrap();
    has(
        &wide,
        &[
            ("error.code", json!("unavailable")),
            ("error.cause", ANY),
            ("caller.kind", json!("vercel_user")),
            ("installation.id", json!(installation)),
            ("resource.id", json!(id)),
        ],
    );
    assert_eq!(wide["provisioner.calls"], 1);
    let own: Vec<Value> = log.lines().into_iter().filter(|line| line["request.id"] == wide["request.id"]).collect();
    assert!(own.iter().any(|line| line["message"] == "request failed" && line["level"] == "WARN"), "{own:#?}");
    world.revive_after(120).await;
    world.sweep().await;
    world.close().await;
}

#[tokio::test]
async fn a_purchase_tells_what_was_called_and_delivered() {
    let (log, _guard) = log();
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let wide = log.wide("/v1/installations/{installation}/resources").pop().unwrap();
    has(
        &wide,
        &[("caller.kind", json!("vercel_user")), ("installation.id", json!(installation)), ("resource.id", json!(id))],
    );
    assert_eq!((&wide["provisioner.calls"], &wide["http.status"]), (&json!(1), &json!(200)));
    let got = world
        .partner("resource.updated", "/partner/events", &installation, json!({ "resourceId": id, "name": "n" }))
        .await;
    let wide = log.of(&got.expect(202));
    has(
        &wide,
        &[
            ("caller.kind", json!("partner")),
            ("partner.key_id", ANY),
            ("partner.type", json!("resource.updated")),
            ("installation.id", json!(installation)),
            ("resource.id", json!(id)),
            ("effects.delivered", json!(1)),
        ],
    );
    assert_eq!(wide["vercel.calls"], 1);
    world.close().await;
}

#[tokio::test]
async fn a_run_of_the_scheduler_tells_what_it_did_and_its_metrics() {
    let (log, _guard) = log();
    let world = World::open().await;
    world.customer(SCALE).await;
    let idle = log.of(&scheduled(&world, "/cron/billing").await.expect(200));
    let metric = [("_aws", ANY), ("stack", json!(crate::STACK))];
    let tick = |due: u32, pushed: u32| {
        [
            ("caller.kind", json!("scheduler")),
            ("push.shards_due", json!(due)),
            ("push.shards_busy", json!(0)),
            ("push.shards_served", json!(due)),
            ("push.installations", json!(pushed)),
            ("push.failed", json!(0)),
            ("push.lag_seconds", json!(0)),
            ("PushLagSeconds", json!(0)),
            ("push.days_lost", json!(0)),
            ("PushDaysLost", json!(0)),
            ("held", json!(0)),
            ("Held", json!(0)),
        ]
    };
    has(&idle, &[&metric[..], &tick(0, 0)].concat());
    assert_eq!(idle["store.calls"], 1, "an idle tick costs one read");
    world.advance_to("2027-01-01T01:59:00Z").await;
    let served = log.of(&scheduled(&world, "/cron/billing").await.expect(200));
    has(&served, &[&metric[..], &tick(1, 1)].concat());
    let swept = log.of(&scheduled(&world, "/cron/outbox").await.expect(200));
    let sweep = [
        ("caller.kind", json!("scheduler")),
        ("sweep.lanes_due", json!(0)),
        ("sweep.lanes_busy", json!(0)),
        ("sweep.lanes_failed", json!(0)),
        ("sweep.lanes_left", json!(0)),
        ("operations.finished", json!(0)),
        ("operations.failed", json!(0)),
        ("outbox.age_seconds", json!(0)),
        ("OutboxAgeSeconds", json!(0)),
        ("effects.dead_letters", json!(0)),
        ("DeadLetters", json!(0)),
        ("held", json!(0)),
        ("Held", json!(0)),
    ];
    has(&swept, &[&metric[..], &sweep].concat());
    // Whoever cannot show the secret makes no metric.
    let got = world.send(world.request(Method::GET, "/cron/billing"), "").await.expect(401);
    has(&log.of(&got), &[("error.code", json!("invalid_cron_secret"))]);
    world.close().await;
}

/// Its answer is the host's; its wide event is there all the same.
#[tokio::test]
async fn a_panic_and_a_caller_who_goes_away_have_their_event_too() {
    let (log, _guard) = log();
    let world = World::open().await;
    let boom = async || -> StatusCode { panic!("a secret was here") };
    let paths = Router::new().route("/boom", get(boom)).route("/never", get(std::future::pending::<StatusCode>));
    let router = guarded("tests", wrap(&world.local.provider, paths));
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request("/boom")).await.unwrap();
    assert_eq!(response.status(), 500);
    let wide = log.wide("/boom").pop().unwrap();
    has(&wide, &[("error.code", json!("internal")), ("error.cause", json!("panicked"))]);
    assert_eq!(wide["http.status"], 500);
    assert!(!log.lines().iter().any(|line| line.to_string().contains("a secret")));
    // Asked once, and dropped.
    assert!(router.oneshot(request("/never")).now_or_never().is_none());
    let mut wide = log.wide("/never").pop().unwrap();
    assert_eq!(wide.get("http.status"), None);
    wide["http.status"] = json!("none");
    has(&wide, &[("request.cancelled", json!(true))]);
    world.close().await;
}

/// Vercel's own token without an installation, on a route of one, is a fault at Vercel: a line for a person. Anybody
/// else's wrong token is not.
#[tokio::test]
async fn a_token_without_an_installation_is_told() {
    let (log, _guard) = log();
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let stranger = world.install().await;
    let call = || Call::new("GET", format!("/v1/installations/{installation}")).system();
    let told = || log.lines().into_iter().filter(|line| line["level"] == "ERROR").count();
    world.vercel(call().of(&stranger)).await.expect(403);
    assert_eq!(told(), 0);
    world.vercel(call()).await.expect(403);
    assert_eq!(told(), 1);
    world.close().await;
}
