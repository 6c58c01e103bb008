//! Finalizing an installation (A.2): after the final invoice, in the same lane, so in this order.
//!
//! It ends the life of the token. A token that is refused here may have died with an earlier try, or be refused for
//! a while only: another call (A.3) tells, and where that is refused as well the installation is gone.

use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::Write;

use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::provider::Provider;
use crate::state::InstallationStatus;

pub(super) async fn deliver(provider: &Provider, id: &InstallationId, deadline: Deadline) -> Result<Outcome, ApiError> {
    let mut stored = installed::installation(provider, id).await?;
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
        Err(error) if matches!(error.status(), Some(401 | 403)) && is_gone(provider, &token).await? => {
            tracing::warn!(installation = %id, error.cause = %error, "the installation is gone: nothing to finalize");
        }
        Err(error) => return Ok(Outcome::of(&error)),
    }
    stored.item.status = InstallationStatus::Finalized;
    Ok(Outcome::Done(vec![Write::replace(&stored.item, stored.version)?]))
}

/// Whether the token is good for nothing else either.
pub(super) async fn is_gone(provider: &Provider, token: &OpenToken) -> Result<bool, ApiError> {
    Ok(match provider.vercel()?.account(&token.call()).await {
        Ok(_) => false,
        Err(error) => matches!(error, ClientError::Gone) || matches!(error.status(), Some(401 | 403 | 404)),
    })
}
