//! Events that Vercel delivers by webhook (spec E): at least once, in any order, retried for 24 hours.
//!
//! Check the signature over the raw bytes first ([`crate::webhook_signature`]), then [`Event::parse`], then
//! drop repeats by [`Event::id`]. An event is a hint: read the invoice before money is moved. What is not
//! understood is [`EventPayload::Other`] and must be acknowledged all the same.
//!
//! A payload that cannot be read is an error where money or the end of an installation hangs on it
//! (`marketplace.*`, `integration-configuration.removed`): somebody must look. Elsewhere it is
//! [`EventPayload::Other`], since the shapes are less certain and a refusal would be repeated for a day.

mod configuration;
mod deployment;
mod id_of;
mod marketplace;
mod payload;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::configuration::{InstallationRemoved, PermissionUpgraded, ProjectSelection, ScopeChangeConfirmed};
pub use self::deployment::{
    CheckRerequested, CheckRun, CheckRunEvent, CheckSource, Deployment, DeploymentEvent, DeploymentIntegration,
    DeploymentLinks, DeploymentResource, DeploymentTarget,
};
pub use self::marketplace::{
    DeploymentAction, InstallationTransferred, InvoiceEvent, MemberChanged, MemberRole, ProjectConnection, RefundEvent,
};
use self::payload::Payload as _;
use super::raw::Raw;
use super::time;
use crate::ids::WebhookId;

/// The most bytes of a delivery that are parsed.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;

/// Types of the envelope before the present one. Each event comes under its newer type, too: acknowledge and
/// ignore them (spec E).
pub const LEGACY_TYPES: [&str; 13] = [
    "deployment",
    "deployment-canceled",
    "deployment-check-rerequested",
    "deployment-checks-completed",
    "deployment-error",
    "deployment-prepared",
    "deployment-ready",
    "domain-created",
    "integration-configuration-permission-updated",
    "integration-configuration-removed",
    "integration-configuration-scope-change-confirmed",
    "project-created",
    "project-removed",
];

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What repeats are recognised by: the scheme has no timestamp and no nonce.
    pub id: WebhookId,
    /// When it was made, by Vercel's clock, in milliseconds.
    pub created_at: Timestamp,
    /// Where it was made.
    pub region: Option<String>,
    /// What happened.
    pub payload: EventPayload,
}

/// The payload of an event that has no type of its own here, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntypedEvent {
    /// The event's type.
    pub kind: String,
    /// The payload; `null` where there is none.
    pub payload: Raw,
}

