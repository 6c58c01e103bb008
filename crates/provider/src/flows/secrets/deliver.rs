//! Handing new secrets to Vercel, and having the provisioner kill the old ones.

use jiff::SignedDuration;
use serde_json::value::RawValue;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::SecretsUpdate;
use tradepost_store::Write;

use super::held;
use crate::edge::ApiError;
use crate::flows::{self, OpenToken};
use crate::outbox::Outcome;
use crate::provider::{Deadline, Provider};
use crate::provisioner::{self, Kind, Order, ProvisionerError};
use crate::state::{Credentials, Resource, ResourceState, Rotation, keys};

/// The longest a request already sent may still take effect somewhere: added to every grace period.
pub(super) const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(60);

/// How many rotations of a resource one confirmation covers; further ones wait for the next.
const ROTATIONS_MAX: usize = 50;

/// Puts the current secrets (A.18) and notes that Vercel has confirmed them.
pub(crate) async fn put(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let key = Credentials::key_of(id, resource);
    let Some(mut credentials) = provider.store.get::<Credentials>(&key).await? else { return Ok(Outcome::nothing()) };
    let installation = flows::installation(provider, id).await?;
    if !installation.is_active() {
        return Ok(Outcome::nothing());
    }
    let Some(secrets) = held(provider, id, resource).await? else { return Ok(Outcome::nothing()) };
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let update = SecretsUpdate::all(secrets);
    if let Err(error) = provider.vercel()?.update_secrets(&token.call(), resource, &update).await {
        return Ok(match error.status() {
            // A state conflict at Vercel passes; the new secrets must get there.
            Some(409) => Outcome::later(error.to_string()),
            _ => Outcome::of(&error),
        });
    }
    let now = provider.clock.now();
    let sent = credentials.revision;
    credentials.item.confirmed_revision = credentials.confirmed_revision.max(sent);
    // On the version that was sent: a rotation in between puts its own secrets after these.
    let mut writes = vec![Write::replace(&credentials.item, credentials.version)?];
    let pk = keys::collection(id);
    for raw in provider.store.query_after(&pk, &Rotation::prefix(resource), None, ROTATIONS_MAX).await? {
        let mut rotation = raw.into_record::<Rotation>()?;
        if rotation.revision > sent || rotation.confirmed_at.is_some() {
            continue;
        }
        let grace = SignedDuration::from_secs(i64::try_from(rotation.grace_seconds).unwrap_or(i64::MAX));
        rotation.item.confirmed_at = Some(now);
        rotation.item.look_at = now.saturating_add(grace)?.saturating_add(LONGEST_CALL)?;
        writes.push(Write::replace(&rotation.item, rotation.version)?);
    }
    Ok(Outcome::Done(writes))
}

/// Has the provisioner kill the secrets below `keep_version`.
pub(crate) async fn revoke(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    keep_version: u64,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await?;
    let Some(stored) = stored.filter(|stored| stored.state == ResourceState::Live) else {
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
    let installation = flows::installation(provider, id).await?;
    Ok(match provider.provisioner()?.send(&order, deadline).await {
        Ok(provisioner::Done { .. }) => Outcome::nothing(),
        // It may have deleted the resource, and we have not written so down: then nothing is left to kill.
        Err(ProvisionerError::Refused { code, .. }) if stored.operation.is_some() || !installation.is_active() => {
            Outcome::later(code)
        }
        Err(ProvisionerError::Refused { code, .. }) => Outcome::Dead { reason: code, writes: Vec::new() },
        Err(error) => Outcome::later(error.to_string()),
    })
}
