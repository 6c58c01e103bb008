//! A resource, its secrets and their rotation.
#![allow(
    clippy::disallowed_types,
    reason = "the code that serde derives for a flattened field names floats; no field is one"
)]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::ids::{InstallationId, PlanId, ProductId, ResourceId};
use tradepost_marketplace::wire::{Notification, ResourceStatus};
use tradepost_store::seal::Sealed;
use tradepost_store::{Due, Key, Record};

use super::keys;
use super::life::Life;
use super::segments::PlanChanges;
use tradepost_pricing::period::Segment;

/// The `due` partition of operations whose caller never came back.
pub const OPERATIONS: &str = "operations";
/// The `due` partition of rotations whose old secrets expire.
pub const ROTATIONS: &str = "rotations";

/// Who asked for an operation: it decides what the answer looks like and whether Vercel has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Vercel, through the Partner API.
    Vercel,
    /// A partner system.
    Partner,
}

/// What the operation in progress is to do: enough to finish it without its caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// `create`, `update`, `rotate` or `delete`: the provisioner's word.
    pub kind: crate::provisioner::Kind,
    /// Who asked.
    pub origin: Origin,
    /// The new plan, if it changes.
    pub plan: Option<PlanId>,
    /// From when the new plan counts.
    pub plan_from: Option<Timestamp>,
    /// The new name, if it changes.
    pub name: Option<String>,
    /// The new metadata, as JSON text, if it changes.
    pub metadata: Option<String>,
    /// For a rotation: seconds for which the old secrets stay good after Vercel has the new ones.
    pub grace_seconds: Option<u64>,
}

impl Intent {
    /// An operation that changes nothing else.
    pub const fn of(kind: crate::provisioner::Kind, origin: Origin) -> Self {
        Self { kind, origin, plan: None, plan_from: None, name: None, metadata: None, grace_seconds: None }
    }
}

/// The one command in progress on a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Derived from the request, so that a repeat is the same operation to the provisioner.
    pub id: String,
    /// Outdates every operation with a lower one.
    pub fence: u64,
    /// Until when nobody else may take it over.
    pub lease_until: LeaseTime,
    /// What it does.
    pub intent: Intent,
    /// The version of secrets that is to exist after it: fixed here, so that every try is the same order.
    pub secrets_version: u64,
    /// When it was asked for: what an order says of time counts from here, at every try.
    pub asked_at: Timestamp,
    /// Whether it is being taken back: a create that nobody repeated.
    pub given_up: bool,
    /// The key of the idempotency record that waits for its answer.
    #[serde(default, with = "keys::pair")]
    pub answers: Option<Key>,
    /// When, in business time, the sweeper finishes it if nobody else has.
    pub sweep_at: Timestamp,
}

/// One provisioned instance of a product.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resource {
    /// Our id, and Vercel's "partner id".
    pub id: ResourceId,
    /// Whose it is.
    pub installation: InstallationId,
    /// The product's id in the catalog.
    pub product: ProductId,
    /// `productId` as Vercel sent it: id or slug, echoed.
    pub product_as_sent: ProductId,
    /// The customer's name for it.
    pub name: String,
    /// The customer's configuration, a JSON object as text.
    pub metadata: String,
    /// What Vercel displays.
    pub status: ResourceStatus,
    /// Shown by Vercel beside it.
    pub notification: Option<Notification>,
    /// Where it stands.
    #[serde(flatten)]
    pub life: Life,
    /// Its plans, oldest first.
    pub segments: Vec<Segment>,
    /// The highest fence given out.
    pub fence: u64,
    /// The command in progress.
    pub operation: Option<Operation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often its plan was changed lately.
    #[serde(default)]
    pub plan_changes: Option<PlanChanges>,
}

impl Resource {
    /// Its key.
    pub fn key_of(installation: &InstallationId, id: &ResourceId) -> Key {
        keys::within(installation, format!("{}{id}", keys::RESOURCES))
    }

    /// The plan at `at`; before the first segment the first, after the last the last.
    pub fn plan_at(&self, at: Timestamp) -> Option<&PlanId> {
        let covering = self.segments.iter().find(|segment| segment.contains(at));
        let latest = || self.segments.iter().rev().find(|segment| segment.start <= at);
        covering.or_else(latest).or(self.segments.first()).map(|segment| &segment.plan)
    }
}

impl Record for Resource {
    const KIND: &'static str = "resource";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.id)
    }

    fn due(&self) -> Option<Due> {
        let operation = self.operation.as_ref()?;
        Some(Due { work: OPERATIONS.to_owned(), at: operation.sweep_at })
    }
}

/// The field that a resource's secrets are sealed for.
pub const SECRETS_FIELD: &str = "secrets";

/// The current secrets of a resource, sealed as one JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Whose.
    pub resource: ResourceId,
    /// Where it lies.
    pub installation: InstallationId,
    /// What the provisioner calls them: counts creates and rotations from 1.
    pub secrets_version: u64,
    /// Counts every change from 1, late reports included: what Vercel is to be handed.
    pub revision: u64,
    /// The secrets.
    pub sealed: Sealed,
    /// The highest revision that Vercel has confirmed.
    pub confirmed_revision: u64,
}

impl Credentials {
    /// Its key.
    pub fn key_of(installation: &InstallationId, id: &ResourceId) -> Key {
        keys::within(installation, format!("{}{id}", keys::CREDENTIALS))
    }
}

impl Record for Credentials {
    const KIND: &'static str = "credentials";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.resource)
    }
}

/// A rotation whose old secrets have not been revoked. One item each: a later rotation must not put off the
/// expiry of an earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rotation {
    /// Of which resource.
    pub resource: ResourceId,
    /// Where it lies.
    pub installation: InstallationId,
    /// Secrets below this version are to be revoked.
    pub keep_version: u64,
    /// The revision that Vercel must have confirmed before.
    pub revision: u64,
    /// How long the old ones stay good after Vercel has confirmed the new ones, in seconds.
    pub grace_seconds: u64,
    /// When Vercel confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When to look again.
    pub look_at: Timestamp,
}

impl Rotation {
    /// Its key.
    pub fn key_of(installation: &InstallationId, id: &ResourceId, keep_version: u64) -> Key {
        keys::within(installation, format!("{}{keep_version:016}", Self::prefix(id)))
    }

    /// Where the rotations of a resource lie.
    pub fn prefix(id: &ResourceId) -> String {
        format!("{}{id}#", keys::ROTATIONS)
    }
}

impl Record for Rotation {
    const KIND: &'static str = "rotation";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.resource, self.keep_version)
    }

    fn due(&self) -> Option<Due> {
        Some(Due { work: ROTATIONS.to_owned(), at: self.look_at })
    }
}
