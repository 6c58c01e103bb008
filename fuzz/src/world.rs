//! The functions of a provider as their routers, on a table in memory, with a Vercel and a provisioner that say yes.
//!
//! One customer is there, with one resource. Every run begins with the same table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tradepost_marketplace::doors::{BusinessClock, Clock, Entropy, LeaseClock, Sleeper};
use tradepost_marketplace::endpoint;
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError};
use tradepost_marketplace::ids::ClientId;
use tradepost_provider::catalog::Catalog;
use tradepost_provider::flows;
use tradepost_provider::signing::{PartnerKeys, SigningSecret};
use tradepost_provider::{Configured, Doors, Keys, Orders, Provider, RotatingSecret, SignOn, Tokens};
use tradepost_store::{KeyRing, Store};

use super::issuer::{self, AUDIENCE, INSTALLATION, ISSUER, Issuer};
use super::table::{Items, Table};

/// Now, for ever.
pub const NOW: &str = "2027-01-15T12:00:00Z";
/// The client secret: signs webhooks.
pub const CLIENT_SECRET: &str = "the client secret of the fuzz targets";
/// The secret of the one partner key, which may do everything.
pub const PARTNER_SECRET: &str = "whsec_dHJhZGVwb3N0IGRldmVsb3BtZW50IHBhcnRuZXIgMDE=";
/// The id of that key.
pub const PARTNER_KEY: &str = "fuzz";
const VERCEL: &str = "https://vercel.test";
const PROVISIONER: &str = "https://provisioner.test/";
const RING: &str = "fuzz:dHJhZGVwb3N0IGRldmVsb3BtZW50IHJpbmcgMDAwMDE=";

/// Now.
pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

impl Sleeper for Still {
    fn sleep(&self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

/// The same chance in every run, and never twice the same.
#[derive(Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = number[index % number.len()];
        }
    }
}

/// Vercel's API, which says yes and nothing more.
struct Yes;

#[async_trait]
impl Http for Yes {
    async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

/// The provisioner, which does as it is told.
struct Obedient;

#[async_trait]
impl Http for Obedient {
    async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        let done = json!({ "status": "ready", "secrets": [{ "name": "KEY", "value": "v" }] });
        Ok(Response::new(done.to_string().into()))
    }
}

/// Everybody outside, each at its own host.
struct Outside;

