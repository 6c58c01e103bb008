//! Telling Vercel to read the installation again (A.7).

use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::MarketplaceEvent;

use super::tell::{send, told};
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed;
use crate::provider::Provider;

pub(super) async fn deliver(provider: &Provider, id: &InstallationId, deadline: Deadline) -> Result<Outcome, ApiError> {
    let stored = installed::installation(provider, id).await?;
    let event = MarketplaceEvent::InstallationUpdated { billing_plan_id: stored.plan.clone() };
    Ok(told(send(provider, id, &event, deadline).await?))
}
