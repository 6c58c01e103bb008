//! `DELETE /v1/installations/{installation}`: a customer uninstalls (spec B.4).
//!
//! Vercel does not call Delete Resource for each resource: everything is released here, through the outbox.
//! The period ends at the request; the final invoice goes six hours later, inside Vercel's 24, then the
//! installation is finalized. Unknown or gone already: 204.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp, Unit};
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::partner::{DeleteInstallation, InstallationDeleted};
use tradepost_store::{Stored, Write};

use crate::caller::{self, Rule};
use crate::edge::answer::respond;
use crate::edge::body;
use crate::edge::error::{ApiError, Envelope};
use crate::flows::{RACES_MAX, committed};
use crate::idempotency::{self, Answer, Known};
use crate::outbox::{self, Hold, What};
use crate::provider::Provider;
use crate::state::{Installation, InstallationStatus};

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::AdminOrSystem, "delete_installation").await?;
    let id = call.installation()?;
    body::parse_optional::<DeleteInstallation>(&call.body)?;
    for _ in 0..RACES_MAX {
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, id, answer).await?);
        }
        let now = provider.clock.now();
        let (mut writes, holds, answer) = match provider.store.get::<Installation>(&Installation::key_of(id)).await? {
            None => (Vec::new(), Vec::new(), Answer::empty(StatusCode::NO_CONTENT)),
            Some(stored) => {
                let (writes, holds) = uninstall(&provider, id, &stored, now).await?;
                let finalized = stored.status == InstallationStatus::Finalized;
                (writes, holds, Answer::json(StatusCode::OK, &InstallationDeleted { finalized })?)
            }
        };
        writes.extend(call.identity.remember(&answer, now)?);
        if committed(&provider, writes).await? {
            outbox::deliver_all(&provider, holds, call.deadline).await;
            return Ok(respond(&provider, id, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

/// The writes of an uninstall: none if it was uninstalled before.
pub(crate) async fn uninstall(
    provider: &Provider,
    id: &InstallationId,
    stored: &Stored<Installation>,
    now: Timestamp,
) -> Result<(Vec<Write>, Vec<Hold>), ApiError> {
    if !stored.is_active() {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut installation = stored.item.clone();
    installation.status = InstallationStatus::Uninstalling;
    // A period is never empty (spec F): an uninstall in the very millisecond of its start ends it one later.
    let at =
        now.round(Unit::Millisecond)?.max(installation.period_start.saturating_add(SignedDuration::from_millis(1))?);
    installation.uninstalled_at = Some(at);
    if installation.closing.is_none() {
        installation.period_end = installation.period_end.min(at);
    }
    let owed = outbox::enqueue(provider, id, vec![What::ReleaseResources]).await?;
    let mut writes = vec![Write::replace(&installation, stored.version)?];
    writes.extend(owed.writes);
    Ok((writes, owed.holds))
}
