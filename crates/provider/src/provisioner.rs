//! The provider's own product, reached over signed HTTP (contract: `docs/provisioner.md`).
//!
//! One address, one method: `POST TRADEPOST_PROVISIONER_URL`, signed as Standard Webhooks with
//! `webhook-id` = the operation's id. The contract asks two things of it: the same operation twice has one
//! effect and the same answer, and an operation whose fence is lower than one already seen for the
//! resource is refused (409 `stale_fence`).
//!
//! What fails: it is down (retry with the same operation id), it refuses for good (422, the customer reads why:
//! `refusal`), it has no such resource to delete or revoke (done), it answers what the contract does not know (logged,
//! retried).

mod refusal;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::doors::{BusinessClock, LeaseClock};
use tradepost_marketplace::http_door::{HttpDoor, HttpError};
use tradepost_marketplace::ids::{InstallationId, PlanId, ProductId, ResourceId};
use tradepost_marketplace::wire::{Notification, ResourceStatus, Secret};

use crate::deadline::Deadline;
use crate::edge::said::{self, FieldError, UserText};
use crate::signing::{self, SigningSecret};

/// The longest a provisioner may take for one operation.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest code of a refusal that is kept, in characters; what is beyond is cut.
pub const REFUSAL_CODE_CHARS_MAX: usize = 100;
/// The longest text of a refusal that is kept, in characters: its message, what the customer reads, what is wrong with
/// a field. What is beyond is cut: a refusal is final, and remembered.
pub const REFUSAL_TEXT_CHARS_MAX: usize = 1_000;
/// The most fields of a refusal that are kept.
pub const REFUSAL_FIELDS_MAX: usize = 50;

/// What the provisioner is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Make the resource; answer its secrets.
    Create,
    /// Change plan, name or metadata.
    Update,
    /// Make secrets of version `secretsVersion`; the older ones stay good.
    Rotate,
    /// Kill all secrets below `secretsVersion`.
    Revoke,
    /// Delete the resource.
    Delete,
}

/// The body of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The same for every repeat.
    pub operation_id: String,
    /// Outdates every operation on the resource with a lower one.
    pub fence: u64,
    /// What to do.
    pub kind: Kind,
    /// For whom.
    pub installation_id: InstallationId,
    /// On what.
    pub resource_id: ResourceId,
    /// Of which product.
    pub product_id: ProductId,
    /// The plan as it will be.
    pub plan_id: Option<PlanId>,
    /// From when the plan counts, if that is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    /// The name as it will be.
    pub name: String,
    /// The metadata as they will be.
    pub metadata: Box<serde_json::value::RawValue>,
    /// The version of secrets that is to exist after `create` and `rotate`, or to stay after `revoke`.
    pub secrets_version: u64,
}

/// What it did.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// The resource's status; unchanged if absent, `ready` after a create.
    pub status: Option<ResourceStatus>,
    /// The whole set of secrets, after `create` and `rotate`.
    #[serde(default)]
    pub secrets: Option<Vec<Secret>>,
    /// Shown to the customer.
    pub notification: Option<Notification>,
}

/// Why it did not.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionerError {
    /// For good, with what the customer should read (422, 400; to a create 402, 403 and 409, too).
    #[error("the provisioner refused: {code}: {message}")]
    Refused {
        /// Its code.
        code: String,
        /// Its message.
        message: String,
        /// For the customer.
        user: UserText,
        /// Which metadata are wrong.
        fields: Vec<FieldError>,
    },
    /// A higher fence was seen: this operation was overtaken.
    #[error("the provisioner has seen a higher fence")]
    StaleFence,
    /// Not now; the same operation again later is right.
    #[error("the provisioner does not answer: {0}")]
    Unavailable(String),
}

/// The client.
#[derive(Clone)]
pub struct Provisioner {
    http: HttpDoor,
    url: http::Uri,
    secret: SigningSecret,
    clock: BusinessClock,
    lease: LeaseClock,
}

impl Provisioner {
    /// A client for one address and secret.
    pub fn new(http: HttpDoor, url: http::Uri, secret: SigningSecret, clock: BusinessClock, lease: LeaseClock) -> Self {
        Self { http, url, secret, clock, lease }
    }

    /// The same behind another door, made of its own: where calls are counted or traced.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(HttpDoor) -> HttpDoor) -> Self {
        Self { http: wrap(self.http), ..self }
    }

    /// Gives one order, once. Repeating is the caller's: it has the operation.
    pub async fn send(&self, order: &Order, deadline: Deadline) -> Result<Done, ProvisionerError> {
        let unavailable = |error: String| ProvisionerError::Unavailable(error);
        let body = serde_json::to_vec(order).map_err(|error| unavailable(error.to_string()))?;
        let timestamp = self.clock.now();
        let signature = signing::sign(&self.secret, &order.operation_id, timestamp, &body);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &order.operation_id)
            .header("webhook-timestamp", timestamp.as_second().to_string())
            .header("webhook-signature", signature)
            .body(Bytes::from(body))
            .map_err(|error| unavailable(error.to_string()))?;
        let left = deadline.left(&self.lease);
        let timeout = Duration::try_from(left).unwrap_or(Duration::ZERO).min(TIMEOUT);
        if timeout.is_zero() {
            return Err(unavailable("the deadline has passed".to_owned()));
        }
        let response =
            self.http.send(request, timeout).await.map_err(|error: HttpError| unavailable(error.to_string()))?;
        read(order.kind, response.status(), response.body())
    }
}

