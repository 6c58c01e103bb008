//! Having Vercel forget a resource that it asked to delete (A.12), should our answer have been lost.

use tradepost_marketplace::client::{ClientError, Removal};
use tradepost_marketplace::ids::{InstallationId, ResourceId};

use super::listed::is_listed;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::provider::Provider;

/// Has Vercel forget a resource that is deleted here.
pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = installed::installation(provider, id).await?;
    if !stored.is_active() {
        // It goes with its installation.
        return Ok(Outcome::nothing());
    }
    let token = OpenToken::of(provider, &stored, deadline).await?;
    let vercel = provider.vercel()?;
    Ok(match vercel.delete_resource(&token.call(), resource).await {
        Ok(Removal::Removed) => {
            tracing::info!(resource = %resource, "Vercel had not heard that a resource is deleted");
            Outcome::nothing()
        }
        Ok(Removal::AlreadyGone) => Outcome::nothing(),
        Err(error) if error.status() == Some(404) => Outcome::nothing(),
        // No answer of Vercel's; or its own "not there", with the envelope lost on the way. The list says which.
        Err(ClientError::Foreign(404)) if matches!(is_listed(vercel, &token, resource).await, Ok(false)) => {
            Outcome::nothing()
        }
        Err(error) => Outcome::of(&error),
    })
}
