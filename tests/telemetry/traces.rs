//! The spans of real flows, as a collector gets them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing::dispatcher::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;
use tradepost_host::guarded;
use tradepost_host::traces::Traces;
use tradepost_marketplace::doors::Environment;
use tradepost_provider::flows;
use tradepost_rehearsal::development;

use crate::world::vercel::Call;
use crate::world::{FREE, PRODUCT, World};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Collected {
    bodies: Arc<Mutex<Vec<Value>>>,
    traces: Traces,
    _guard: DefaultGuard,
}

struct At(String);

impl Environment for At {
    fn var(&self, name: &str) -> Option<String> {
        (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| self.0.clone())
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl Collected {
    async fn open() -> Self {
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let kept = bodies.clone();
        let take = async move |body: Bytes| {
            kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            "{}"
        };
        let url = serve(Router::new().route("/v1/traces", post(take))).await;
        let traces = Traces::of("tests", &At(url)).unwrap().unwrap();
        let dispatch = tracing_subscriber::registry().with(traces.layer()).into();
        Self { bodies, traces, _guard: tracing::dispatcher::set_default(&dispatch) }
    }

    /// The spans of the one request that was made since.
    fn spans(&self) -> Vec<Value> {
        let mut bodies = std::mem::take(&mut *self.bodies.lock().unwrap());
        assert_eq!(bodies.len(), 1, "{bodies:#?}");
        let body = bodies.remove(0);
        body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    }
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| span["name"].as_str().unwrap()).collect()
}

fn attribute(span: &Value, name: &str) -> Value {
    let mut found = span["attributes"].as_array().unwrap().iter().filter(|attribute| attribute["key"] == name);
    let value = found.next().map_or(Value::Null, |attribute| attribute["value"].clone());
    assert!(found.next().is_none(), "{name} twice in {span:#}");
    value
}

#[tokio::test]
async fn a_request_is_a_span_with_its_calls_in_it() {
    let mut world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let collected = Collected::open().await;
    let provider = &world.local.provider;
    world.url = serve(collected.traces.around(guarded("tests", flows::all(provider)))).await;
    a_sweep(&world, &collected).await;
    an_event(&world, &collected, &installation, &id).await;
    a_purchase(&world, &collected, &installation).await;
    world.close().await;
}

/// A sweep that finds nothing: four partitions of lanes, and the operations.
async fn a_sweep(world: &World, collected: &Collected) {
    let bearer = format!("Bearer {}", development::CRON_SECRET);
    let request =
        world.request(Method::GET, "/cron/outbox").header("authorization", bearer).header("traceparent", PARENT);
    let got = world.send(request, "").await.expect(200);
    let spans = collected.spans();
    assert_eq!(names(&spans), ["Query", "Query", "Query", "Query", "Query", "GET /cron/outbox"]);
    let request = spans.last().unwrap();
    assert_eq!(request["spanId"], got.header("x-request-id"), "the request's id is its span's");
    assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(attribute(request, "http.response.status_code"), json!({ "intValue": "200" }));
    assert_eq!(attribute(request, "outbox.age_seconds"), json!({ "intValue": "0" }));
    assert_eq!(attribute(request, "caller.kind"), json!({ "stringValue": "scheduler" }));
    for span in &spans[..5] {
        assert_eq!((&span["parentSpanId"], &span["kind"]), (&request["spanId"], &json!(3)));
        assert_eq!(attribute(span, "db.system.name"), json!({ "stringValue": "aws.dynamodb" }));
    }
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"));
}

/// An event: Vercel gets it within the request, and refuses.
async fn an_event(world: &World, collected: &Collected, installation: &str, id: &str) {
    let path = format!("/v1/installations/{installation}/events");
    world
        .vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 }, "times": 1 }]))
        .await;
    world
        .partner("resource.updated", "/partner/events", &installation, json!({ "resourceId": id, "name": "n" }))
        .await
        .expect(202);
    let spans = collected.spans();
    let calls: Vec<&Value> = spans.iter().filter(|span| span["name"] == "vercel").collect();
    assert_eq!(calls.len(), 2, "{:?}", names(&spans));
    assert_eq!(attribute(calls[0], "http.response.status_code"), json!({ "intValue": "500" }));
    assert_eq!((&calls[0]["status"]["code"], calls[1].get("status")), (&json!(2), None));
    let request = spans.last().unwrap();
    assert_eq!(
        (&request["name"], request.get("parentSpanId"), request.get("status")),
        (&json!("POST /partner/events"), None, None)
    );
    assert!(
        request["events"].as_array().unwrap().iter().any(|event| event["name"] == "call to Vercel will be tried again")
    );
    assert!(calls.iter().all(|call| call["parentSpanId"] == request["spanId"]));
    let text = json!(spans).to_string();
    assert!(!text.contains("Bearer") && !text.contains(development::PARTNER_SECRET), "{text}");
    assert!(world.vercel_heals().await[0] == 1);
}

/// A purchase by way of Vercel, whose own trace it is; the provisioner is called in it.
async fn a_purchase(world: &World, collected: &Collected, installation: &str) {
    let body = json!({ "productId": PRODUCT, "name": "other", "billingPlanId": FREE, "metadata": {} });
    let path = format!("/v1/installations/{installation}/resources");
    let call = Call::new("POST", path).of(&installation).body(body).key("p2");
    world
        .control(
            "POST",
            "/_sim/partner",
            json!({
                "baseUrl": world.url,
                "clientId": development::CLIENT_ID,
                "clientSecret": development::CLIENT_SECRET,
                "cronSecret": development::CRON_SECRET,
                "crons": [],
            }),
        )
        .await
        .expect(200);
    world.vercel(call).await.expect(200);
    let spans = collected.spans();
    let ordered: Vec<&Value> = spans.iter().filter(|span| span["name"] == "provisioner").collect();
    assert_eq!(ordered.len(), 1, "{:?}", names(&spans));
    assert_eq!(attribute(ordered[0], "peer.service"), json!({ "stringValue": "provisioner" }));
}