fn read(kind: Kind, status: StatusCode, body: &[u8]) -> Result<Done, ProvisionerError> {
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => {
            let done: Done = serde_json::from_slice(body).map_err(|error| {
                // serde's own message quotes values, and a value may be a secret.
                let (line, column) = (error.line(), error.column());
                ProvisionerError::Unavailable(format!("its answer is not the contract's: line {line}, column {column}"))
            })?;
            // What cannot be kept, or told to Vercel, must not be committed: the same answer later, mended, is right.
            let fits = said::status(done.status.as_ref())
                .and_then(|()| said::notification(done.notification.as_ref()))
                .and_then(|()| said::secrets(done.secrets.as_deref()));
            fits.map_err(|unfit| ProvisionerError::Unavailable(format!("its answer is not the contract's: {unfit}")))?;
            Ok(done)
        }
        StatusCode::NO_CONTENT => Ok(Done::default()),
        // What is not there need not go.
        StatusCode::NOT_FOUND | StatusCode::GONE if matches!(kind, Kind::Delete | Kind::Revoke) => {
            tracing::warn!(status = status.as_u16(), "the provisioner does not know what it is to end: taken as done");
            Ok(Done::default())
        }
        StatusCode::CONFLICT if refusal::code(body) == "stale_fence" => Err(ProvisionerError::StaleFence),
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Err(refusal::read(body)),
        // Nothing is there yet: the customer may as well hear it now.
        StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN | StatusCode::CONFLICT if kind == Kind::Create => {
            Err(refusal::read(body))
        }
        other => Err(ProvisionerError::Unavailable(other.as_u16().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_refusal_is_final() {
        let read = |status, body: &[u8]| read(Kind::Update, status, body);
        let refused = read(StatusCode::UNPROCESSABLE_ENTITY, br#"{"code":"no_capacity","message":"full"}"#);
        assert!(matches!(refused, Err(ProvisionerError::Refused { code, .. }) if code == "no_capacity"));
        assert!(matches!(read(StatusCode::BAD_GATEWAY, b""), Err(ProvisionerError::Unavailable(_))));
        assert!(matches!(read(StatusCode::OK, b"<html>"), Err(ProvisionerError::Unavailable(_))));
        assert!(matches!(read(StatusCode::CONFLICT, br#"{"code":"stale_fence"}"#), Err(ProvisionerError::StaleFence)));
        assert!(matches!(read(StatusCode::CONFLICT, b"{}"), Err(ProvisionerError::Unavailable(_))));
    }

    #[test]
    fn what_could_not_be_kept_or_told_is_no_answer() {
        let answer = |value: serde_json::Value| read(Kind::Create, StatusCode::OK, value.to_string().as_bytes());
        for unfit in [
            json!({ "status": "hunter2" }),
            json!({ "notification": { "level": "hunter2", "title": "T" } }),
            json!({ "notification": { "level": "info", "title": "T", "message": "hunter2".repeat(1_000) } }),
            json!({ "secrets": vec![json!({ "name": "S", "value": "hunter2" }); said::SECRETS_MAX + 1] }),
            json!({ "secrets": [{ "name": "S", "value": "hunter2".repeat(10_000) }] }),
        ] {
            let Err(ProvisionerError::Unavailable(why)) = answer(unfit) else { panic!("it was taken") };
            assert!(!why.contains("hunter2"), "{why}");
        }
        let fit = json!({ "status": "pending", "secrets": [{ "name": "S", "value": "v" }],
                          "notification": { "level": "info", "title": "T", "message": "m" } });
        assert!(answer(fit).is_ok());
    }

    /// What an answer with this status comes to, by the kind of the order.
    #[test]
    fn a_status_says_another_thing_of_another_kind() {
        let came = |kind, status| match read(kind, StatusCode::from_u16(status).unwrap(), b"{}") {
            Ok(_) => "done",
            Err(ProvisionerError::Refused { .. }) => "refused",
            Err(ProvisionerError::StaleFence) => "stale",
            Err(ProvisionerError::Unavailable(_)) => "later",
        };
        for (status, expected) in [
            // create, update, rotate, revoke, delete
            (402, ["refused", "later", "later", "later", "later"]),
            (403, ["refused", "later", "later", "later", "later"]),
            (404, ["later", "later", "later", "done", "done"]),
            (409, ["refused", "later", "later", "later", "later"]),
            (410, ["later", "later", "later", "done", "done"]),
            (422, ["refused", "refused", "refused", "refused", "refused"]),
            (401, ["later", "later", "later", "later", "later"]),
            (429, ["later", "later", "later", "later", "later"]),
            (503, ["later", "later", "later", "later", "later"]),
        ] {
            let kinds = [Kind::Create, Kind::Update, Kind::Rotate, Kind::Revoke, Kind::Delete];
            assert_eq!(kinds.map(|kind| came(kind, status)), expected, "{status}");
        }
    }
}