#[async_trait]
impl Http for Outside {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().to_string();
        if uri.starts_with(ISSUER) {
            Issuer.send(request, timeout).await
        } else if uri.starts_with(PROVISIONER) {
            Obedient.send(request, timeout).await
        } else {
            Yes.send(request, timeout).await
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

impl Got {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless it is an answer of the contract's: none of ours to be ashamed of, and a refusal with its code.
    /// `code` is where a refusal has it.
    pub fn must_be_ours(&self, code: &str) {
        assert!(self.status < 500, "{self:?}");
        assert!(self.status != 401, "the caller is known: {self:?}");
        if self.status >= 400 {
            assert!(self.json().pointer(code).is_some_and(Value::is_string), "{self:?}");
        }
    }
}

/// Everything.
pub struct World {
    /// The table.
    pub table: Arc<Table>,
    /// The id of the one resource.
    pub resource: String,
    router: Router,
    runtime: Runtime,
    begin: Items,
    person: String,
    system: String,
}

thread_local! {
    static WORLD: World = World::open();
}

/// Runs a test on the table as every run finds it.
pub fn with(test: impl FnOnce(&World)) {
    WORLD.with(|world| {
        world.table.restore(&world.begin);
        test(world);
    });
}

fn provider(table: Arc<Table>) -> Provider {
    let (clock, lease) = (BusinessClock(Arc::new(Still)), LeaseClock(Arc::new(Still)));
    let entropy: Arc<dyn Entropy> = Arc::new(Counted::default());
    let sleeper: Arc<dyn Sleeper> = Arc::new(Still);
    let secret = |text: &str| SecretString::from(text);
    let client_id = ClientId::new(AUDIENCE).unwrap();
    let orders = SigningSecret::parse("fuzz", &secret(PARTNER_SECRET)).unwrap();
    let scopes = ["usage", "events", "secrets", "invoices", "refunds", "read", "provisioner"];
    let keys = json!([{ "id": PARTNER_KEY, "secrets": [PARTNER_SECRET], "scopes": scopes }]).to_string();
    let configured = Configured {
        keys: Some(Keys { ring: KeyRing::parse(RING).unwrap(), sealed_as: "fuzz".to_owned() }),
        vercel: Some(endpoint::checked(VERCEL).unwrap()),
        tokens: Some(Tokens { issuer: endpoint::checked(ISSUER).unwrap(), client_id: client_id.clone() }),
        catalog: Some(Catalog::parse(include_str!("../../catalog.toml")).unwrap()),
        provisioner: Some(Orders { url: PROVISIONER.parse().unwrap(), secret: orders }),
        partners: Some(PartnerKeys::parse(&secret(&keys)).unwrap()),
        sign_on: Some(SignOn {
            client_id,
            client_secret: secret(CLIENT_SECRET),
            dashboard_url: None,
            insecure_cookies: false,
        }),
        webhooks: Some(RotatingSecret(vec![secret(CLIENT_SECRET)])),
        cron: None,
    };
    let store = Store::new(table, sleeper.clone(), entropy.clone());
    let doors = Doors { store, deadline: Duration::from_secs(25), clock, lease, sleeper, entropy };
    let http: HttpDoor = Arc::new(Outside);
    configured.provider(&http, doors)
}

impl World {
    fn open() -> Self {
        let table = Arc::new(Table::default());
        let provider = provider(table.clone());
        let router = flows::installations::router(&provider)
            .merge(flows::webhooks::router(&provider))
            .merge(flows::events::router(&provider))
            .merge(flows::usage::router(&provider))
            .merge(flows::invoices::router(&provider))
            .merge(flows::secrets::router(&provider))
            .merge(flows::sso::router(&provider));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (person, system) = (issuer::good(true, now().as_second()), issuer::good(false, now().as_second()));
        let resource = String::new();
        let mut world = Self { table, resource, router, runtime, begin: Items::new(), person, system };
        let install = json!({ "scopes": [], "credentials": { "access_token": "t", "token_type": "Bearer" } });
        let installed = world.vercel(true, Method::PUT, "", Some("begin"), install.to_string().as_bytes());
        assert_eq!(installed.status, 204, "{installed:?}");
        let order = json!({ "productId": "ledgerbase", "name": "orders", "billingPlanId": "ledgerbase-team-1" });
        let bought = world.vercel(true, Method::POST, "/resources", Some("begin"), order.to_string().as_bytes());
        assert_eq!(bought.status, 200, "{bought:?}");
        bought.json()["id"].as_str().unwrap().clone_into(&mut world.resource);
        world.begin = world.table.copy();
        world
    }

    /// Sends any request.
    pub fn send(&self, request: Request<Body>) -> Got {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            Got { status, body }
        })
    }

    /// A call of the Partner API about the one installation, `path` behind its id.
    pub fn vercel(&self, is_person: bool, method: Method, path: &str, key: Option<&str>, body: &[u8]) -> Got {
        let path = path.replace("{resource}", &self.resource);
        let token = if is_person { &self.person } else { &self.system };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/installations/{INSTALLATION}{path}"))
            .header("authorization", format!("Bearer {token}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request.body(Body::from(body.to_vec())).unwrap())
    }

    /// Vercel can read what is stored, or is told that it is gone.
    pub fn must_be_readable(&self) {
        for path in ["", "/plans", "/resources/{resource}", "/resources/{resource}/plans"] {
            let got = self.vercel(false, Method::GET, path, None, b"");
            assert!(matches!(got.status, 200 | 404), "{path}: {got:?}");
            got.json();
        }
    }
}
