//! Handing new secrets to Vercel (A.18).

use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::SecretsUpdate;
use tradepost_store::Write;

use crate::credentials::{grace_begins, held};
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{Credentials, Rotation, keys};

/// How many rotations of a resource one confirmation covers; further ones wait for the next.
const ROTATIONS_MAX: usize = 50;

/// Puts the current secrets (A.18) and notes that Vercel has confirmed them.
pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let key = Credentials::key_of(id, resource);
    let Some(mut credentials) = provider.store.get::<Credentials>(&key).await? else { return Ok(Outcome::nothing()) };
    let installation = installed::installation(provider, id).await?;
    if !installation.is_active() {
        return Ok(Outcome::nothing());
    }
    let Some(secrets) = held(provider, id, resource).await? else { return Ok(Outcome::nothing()) };
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let update = SecretsUpdate::all(secrets);
    if let Err(error) = provider.vercel()?.update_secrets(&token.call(), resource, &update).await {
        return Ok(match error.status() {
            // A state conflict at Vercel passes; the new secrets must get there.
            Some(409) => Outcome::later(Reason::said(error)),
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
        grace_begins(&mut rotation.item, now)?;
        writes.push(Write::replace(&rotation.item, rotation.version)?);
    }
    Ok(Outcome::Done(writes))
}