macro_rules! payloads {
    ($($(#[$doc:meta])+ $variant:ident($type:ty) = $text:literal,)+) => {
        /// What happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum EventPayload {
            $( $(#[$doc])+ $variant($type), )+
            /// An event of [`LEGACY_TYPES`]: acknowledge and ignore it.
            Legacy(UntypedEvent),
            /// Anything else; any of the above that names no installation; and any payload that only informs
            /// and cannot be read. Acknowledge it.
            Other(UntypedEvent),
        }

        /// The types that have a payload of their own.
        pub const EVENT_TYPES: &[&str] = &[$($text),+];

        impl EventPayload {
            /// The type of the event, such as `marketplace.invoice.paid`.
            pub fn kind(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $text, )+
                    Self::Legacy(event) | Self::Other(event) => &event.kind,
                }
            }

            /// `None` for a type without a payload of its own, and for one that does not say whom it is about.
            fn read(kind: &str, json: &str) -> Result<Option<Self>, serde_json::Error> {
                match kind {
                    $( $text => Ok(<$type>::read(json)?.map(Self::$variant)), )+
                    _ => Ok(None),
                }
            }

            fn to_raw(&self) -> Result<Raw, serde_json::Error> {
                match self {
                    $( Self::$variant(payload) => Raw::of(payload), )+
                    Self::Legacy(event) | Self::Other(event) => Ok(event.payload.clone()),
                }
            }
        }
    };
}

payloads! {
    /// Made and sent; says which Vercel id our own id got.
    InvoiceCreated(InvoiceEvent) = "marketplace.invoice.created",
    /// It was paid.
    InvoicePaid(InvoiceEvent) = "marketplace.invoice.paid",
    /// A try to collect it failed: each of up to nine.
    InvoiceNotPaid(InvoiceEvent) = "marketplace.invoice.notpaid",
    /// 15 days have passed.
    InvoiceOverdue(InvoiceEvent) = "marketplace.invoice.overdue",
    /// It was refunded, in full or in part.
    InvoiceRefunded(RefundEvent) = "marketplace.invoice.refunded",
    /// A member's role changed, or they left.
    MemberChanged(MemberChanged) = "marketplace.member.changed",
    /// The same news as Delete Installation (B.4).
    InstallationRemoved(InstallationRemoved) = "integration-configuration.removed",
    /// It reaches other projects.
    PermissionUpgraded(PermissionUpgraded) = "integration-configuration.permission-upgraded",
    /// It has other scopes.
    ScopeChangeConfirmed(ScopeChangeConfirmed) = "integration-configuration.scope-change-confirmed",
    /// It went to another team.
    InstallationTransferred(InstallationTransferred) = "integration-configuration.transferred",
    /// A resource was connected to a project.
    ProjectConnected(ProjectConnection) = "integration-resource.project-connected",
    /// A resource was disconnected from a project.
    ProjectDisconnected(ProjectConnection) = "integration-resource.project-disconnected",
    /// Do the action's work.
    ActionStarted(DeploymentAction) = "deployment.integration.action.start",
    /// Leave the action's work.
    ActionCanceled(DeploymentAction) = "deployment.integration.action.cancel",
    /// Undo the action's work.
    ActionCleanup(DeploymentAction) = "deployment.integration.action.cleanup",
    /// A deployment was made.
    DeploymentCreated(DeploymentEvent) = "deployment.created",
    /// A deployment is built.
    DeploymentReady(DeploymentEvent) = "deployment.ready",
    /// A deployment is built and checked.
    DeploymentSucceeded(DeploymentEvent) = "deployment.succeeded",
    /// A deployment failed.
    DeploymentFailed(DeploymentEvent) = "deployment.error",
    /// A deployment was given up. (Vercel's example listens for `deployment.cancelled`, which never comes.)
    DeploymentCanceled(DeploymentEvent) = "deployment.canceled",
    /// A deployment became the production one.
    DeploymentPromoted(DeploymentEvent) = "deployment.promoted",
    /// A check is to be done again.
    CheckRerequested(CheckRerequested) = "deployment.check-rerequested",
    /// A check's run is to start.
    CheckRunStarted(CheckRunEvent) = "deployment.checkrun.start",
    /// A check's run is no longer wanted.
    CheckRunCanceled(CheckRunEvent) = "deployment.checkrun.cancel",
}

/// Why a delivery cannot be read. None of them goes away by a retry.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Longer than [`WEBHOOK_BYTES_MAX`].
    #[error("the delivery is longer than {WEBHOOK_BYTES_MAX} bytes")]
    TooLarge,
    /// Not the envelope of spec E.
    #[error("the delivery is not an event")]
    Envelope(#[source] serde_json::Error),
    /// A type that matters with a payload we cannot read.
    #[error("the payload of {kind} cannot be read")]
    Payload {
        /// The type.
        kind: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: WebhookId,
    #[serde(rename = "type")]
    kind: String,
    #[serde(with = "time::milliseconds")]
    created_at: Timestamp,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    payload: Raw,
}

/// Whether an unreadable payload is an error rather than [`EventPayload::Other`].
fn must_be_read(kind: &str) -> bool {
    kind.starts_with("marketplace.") || kind == "integration-configuration.removed"
}

impl EventPayload {
    /// The payload of a type, from its JSON.
    ///
    /// Fails where it cannot be read and the type is `marketplace.*` or `integration-configuration.removed`.
    pub fn from_raw(kind: &str, payload: Raw) -> Result<Self, serde_json::Error> {
        match Self::read(kind, payload.get()) {
            Ok(Some(read)) => return Ok(read),
            Err(error) if must_be_read(kind) => return Err(error),
            Ok(None) | Err(_) => {}
        }
        let event = UntypedEvent { kind: kind.to_owned(), payload };
        Ok(if LEGACY_TYPES.contains(&kind) { Self::Legacy(event) } else { Self::Other(event) })
    }
}

impl Event {
    /// An event made at `created_at`, in no region.
    pub const fn new(id: WebhookId, created_at: Timestamp, payload: EventPayload) -> Self {
        Self { id, created_at, region: None, payload }
    }

    /// The type, such as `marketplace.invoice.paid`.
    pub fn kind(&self) -> &str {
        self.payload.kind()
    }

    /// Reads a delivery whose signature has been checked.
    pub fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        if body.len() > WEBHOOK_BYTES_MAX {
            return Err(WebhookError::TooLarge);
        }
        let Envelope { id, kind, created_at, region, payload } =
            serde_json::from_slice(body).map_err(WebhookError::Envelope)?;
        match EventPayload::from_raw(&kind, payload) {
            Ok(payload) => Ok(Self { id, created_at, region, payload }),
            Err(source) => Err(WebhookError::Payload { kind, source }),
        }
    }

    /// The bytes of the delivery, for tests and simulations of Vercel; to be signed by
    /// [`crate::webhook_signature::sign`].
    pub fn compose(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Envelope {
            id: self.id.clone(),
            kind: self.kind().to_owned(),
            created_at: self.created_at,
            region: self.region.clone(),
            payload: self.payload.to_raw()?,
        })
    }
}
