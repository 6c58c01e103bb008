//! A fake provider: answers the Partner API from memory, remembers every request, and can be told what to
//! answer next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Default)]
struct Memory {
    seen: Vec<Seen>,
    resources: BTreeMap<String, Value>,
    /// Answers by `METHOD path-suffix`, used up in order.
    next: BTreeMap<String, VecDeque<(u16, Value)>>,
    /// The next GET of a resource says that it came, and waits before it answers what it read.
    gate: Option<Gate>,
}

/// Two signals: a request came, and it may be answered.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    pub(crate) came: Arc<Notify>,
    pub(crate) go: Arc<Notify>,
}

#[derive(Clone, Default)]
pub(crate) struct FakePartner(Arc<Mutex<Memory>>);

impl FakePartner {
    /// Serves on a free port, and gives the URL.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    /// The next request of this method whose path ends so gets this answer.
    pub(crate) fn answer_next(&self, method: &str, suffix: &str, status: u16, body: Value) {
        let mut memory = self.0.lock().unwrap();
        memory.next.entry(format!("{method} {suffix}")).or_default().push_back((status, body));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The requests of a method whose path ends so.
    pub(crate) fn seen_of(&self, method: &str, suffix: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == method && seen.path.ends_with(suffix)).collect()
    }

    /// The webhooks of a type, as they came.
    pub(crate) fn webhooks(&self, kind: &str) -> Vec<Seen> {
        self.seen_of("POST", "/webhooks/vercel").into_iter().filter(|seen| seen.json()["type"] == kind).collect()
    }

    /// Holds the next GET of a resource up.
    pub(crate) fn hold_next_read(&self) -> Gate {
        self.0.lock().unwrap().gate.insert(Gate::default()).clone()
    }

    /// Changes a resource on the provider's side.
    pub(crate) fn set(&self, resource_id: &str, key: &str, value: Value) {
        self.0.lock().unwrap().resources.get_mut(resource_id).unwrap()[key] = value;
    }

    fn planned(&self, seen: &Seen) -> Option<(u16, Value)> {
        let mut memory = self.0.lock().unwrap();
        let fits = |key: &String| {
            let (method, suffix) = key.split_once(' ').unwrap();
            method == seen.method && seen.path.ends_with(suffix)
        };
        let key = memory.next.iter().find(|(key, answers)| fits(key) && !answers.is_empty())?.0.clone();
        memory.next.get_mut(&key)?.pop_front()
    }

    fn provision(&self, body: &Value, key: &str) -> Value {
        let id = format!("res-{}", &key[..8]);
        let resource = json!({
            "id": id, "productId": body["productId"], "name": body["name"], "metadata": body["metadata"],
            "status": "ready", "billingPlan": plan(body["billingPlanId"].as_str().unwrap()),
        });
        self.0.lock().unwrap().resources.insert(id, resource.clone());
        let mut answer = resource;
        answer["secrets"] = json!([{ "name": "API_KEY", "value": "first-secret-value" }]);
        answer
    }

    fn change(&self, id: &str, body: &Value) -> Option<Value> {
        let mut memory = self.0.lock().unwrap();
        let resource = memory.resources.get_mut(id)?;
        for key in ["name", "metadata"] {
            if !body[key].is_null() {
                resource[key] = body[key].clone();
            }
        }
        if let Some(plan_id) = body["billingPlanId"].as_str() {
            resource["billingPlan"] = plan(plan_id);
        }
        Some(resource.clone())
    }
}

/// A plan; those whose ids begin with `credit` are prepaid, and `credit-auto` buys itself.
pub(crate) fn plan(id: &str) -> Value {
    let kind = if id.starts_with("credit") { "prepayment" } else { "subscription" };
    let mut plan = json!({
        "id": id, "type": kind, "name": id, "description": "a plan", "scope": "resource",
        "paymentMethodRequired": false,
    });
    if id == "credit-auto" {
        plan["minimumAmount"] = json!("10.00");
        plan["maximumAmount"] = json!("100.00");
        plan["maximumAmountAutoPurchasePerPeriod"] = json!("25.00");
    }
    plan
}

async fn answer(State(partner): State<FakePartner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: to_bytes(body, 1 << 20).await.unwrap(),
    };
    partner.0.lock().unwrap().seen.push(seen.clone());
    let (status, body) = partner.planned(&seen).unwrap_or_else(|| usual(&partner, &seen));
    let is_read = seen.method == "GET" && seen.path.contains("/resources/");
    let gate = if is_read { partner.0.lock().unwrap().gate.take() } else { None };
    if let Some(gate) = gate {
        gate.came.notify_one();
        gate.go.notified().await;
    }
    let status = StatusCode::from_u16(status).unwrap();
    if body.is_null() { status.into_response() } else { (status, axum::Json(body)).into_response() }
}

fn usual(partner: &FakePartner, seen: &Seen) -> (u16, Value) {
    let segments: Vec<&str> = seen.path.trim_matches('/').split('/').collect();
    let missing = (404, json!({ "error": { "code": "not_found", "message": "unknown" } }));
    match (seen.method.as_str(), segments.as_slice()) {
        ("PUT" | "PATCH" | "GET", ["v1", "installations", _])
        | ("GET", ["v1", "installations", _, "resource-transfer-requests", _, "verify"]) => (200, json!({})),
        ("DELETE", ["v1", "installations", ..])
        | ("POST", ["v1", "installations", _, "resource-transfer-requests", _, "accept"]) => (204, Value::Null),
        ("POST", ["v1", "installations", _, "resources"]) => {
            (200, partner.provision(&seen.json(), seen.header("idempotency-key")))
        }
        ("GET", ["v1", "installations", _, "resources", id]) => {
            partner.0.lock().unwrap().resources.get(*id).map_or(missing, |row| (200, row.clone()))
        }
        ("PATCH", ["v1", "installations", _, "resources", id]) => {
            partner.change(id, &seen.json()).map_or(missing, |row| (200, row))
        }
        ("POST", ["v1", "installations", _, "resources", _, "secrets", "rotate"]) => {
            (200, json!({ "sync": true, "secrets": [{ "name": "API_KEY", "value": "second-secret-value" }] }))
        }
        ("POST", ["v1", "installations", _, "billing", "provision"]) => {
            (200, json!({ "timestamp": "2027-01-01T00:00:00Z", "balances": [] }))
        }
        ("POST", ["v1", "installations", _, "resource-transfer-requests"]) => {
            (200, json!({ "providerClaimId": format!("claim-{}", &seen.header("idempotency-key")[..8]) }))
        }
        ("POST", ["webhooks", "vercel"]) | ("GET", ["cron", ..]) => (200, Value::Null),
        _ => missing,
    }
}
