//! What the demo provisioner knows: resources, their secrets' versions, and the operations it has carried out.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::ResourceId;
use tradepost_provider::provisioner::{Kind, Order};

/// Why an order is not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Signature,
    NoOrder(String),
    StaleFence,
    Reused,
    Unknown,
    Journal,
}

impl Refused {
    /// Status, code and message of the answer.
    pub(super) fn parts(self) -> (StatusCode, &'static str, String) {
        let (status, code, message) = match self {
            Self::Signature => (StatusCode::UNAUTHORIZED, "invalid_signature", "the signature is not right"),
            Self::NoOrder(why) => return (StatusCode::BAD_REQUEST, "invalid_order", why),
            Self::StaleFence => (StatusCode::CONFLICT, "stale_fence", "a higher fence was seen"),
            Self::Reused => (StatusCode::CONFLICT, "operation_reused", "this operation was another order"),
            Self::Unknown => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_resource", "there is no such resource"),
            Self::Journal => (StatusCode::SERVICE_UNAVAILABLE, "journal", "the journal cannot be written"),
        };
        (status, code, message.to_owned())
    }
}

/// An order that was carried out: a line of the journal. No secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    operation_id: String,
    fence: u64,
    kind: Kind,
    resource_id: ResourceId,
    secrets_version: u64,
}

#[derive(Debug, Default)]
struct Resource {
    fence: u64,
    exists: bool,
    live: BTreeSet<u64>,
}

/// The state, as the journal makes it.
#[derive(Debug, Default)]
pub(super) struct Book {
    resources: BTreeMap<ResourceId, Resource>,
    operations: BTreeMap<String, Entry>,
}

impl Book {
    /// What an order changes: nothing, if it was carried out before.
    pub(super) fn decide(&self, order: &Order) -> Result<Option<Entry>, Refused> {
        let entry = Entry {
            operation_id: order.operation_id.clone(),
            fence: order.fence,
            kind: order.kind,
            resource_id: order.resource_id.clone(),
            secrets_version: order.secrets_version,
        };
        if let Some(known) = self.operations.get(&order.operation_id) {
            let is_same = known.kind == entry.kind
                && known.resource_id == entry.resource_id
                && known.secrets_version == entry.secrets_version;
            return if is_same { Ok(None) } else { Err(Refused::Reused) };
        }
        let resource = self.resources.get(&order.resource_id);
        if resource.is_some_and(|resource| order.fence < resource.fence) {
            return Err(Refused::StaleFence);
        }
        let exists = resource.is_some_and(|resource| resource.exists);
        match order.kind {
            // Deleting what is gone, or never came to be, is done already.
            Kind::Create | Kind::Delete => Ok(Some(entry)),
            Kind::Update | Kind::Rotate | Kind::Revoke if exists => Ok(Some(entry)),
            Kind::Update | Kind::Rotate | Kind::Revoke => Err(Refused::Unknown),
        }
    }

    /// Carries an entry out.
    pub(super) fn replay(&mut self, entry: Entry) {
        let resource = self.resources.entry(entry.resource_id.clone()).or_default();
        resource.fence = resource.fence.max(entry.fence);
        match entry.kind {
            Kind::Create => {
                resource.exists = true;
                resource.live.insert(entry.secrets_version);
            }
            Kind::Update => {}
            Kind::Rotate => {
                resource.live.insert(entry.secrets_version);
            }
            Kind::Revoke => resource.live.retain(|version| *version >= entry.secrets_version),
            Kind::Delete => {
                resource.exists = false;
                resource.live.clear();
            }
        }
        self.operations.insert(entry.operation_id.clone(), entry);
    }

    pub(super) fn resources(&self) -> usize {
        self.resources.values().filter(|resource| resource.exists).count()
    }

    pub(super) fn live_versions(&self, resource: &ResourceId) -> BTreeSet<u64> {
        self.resources.get(resource).map(|resource| resource.live.clone()).unwrap_or_default()
    }

    pub(super) fn fence(&self, resource: &ResourceId) -> u64 {
        self.resources.get(resource).map_or(0, |resource| resource.fence)
    }
}
