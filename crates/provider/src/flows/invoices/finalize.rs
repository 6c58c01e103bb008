//! Finalizing an installation (A.2): after the final invoice, in the same lane, so in this order.

use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::Write;

use crate::edge::ApiError;
use crate::flows::{self, OpenToken};
use crate::outbox::Outcome;
use crate::provider::{Deadline, Provider};
use crate::state::InstallationStatus;

pub(crate) async fn deliver(provider: &Provider, id: &InstallationId, deadline: Deadline) -> Result<Outcome, ApiError> {
    let mut stored = flows::installation(provider, id).await?;
    let token = OpenToken::of(provider, &stored, deadline).await?;
    match provider.vercel()?.finalize_installation(&token.call()).await {
        Ok(()) => {}
        // Finalized by the final invoice itself, or by a call whose answer was lost.
        Err(error)
            if matches!(error, ClientError::Gone | ClientError::MaybeDuplicate(_))
                || matches!(error.status(), Some(404 | 409)) =>
        {
            tracing::info!(installation = %id, error.cause = %error, "the installation was finalized already");
        }
        Err(error) => return Ok(Outcome::of(&error)),
    }
    stored.item.status = InstallationStatus::Finalized;
    Ok(Outcome::Done(vec![Write::replace(&stored.item, stored.version)?]))
}
