//! Telling Vercel to read again (A.7). Lost answers are harmless: it reads once more.

use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::MarketplaceEvent;

use crate::edge::ApiError;
use crate::flows::{self, OpenToken};
use crate::outbox::Outcome;
use crate::provider::{Deadline, Provider};

pub(crate) async fn resource(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let event = MarketplaceEvent::ResourceUpdated { resource_id: resource.clone(), product_id: None };
    send(provider, id, &event, deadline).await
}

pub(crate) async fn installation(
    provider: &Provider,
    id: &InstallationId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = flows::installation(provider, id).await?;
    let event = MarketplaceEvent::InstallationUpdated { billing_plan_id: stored.plan.clone() };
    send(provider, id, &event, deadline).await
}

async fn send(
    provider: &Provider,
    id: &InstallationId,
    event: &MarketplaceEvent,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = flows::installation(provider, id).await?;
    if !stored.is_active() {
        // Nothing is read again of an installation that is going.
        return Ok(Outcome::nothing());
    }
    let token = OpenToken::of(provider, &stored, deadline).await?;
    Ok(match provider.vercel()?.create_event(&token.call(), event).await {
        Ok(()) => Outcome::nothing(),
        Err(error) => Outcome::of(&error),
    })
}
