//! `/cron/secrets`: the old secrets of a rotation expire.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use jiff::SignedDuration;
use serde::Serialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_store::{Key, Write};

use crate::answer::Answer;
use crate::caller;
use crate::command::{Change, NOBODY};
use crate::commit::committed;
use crate::credentials::grace_begins;
use crate::deadline::Deadline;
use crate::edge::error::{ApiError, Problem};
use crate::edge::wide::{Field, note};
use crate::effects::{self, What};
use crate::provider::Provider;
use crate::state::resource::ROTATIONS;
use crate::state::{Credentials, Rotation};

/// How many rotations one run takes up.
const RUN_MAX: usize = 500;
/// What a run keeps of its time: one commit, and delivering what it owes.
const MARGIN_SECONDS: i64 = 5;
/// How long a rotation that Vercel has not confirmed waits for the next look.
const UNCONFIRMED_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Rotations that were due.
    due: u32,
    /// Whose old secrets are being revoked.
    expired: u32,
    /// Which Vercel has not confirmed.
    unconfirmed: u32,
    /// Which could not be looked at.
    failed: u32,
    /// Left for the next run, for want of time.
    left: u32,
}

pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Json<Report>, Problem> {
    let deadline = caller::scheduler(&provider, &request)?;
    let mut report = Report::default();
    for key in provider.store.due(ROTATIONS, provider.clock.now(), RUN_MAX).await? {
        report.due += 1;
        if deadline.less(MARGIN_SECONDS).is_over(&provider.lease) {
            report.left += 1;
            continue;
        }
        match expire(&provider, &key, deadline).await {
            Ok(Some(true)) => report.expired += 1,
            Ok(Some(false)) => report.unconfirmed += 1,
            Ok(None) => {}
            Err(error) => {
                report.failed += 1;
                error.log_as("a rotation could not be looked at");
            }
        }
    }
    note(Field::RotationsExpired, report.expired);
    note(Field::RotationsUnconfirmed, report.unconfirmed);
    note(Field::RotationsFailed, report.failed);
    note(Field::RotationsLeft, report.left);
    Ok(Json(report))
}

/// Takes up one rotation that the index found; decides by the item.
async fn expire(provider: &Provider, key: &Key, deadline: Deadline) -> Result<Option<bool>, ApiError> {
    let now = provider.clock.now();
    let Some(mut rotation) = provider.store.get::<Rotation>(key).await? else { return Ok(None) };
    if rotation.look_at > now {
        return Ok(None);
    }
    let (id, resource): (_, ResourceId) = (rotation.installation.clone(), rotation.resource.clone());
    let credentials = provider.store.get::<Credentials>(&Credentials::key_of(&id, &resource)).await?;
    let Some(credentials) = credentials else {
        committed(provider, vec![Write::delete(key.clone(), rotation.version)]).await?;
        return Ok(None);
    };
    if rotation.confirmed_at.is_none() {
        if credentials.confirmed_revision >= rotation.revision {
            // Confirmed by a call that covered too many rotations to note it in each: the grace begins now.
            grace_begins(&mut rotation.item, now)?;
        } else {
            tracing::warn!(resource = %resource, "old secrets are due to expire but Vercel has not confirmed new ones");
            rotation.item.look_at = now.saturating_add(UNCONFIRMED_WAIT)?;
        }
        committed(provider, vec![Write::replace(&rotation.item, rotation.version)?]).await?;
        return Ok(Some(false));
    }
    let what = What::RevokeSecrets { resource, keep_version: rotation.keep_version };
    let change = Change::answered(Answer::empty(StatusCode::NO_CONTENT));
    let change = change.writing([Write::delete(key.clone(), rotation.version)]).owing([what]);
    let Some(committed) = change.commit(provider, &id, &NOBODY).await? else { return Ok(None) };
    effects::deliver_all(provider, committed.holds, deadline).await;
    Ok(Some(true))
}
