//! Telling Vercel to read a resource again (A.7). A lost answer is harmless: it reads once more.
//!
//! A resource that Vercel does not know (404) was deleted meanwhile, or its create has yet to be answered: it is told
//! again for [`UNKNOWN_FOR`].

use jiff::SignedDuration;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::MarketplaceEvent;

use super::tell::{send, told};
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::Resource;

/// For how long a resource may be unknown to Vercel, since it was made.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    resource: &ResourceId,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let stored = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await?;
    let Some(stored) = stored.filter(|stored| stored.life.is_there()) else {
        return Ok(Outcome::nothing());
    };
    let event = MarketplaceEvent::ResourceUpdated { resource_id: resource.clone(), product_id: None };
    Ok(match send(provider, id, &event, deadline).await? {
        Err(error) if error.status() == Some(404) => {
            let age = provider.clock.now().duration_since(stored.created_at);
            if age < UNKNOWN_FOR { Outcome::later(Reason::said(error)) } else { Outcome::of(&error) }
        }
        sent => told(sent),
    })
}
