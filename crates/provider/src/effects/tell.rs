//! Telling Vercel that something changed (A.7): what the effects that do so share.

use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::MarketplaceEvent;

use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::provider::Provider;

/// What telling came to.
pub(super) fn told(sent: Result<(), ClientError>) -> Outcome {
    sent.map_or_else(|error| Outcome::of(&error), |()| Outcome::nothing())
}

/// Tells. Nothing is read again of an installation that is going.
pub(super) async fn send(
    provider: &Provider,
    id: &InstallationId,
    event: &MarketplaceEvent,
    deadline: Deadline,
) -> Result<Result<(), ClientError>, ApiError> {
    let stored = installed::installation(provider, id).await?;
    if !stored.is_active() {
        return Ok(Ok(()));
    }
    let token = OpenToken::of(provider, &stored, deadline).await?;
    Ok(provider.vercel()?.create_event(&token.call(), event).await)
}
