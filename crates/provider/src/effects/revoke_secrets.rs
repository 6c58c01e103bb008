//! Having the provisioner kill the secrets that were replaced.

use serde_json::value::RawValue;
use tradepost_marketplace::ids::{InstallationId, ResourceId};

use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed;
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::provisioner::{Done, Kind, Order, ProvisionerError};
use crate::state::{Resource, keys};

/// Has the provisioner kill the secrets below `keep_version`.
pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    keep_version: u64,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await?;
    let Some(stored) = stored.filter(|stored| stored.life.is_there()) else {
        return Ok(Outcome::nothing());
    };
    let order = Order {
        operation_id: keys::derive_operation(id, "revoke", &format!("{resource}#{keep_version}")),
        // The fence as it stands: a revocation outdates nothing and is outdated by nothing, since what it
        // kills is already replaced.
        fence: stored.fence,
        kind: Kind::Revoke,
        installation_id: id.clone(),
        resource_id: resource.clone(),
        product_id: stored.product.clone(),
        plan_id: None,
        effective_at: None,
        name: stored.name.clone(),
        metadata: RawValue::from_string(stored.metadata.clone()).map_err(ApiError::internal)?,
        secrets_version: keep_version,
    };
    let installation = installed::installation(provider, id).await?;
    Ok(match provider.provisioner()?.send(&order, deadline).await {
        Ok(Done { .. }) => Outcome::nothing(),
        // It may have deleted the resource, and we have not written so down: then nothing is left to kill.
        Err(ProvisionerError::Refused { code, .. }) if stored.operation.is_some() || !installation.is_active() => {
            Outcome::later(Reason::Said(code))
        }
        Err(ProvisionerError::Refused { code, .. }) => Outcome::dead(Reason::Said(code)),
        Err(error) => Outcome::later(Reason::said(error)),
    })
}
