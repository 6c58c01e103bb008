//! A simulator and a fake provider, each on its own socket, and short ways to call them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tradepost_marketplace::http_door::{Http as _, HttpError, Network};
use tradepost_simulator::{Options, Simulator};

use crate::partner::FakePartner;

pub(crate) const CLIENT_ID: &str = "oac_test";
pub(crate) const CLIENT_SECRET: &str = "client-secret-of-the-test";
pub(crate) const CRON_SECRET: &str = "cron-secret-of-the-test";

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) url: String,
    pub(crate) partner: FakePartner,
    partner_url: String,
    http: Network,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// An answer: status and body, `Null` for none.
pub(crate) type Got = (u16, Value);

/// A customer with a resource.
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) resource: String,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Options { seed: 7, ..Options::default() }).await
    }

    /// A stage whose provider is registered.
    pub(crate) async fn with(options: Options) -> Self {
        let partner = FakePartner::default();
        let partner_url = partner.serve().await;
        let stage = Self::raise(options, partner, partner_url).await;
        stage.register(json!({})).await;
        stage
    }

    async fn raise(options: Options, partner: FakePartner, partner_url: String) -> Self {
        let simulator = Simulator::open(options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = simulator.clone();
        let serving = tokio::spawn(async move {
            served.serve(listener, async { drop(stopped.await) }).await.unwrap();
        });
        let http = Network::new("test").unwrap();
        Self { simulator, url, partner, partner_url, http, stop: Some(stop), serving }
    }

    /// Stops the simulator and opens another one in its place.
    pub(crate) async fn restart(mut self, options: Options) -> Self {
        let _ = self.stop.take().unwrap().send(());
        self.serving.await.unwrap();
        Self::raise(options, self.partner, self.partner_url).await
    }

    /// Registers the provider again, with more in the body.
    pub(crate) async fn register(&self, more: Value) {
        let mut body = json!({
            "baseUrl": self.partner_url, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET,
            "cronSecret": CRON_SECRET,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.control("POST", "/_sim/partner", body).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// An answer with its headers, and its body as it came.
    pub(crate) async fn raw(&self, request: http::request::Builder, body: &str) -> http::Response<Bytes> {
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        self.http.send(request, Duration::from_secs(20)).await.unwrap()
    }

    /// A call to Vercel's face whose body goes as it is.
    pub(crate) fn request(&self, token: &str, method: &str, path: &str) -> http::request::Builder {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        request.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: Value) -> Result<Got, HttpError> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let response = self.http.send(request.body(body).unwrap(), Duration::from_secs(20)).await?;
        let value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        Ok((response.status().as_u16(), value))
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let request = http::Request::get(format!("{}{path}", self.url)).body(Bytes::new()).unwrap();
        let response = self.http.send(request, Duration::from_secs(20)).await.unwrap();
        String::from_utf8(response.into_body().to_vec()).unwrap()
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: Value) -> Got {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        self.send(request, body).await.unwrap()
    }

    /// A control call under an idempotency key.
    pub(crate) async fn keyed(&self, key: &str, method: &str, path: &str, body: Value) -> Got {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        self.send(request.header("idempotency-key", key), body).await.unwrap()
    }

    /// A call to Vercel's face under a token, as a provider makes it.
    pub(crate) async fn try_vercel(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Got, HttpError> {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        self.send(request.header("authorization", format!("Bearer {token}")), body).await
    }

    pub(crate) async fn vercel(&self, token: &str, method: &str, path: &str, body: Value) -> Got {
        self.try_vercel(token, method, path, body).await.unwrap()
    }

    pub(crate) async fn install(&self) -> (String, String) {
        let (status, body) = self.control("POST", "/_sim/installations", json!({})).await;
        assert_eq!(status, 201, "{body}");
        (body["installationId"].as_str().unwrap().to_owned(), body["accessToken"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn provision(&self, id: &str, plan: &str) -> String {
        let body =
            json!({ "productId": "product", "planId": plan, "name": "database", "metadata": { "region": "iad1" } });
        let (status, body) = self.control("POST", &format!("/_sim/installations/{id}/resources"), body).await;
        assert_eq!(status, 201, "{body}");
        body["resourceId"].as_str().unwrap().to_owned()
    }

    /// A customer who has enabled config sync for a resource.
    pub(crate) async fn synced(&self, id: &str) -> String {
        let settings = json!({ "experimentation": { "edgeConfigId": "ecfg_1" } });
        let body = json!({ "productId": "product", "planId": "pro", "name": "synced", "protocolSettings": settings });
        let (status, body) = self.control("POST", &format!("/_sim/installations/{id}/resources"), body).await;
        assert_eq!(status, 201, "{body}");
        body["resourceId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn customer(&self, plan: &str) -> Customer {
        let (id, token) = self.install().await;
        let resource = self.provision(&id, plan).await;
        Customer { id, token, resource }
    }

    pub(crate) async fn advance(&self, by: &str) {
        let (status, body) = self.control("POST", "/_sim/clock", json!({ "advance": by })).await;
        assert_eq!(status, 200, "{body}");
    }

    /// All pages of the state, as they came.
    pub(crate) async fn whole_state(&self) -> Vec<String> {
        let (mut pages, mut path) = (Vec::new(), "/_sim/state".to_owned());
        loop {
            let text = self.text(&path).await;
            let page: Value = serde_json::from_str(&text).unwrap();
            pages.push(text);
            let Some(next) = page["next"].as_str() else { return pages };
            path = format!("/_sim/state?cursor={}", next.replace('/', "%2F"));
        }
    }

    pub(crate) async fn state(&self) -> Value {
        serde_json::from_str(&self.text("/_sim/state").await).unwrap()
    }
}

impl Customer {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/installations/{}{rest}", self.id)
    }

    /// An invoice of 20.00 for the resource over January 2027.
    pub(crate) fn invoice(&self, external_id: &str) -> Value {
        json!({
            "externalId": external_id,
            "invoiceDate": "2027-01-31T23:59:59.999Z",
            "period": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" },
            "items": [{
                "billingPlanId": "pro", "resourceId": self.resource, "name": "Pro", "price": "20.00", "quantity": 1,
                "units": "month", "total": "20.00",
            }],
        })
    }

    /// Submits that invoice and gives its id.
    pub(crate) async fn submit(&self, stage: &Stage, external_id: &str) -> String {
        let path = self.path("/billing/invoices");
        let (status, body) = stage.vercel(&self.token, "POST", &path, self.invoice(external_id)).await;
        assert_eq!(status, 200, "{body}");
        body["invoiceId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn read(&self, stage: &Stage, invoice: &str) -> Value {
        let (status, body) =
            stage.vercel(&self.token, "GET", &self.path(&format!("/billing/invoices/{invoice}")), Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}
