//! Telling Vercel to read again (A.7), or to forget what it asked to delete (A.12). Lost answers are harmless: it reads
//! once more, or knows nothing to forget.
//!
//! A resource that Vercel does not know (404) was deleted meanwhile, or its create has yet to be answered: it is told
//! again for [`UNKNOWN_FOR`].

use jiff::SignedDuration;
use tradepost_marketplace::client::{ClientError, Removal};
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::MarketplaceEvent;

use crate::edge::ApiError;
use crate::flows::{self, OpenToken};
use crate::outbox::Outcome;
use crate::provider::{Deadline, Provider};
use crate::state::{Resource, ResourceState};

/// For how long a resource may be unknown to Vercel, since it was made.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(crate) async fn resource(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await?;
    let Some(stored) = stored.filter(|stored| stored.state == ResourceState::Live) else {
        return Ok(Outcome::nothing());
    };
    let event = MarketplaceEvent::ResourceUpdated { resource_id: resource.clone(), product_id: None };
    Ok(match send(provider, id, &event, deadline).await? {
        Err(error) if error.status() == Some(404) => {
            let age = provider.clock.now().duration_since(stored.created_at);
            if age < UNKNOWN_FOR { Outcome::later(error.to_string()) } else { Outcome::of(&error) }
        }
        sent => told(sent),
    })
}

/// Has Vercel forget a resource that is deleted here.
pub(crate) async fn removal(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = flows::installation(provider, id).await?;
    if !stored.is_active() {
        // It goes with its installation.
        return Ok(Outcome::nothing());
    }
    let token = OpenToken::of(provider, &stored, deadline).await?;
    Ok(match provider.vercel()?.delete_resource(&token.call(), resource).await {
        Ok(Removal::Removed) => {
            tracing::info!(resource = %resource, "Vercel had not heard that a resource is deleted");
            Outcome::nothing()
        }
        Ok(Removal::AlreadyGone) => Outcome::nothing(),
        Err(error) if matches!(error.status(), Some(404 | 410)) => Outcome::nothing(),
        Err(error) => Outcome::of(&error),
    })
}

pub(crate) async fn installation(
    provider: &Provider,
    id: &InstallationId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = flows::installation(provider, id).await?;
    let event = MarketplaceEvent::InstallationUpdated { billing_plan_id: stored.plan.clone() };
    Ok(told(send(provider, id, &event, deadline).await?))
}

fn told(sent: Result<(), ClientError>) -> Outcome {
    sent.map_or_else(|error| Outcome::of(&error), |()| Outcome::nothing())
}

/// Tells. Nothing is read again of an installation that is going.
async fn send(
    provider: &Provider,
    id: &InstallationId,
    event: &MarketplaceEvent,
    deadline: Deadline,
) -> Result<Result<(), ClientError>, ApiError> {
    let stored = flows::installation(provider, id).await?;
    if !stored.is_active() {
        return Ok(Ok(()));
    }
    let token = OpenToken::of(provider, &stored, deadline).await?;
    Ok(provider.vercel()?.create_event(&token.call(), event).await)
}
