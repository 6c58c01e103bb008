//! Vercel: what customers do there, single calls of the Partner API, and what it has come to know.

use serde_json::{Value, json};

use tradepost_provider::effects::Effect;
use tradepost_provider::outbox::{Class, LaneName};
use tradepost_provider::state::Resource;
use tradepost_store::Write;

use super::got::{Got, text};
use super::table::{installation_id, resource_id};
use super::{PRODUCT, World};

/// A call of the Partner API, by way of the simulator, which signs it.
#[derive(Debug, Clone)]
pub struct Call(pub Value);

impl Call {
    /// As the customer's administrator, without an `Idempotency-Key`.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self(json!({ "method": method, "path": path.into(), "auth": "user", "idempotencyKey": null }))
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// With an installation's token.
    pub fn of(self, installation: &str) -> Self {
        self.with("installationId", json!(installation))
    }

    /// As Vercel itself.
    pub fn system(self) -> Self {
        self.with("auth", json!("system"))
    }

    pub fn key(self, key: &str) -> Self {
        self.with("idempotencyKey", json!(key))
    }

    pub fn body(self, body: Value) -> Self {
        self.with("body", body)
    }

    /// Any other fields of `POST /_sim/calls`.
    pub fn and(mut self, fields: &Value) -> Self {
        for (name, value) in fields.as_object().into_iter().flatten() {
            self.0[name] = value.clone();
        }
        self
    }
}

/// A request that the simulator made or took.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Logged {
    pub seq: u64,
    pub direction: String,
    pub method: String,
    pub path: String,
    pub status: Option<u16>,
    pub outcome: String,
}

impl World {
    /// Makes a call of the Partner API.
    pub async fn vercel(&self, call: Call) -> Got {
        let got = self.control("POST", "/_sim/calls", call.0).await.expect(200);
        let headers = serde_json::from_value(got.body["headers"].clone()).unwrap();
        let status = u16::try_from(got.body["status"].as_u64().unwrap()).unwrap();
        Got { status, headers, body: got.body["body"].clone() }
    }

    /// Installs as a customer: the id.
    pub async fn install(&self) -> String {
        let got = self.control("POST", "/_sim/installations", json!({})).await.expect(201);
        text(&got.body["installationId"])
    }

    /// Buys as a customer: the resource's id.
    pub async fn provision(&self, installation: &str, plan: &str, name: &str) -> String {
        let path = format!("/_sim/installations/{installation}/resources");
        let body = json!({ "productId": PRODUCT, "planId": plan, "name": name });
        let id = text(&self.control("POST", &path, body).await.expect(201).body["resourceId"]);
        self.is_known(installation, &id).await;
        id
    }

    /// Takes it that Vercel was asked for the resource already, an hour after the create, and knows it: the lane of its
    /// news is as it was before.
    pub async fn is_known(&self, installation: &str, resource: &str) {
        let (installation, resource) = (installation_id(installation), resource_id(resource));
        let mut stored =
            self.local.bare.get::<Resource>(&Resource::key_of(&installation, &resource)).await.unwrap().unwrap();
        stored.item.life = stored.life.known();
        let lane = LaneName { installation, class: Class::State, resource: Some(resource) };
        let asked = Effect::key_of(&lane, "confirm_resource", false);
        let known = Write::replace(&stored.item, stored.version).unwrap();
        let writes = vec![known, Write::delete_any(asked), Write::delete_any(lane.key())];
        self.local.bare.commit(writes).await.unwrap();
    }

    /// Installs and buys one resource: both ids.
    pub async fn customer(&self, plan: &str) -> (String, String) {
        let installation = self.install().await;
        let resource = self.provision(&installation, plan, "orders").await;
        (installation, resource)
    }

    /// Uninstalls as a customer.
    pub async fn uninstall(&self, installation: &str) {
        let got = self.control("DELETE", &format!("/_sim/installations/{installation}"), json!({})).await.expect(200);
        assert_eq!(got.body["partner"]["status"], 200, "{got:?}");
    }

    /// Arms faults on calls to Vercel, in place of those armed before.
    pub async fn vercel_fails(&self, faults: Value) {
        self.control("PUT", "/_sim/faults", faults).await.expect(200);
    }

    /// Heals Vercel; says how often each fault fired.
    pub async fn vercel_heals(&self) -> Vec<u64> {
        let got = self.control("GET", "/_sim/faults", Value::Null).await.expect(200);
        self.vercel_fails(json!([])).await;
        got.body.as_array().unwrap().iter().map(|fault| fault["fired"].as_u64().unwrap()).collect()
    }

    /// Vercel's state of an installation.
    pub async fn state(&self, installation: &str) -> Value {
        let got = self.control("GET", &format!("/_sim/state?installationId={installation}"), Value::Null).await;
        let got = got.expect(200);
        assert_eq!(got.body["next"], Value::Null, "the state has more than one page");
        got.body
    }

    /// Vercel's row of a resource.
    pub async fn resource(&self, installation: &str, resource: &str) -> Value {
        let state = self.state(installation).await;
        let row = state["resources"].as_array().unwrap().iter().find(|row| row["id"] == resource);
        row.cloned().unwrap_or_else(|| panic!("Vercel has no resource {resource}"))
    }

    /// Vercel's invoices of an installation, oldest period first.
    pub async fn invoices(&self, installation: &str) -> Vec<Value> {
        let mut invoices = self.state(installation).await["invoices"].as_array().unwrap().clone();
        invoices.sort_by_key(|invoice| text(&invoice["period"]["start"]));
        invoices
    }

    /// The digests of a resource's secrets that Vercel holds, by name.
    pub async fn secrets(&self, installation: &str, resource: &str) -> Vec<(String, String)> {
        let state = self.state(installation).await;
        let rows = state["secrets"].as_array().unwrap().iter().filter(|row| row["resourceId"] == resource);
        rows.map(|row| (text(&row["name"]), text(&row["sha256"]))).collect()
    }

    /// The number of the last request in the simulator's log.
    pub async fn mark(&self) -> u64 {
        self.log_since(0).await.last().map_or(0, |row| row.seq)
    }

    /// All requests after a number, in either direction.
    pub async fn log_since(&self, mark: u64) -> Vec<Logged> {
        let mut since = mark;
        let mut all = Vec::new();
        loop {
            let path = format!("/_sim/requests?since={since}");
            let got = self.control("GET", &path, Value::Null).await.expect(200);
            let page: Vec<Logged> = serde_json::from_value(got.body["requests"].clone()).unwrap();
            let Some(last) = page.last() else { return all };
            since = last.seq;
            all.extend(page);
        }
    }

    /// The provider's calls to Vercel's API after a number: `POST billing/invoices ok`, ids left out.
    pub async fn calls_since(&self, mark: u64) -> Vec<String> {
        let api = |row: &Logged| row.direction == "to_vercel" && !row.path.starts_with("/.well-known");
        let rows = self.log_since(mark).await.into_iter().filter(api);
        rows.map(|row| {
            let parts: Vec<&str> = row.path.trim_start_matches("/v1/installations/").split('/').skip(1).collect();
            let plain = |part: &&&str| !part.starts_with("icfg_") && !part.starts_with("mi_");
            let path = parts.iter().filter(plain).copied().collect::<Vec<_>>().join("/");
            format!("{} {path} {}", row.method, row.outcome)
        })
        .collect()
    }
}

/// SHA-256 in hex, as the simulator shows secrets.
pub fn sha256(text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    tradepost_provider::state::keys::hex(digest(&SHA256, text.as_bytes()).as_ref())
}
