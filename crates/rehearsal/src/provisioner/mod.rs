//! The demo provisioner: stands for the provider's own product, behind the signed contract that a real one has
//! (`tradepost_provider::provisioner`).
//!
//! Data path: signature, then known operation (same answer, no effect), then fence (a lower one is refused), then
//! the change, journaled before the answer. Secrets are derived from seed, resource and version, so that no
//! file of it holds one. What fails: 401 for a bad signature, 400 for a body that is no order, 409 `stale_fence`,
//! 409 `operation_reused`, 422 for an order on what does not exist, 503 if the journal cannot be written.

mod book;
mod journal;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use aws_lc_rs::hmac;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use secrecy::SecretString;
use serde_json::{Value, json};
use tradepost_marketplace::doors::BusinessClock;
use tradepost_marketplace::ids::ResourceId;
use tradepost_provider::provisioner::{Kind, Order};
use tradepost_provider::signing::{self, SIGNATURE_HEADER, SigningSecret};
use tradepost_provider::state::keys::hex;

use crate::canaries::Canaries;
use book::{Book, Refused};
use journal::Journal;

/// The most bytes of an order.
const ORDER_BYTES_MAX: usize = 1024 * 1024;
/// The environment variables that a resource gives its projects.
const SECRET_NAMES: [&str; 2] = ["LEDGERBASE_URL", "LEDGERBASE_TOKEN"];

struct Held {
    book: Book,
    journal: Option<Journal>,
}

struct Inner {
    seed: hmac::Key,
    secret: SigningSecret,
    clock: BusinessClock,
    canaries: Canaries,
    starts: u64,
    held: Mutex<Held>,
}

/// A handle on the demo provisioner.
#[derive(Clone)]
pub struct DemoProvisioner(Arc<Inner>);

impl DemoProvisioner {
    /// Opens it: reads the journal, if it has one, and counts the start.
    pub fn open(
        journal: Option<&Path>,
        seed: u64,
        clock: BusinessClock,
        secret: &str,
        canaries: Canaries,
    ) -> anyhow::Result<Self> {
        let secret = SigningSecret::parse("the provisioner's secret", &SecretString::from(secret))?;
        let mut book = Book::default();
        let mut starts = 1;
        let journal = match journal {
            None => None,
            Some(path) => {
                let failed = || format!("the provisioner's journal {} cannot be used", path.display());
                let (mut journal, lines) = Journal::open(path).with_context(failed)?;
                for line in lines {
                    match line {
                        journal::Line::Start(_) => starts += 1,
                        journal::Line::Order(entry) => book.replay(entry),
                    }
                }
                journal.append(&journal::Line::Start(starts)).with_context(failed)?;
                Some(journal)
            }
        };
        let name = format!("tradepost demo provisioner, seed {seed}");
        let seed = hmac::Key::new(hmac::HMAC_SHA256, name.as_bytes());
        let held = Mutex::new(Held { book, journal });
        Ok(Self(Arc::new(Inner { seed, secret, clock, canaries, starts, held })))
    }

    /// How often it was opened on this journal, this time included.
    pub fn starts(&self) -> u64 {
        self.0.starts
    }

    /// Its one route.
    pub fn router(&self) -> Router {
        Router::new().route("/", post(take)).with_state(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many resources exist.
    pub fn resources(&self) -> usize {
        self.held().book.resources()
    }

    /// The versions of secrets that are good for a resource; empty if it does not exist.
    pub fn live_versions(&self, resource: &ResourceId) -> BTreeSet<u64> {
        self.held().book.live_versions(resource)
    }

    /// The highest fence that was seen for a resource.
    pub fn fence(&self, resource: &ResourceId) -> u64 {
        self.held().book.fence(resource)
    }

    /// The values of one version of a resource's secrets, by name.
    pub fn secrets(&self, resource: &ResourceId, version: u64) -> Vec<(&'static str, String)> {
        let value = |name: &str| {
            let tag = hmac::sign(&self.0.seed, format!("{resource}/{version}/{name}").as_bytes());
            let text = &hex(tag.as_ref())[..48];
            match name {
                "LEDGERBASE_URL" => format!("ledgerbase://{text}@127.0.0.1/db"),
                _ => format!("lb_{text}"),
            }
        };
        SECRET_NAMES.iter().map(|name| (*name, value(name))).collect()
    }

    /// What an order of this kind is answered, now and at every repeat.
    fn answer(&self, kind: Kind, resource: &ResourceId, version: u64) -> Value {
        if !matches!(kind, Kind::Create | Kind::Rotate) {
            return json!({});
        }
        let secrets = self.secrets(resource, version);
        for (_, value) in &secrets {
            self.0.canaries.tell(value);
        }
        let secrets: Vec<Value> =
            secrets.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        json!({ "status": "ready", "secrets": secrets })
    }

    fn carry_out(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
        if let Some(signature) = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()) {
            self.0.canaries.tell(signature);
        }
        signing::verify(std::slice::from_ref(&self.0.secret), headers, body, self.0.clock.now())
            .map_err(|_| Refused::Signature)?;
        let order: Order = serde_json::from_slice(body).map_err(|error| Refused::NoOrder(error.to_string()))?;
        let mut held = self.held();
        let Held { book, journal } = &mut *held;
        if let Some(entry) = book.decide(&order)? {
            if let Some(journal) = journal {
                journal.append(&journal::Line::Order(entry.clone())).map_err(|error| {
                    tracing::error!(error = %error, "the provisioner's journal cannot be written");
                    Refused::Journal
                })?;
            }
            book.replay(entry);
        }
        drop(held);
        Ok(self.answer(order.kind, &order.resource_id, order.secrets_version))
    }
}

async fn take(State(provisioner): State<DemoProvisioner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, ORDER_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match provisioner.carry_out(&parts.headers, &body) {
        Ok(answer) => (StatusCode::OK, Json(answer)).into_response(),
        Err(refused) => {
            let (status, code, message) = refused.parts();
            (status, Json(json!({ "code": code, "message": message }))).into_response()
        }
    }
}
