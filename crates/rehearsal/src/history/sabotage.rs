//! Ways to break the system from outside, each of which an invariant must catch: so that the invariants are known to
//! look. Nothing of the product is changed; what breaks is what a wrong provider would do at its doors.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tradepost_marketplace::http_door::{HttpDoor, HttpError};
use tradepost_store::{Page, Write};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Batches of usage are acknowledged and not written.
    LostBatch,
    /// An entry of the ledger does not balance.
    ForgedEntry,
    /// Every invoice is submitted again, under another id and for a period that differs by a millisecond.
    DoubleInvoice,
    /// A refund asks for a cent more than it was asked for.
    OverRefund,
    /// New secrets are confirmed and do not reach Vercel.
    LostSecrets,
    /// The sweeper never finds a lane.
    HiddenLane,
    /// An item of one installation lies in the collection of another.
    ForeignItem,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LostBatch,
        Self::ForgedEntry,
        Self::DoubleInvoice,
        Self::OverRefund,
        Self::LostSecrets,
        Self::HiddenLane,
        Self::ForeignItem,
    ];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostBatch => "lost-batch",
            Self::ForgedEntry => "forged-entry",
            Self::DoubleInvoice => "double-invoice",
            Self::OverRefund => "over-refund",
            Self::LostSecrets => "lost-secrets",
            Self::HiddenLane => "hidden-lane",
            Self::ForeignItem => "foreign-item",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sabotage| sabotage.name() == name)
    }

    /// Whether these writes are acknowledged and not made.
    pub(super) fn loses(self, writes: &[Write]) -> bool {
        self == Self::LostBatch && writes.iter().any(|write| format!("{write:?}").contains("U#"))
    }

    /// What an index shows.
    pub(super) fn index(self, mut page: Page) -> Page {
        if self == Self::HiddenLane {
            let is_lane = |text: &String| text.starts_with("L#");
            page.items.retain(|item| !item.get("sk").and_then(|sk| sk.as_s().ok()).is_some_and(is_lane));
        }
        page
    }

    /// Carries a call of the provider's.
    pub(super) async fn carry(
        self,
        door: &HttpDoor,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let path = request.uri().path();
        match self {
            Self::DoubleInvoice if request.method() == Method::POST && path.ends_with("/billing/invoices") => {
                let again = changed(&request, |body| {
                    body["externalId"] = json!(format!("{}x", body["externalId"].as_str().unwrap_or_default()));
                    let start = body["period"]["start"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
                    let later = start.map(|start| start + SignedDuration::from_millis(1));
                    body["period"]["start"] = json!(later);
                });
                let first = door.send(request, timeout).await;
                let _ = door.send(again, timeout).await;
                first
            }
            Self::OverRefund if path.ends_with("/actions") => {
                let more = changed(&request, |body| {
                    let total = body["total"].as_str().unwrap_or_default();
                    let digits: i64 = total.replace('.', "").parse().unwrap_or_default();
                    body["total"] = json!(format!("{}.{:02}", (digits + 1) / 100, (digits + 1) % 100));
                });
                door.send(more, timeout).await
            }
            Self::LostSecrets if request.method() == Method::PUT && path.ends_with("/secrets") => {
                let mut response = http::Response::new(Bytes::new());
                *response.status_mut() = StatusCode::CREATED;
                Ok(response)
            }
            _ => door.send(request, timeout).await,
        }
    }
}

fn changed(request: &http::Request<Bytes>, change: impl FnOnce(&mut Value)) -> http::Request<Bytes> {
    let mut body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    change(&mut body);
    let mut other = request.clone();
    *other.body_mut() = Bytes::from(body.to_string());
    other.headers_mut().remove("content-length");
    other
}
