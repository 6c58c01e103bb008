//! `POST /partner/usage`: metering. Partner systems report consumption in batches (formats,
//! `usage.recorded`).
//!
//! A batch belongs to one installation and has an id: it is the journal entry, one immutable item, and what
//! its repeat is recognised by, whatever `webhook-id` the repeat has. Ingest reads the slice, folds in a pure
//! function and commits the batch, the totals it touches at their versions, and a check that the
//! installation is what was read (so that no period closed in between). On a conflict it reads again.
//!
//! A reading that cannot count is refused alone, with its reason; the rest of the batch counts. Limits: a
//! body of [`BATCH_BYTES_MAX`] (413), and what [`crate::metering`] says (422).

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use tradepost_store::{Stored, Write};

use crate::caller::{self, PartnerCall};
use crate::edge::answer::respond;
use crate::edge::canonical;
use crate::edge::error::{ApiError, Code, Problem};
use crate::edge::layer::{self, Field, note};
use crate::flows::invoices::{archive, late};
use crate::flows::{RACES_MAX, committed, slice};
use crate::idempotency::{self, Answer, Known};
use crate::metering::{
    self, Assigned, KnownPeriod, MeteringError, READING_AGE_MAX, READING_AHEAD_MAX, Reading, TotalKey,
};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::{Installation, InstallationStatus, MeterTotal, UsageBatch};

/// The largest batch: it is kept as one item (400 KB in DynamoDB).
pub const BATCH_BYTES_MAX: usize = 350 * 1024;
/// The most refused readings that an answer names: it is kept in the batch's item. `refusedCount` has all.
const REFUSALS_TOLD_MAX: usize = 200;
/// The longest batch id.
const BATCH_ID_BYTES_MAX: usize = 128;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    layer::wrap(provider, Router::new().route("/partner/usage", post(handle)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Batch {
    batch_id: String,
    readings: Vec<Reading>,
}

async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let types = [("usage.recorded", Scope::Usage)];
    let call = caller::partner(&provider, request, &types, BATCH_BYTES_MAX).await?;
    let batch: Batch = call.read()?;
    let id = &batch.batch_id;
    let usable = |c: char| c.is_ascii_graphic() && c != '#';
    if id.is_empty() || id.len() > BATCH_ID_BYTES_MAX || !id.chars().all(usable) {
        let text = format!("batchId must have 1 to {BATCH_ID_BYTES_MAX} printable ASCII characters, without #");
        return Err(ApiError::invalid(text).into());
    }
    for _ in 0..RACES_MAX {
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
        if let Some(answer) = take(&provider, &call, &batch).await? {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

/// One try. `None`: something moved, read again.
async fn take(provider: &Provider, call: &PartnerCall, batch: &Batch) -> Result<Option<Answer>, ApiError> {
    let now = provider.clock.now();
    let digest = canonical::digest(call.data.get().as_bytes());
    let key = UsageBatch::key_of(&call.installation, &batch.batch_id);
    if let Some(known) = provider.store.get::<UsageBatch>(&key).await? {
        if known.digest != digest {
            return Err(ApiError::new(Code::IdempotencyKeyReused, "this batchId was used with other readings"));
        }
        note(Field::RequestRepeated, true);
        let answer = Answer { body: Some(known.answer.clone()), ..Answer::empty(StatusCode::OK) };
        let writes: Vec<Write> = call.identity.remember(&answer, now)?.into_iter().collect();
        return Ok(committed(provider, writes).await?.then_some(answer));
    }
    let Some(slice) = slice::read(provider, &call.installation).await? else {
        return Err(ApiError::not_found("installation"));
    };
    if matches!(slice.installation.status, InstallationStatus::Settling | InstallationStatus::Finalized) {
        return Err(ApiError::conflict("the installation's last period is closed: no invoice follows"));
    }
    let periods = known_periods(&slice.installation, now);
    let assigned = metering::assign(batch.readings.clone(), now, &periods, &slice.metered(provider.catalog()?));
    let assigned = assigned.map_err(|error| refused(&error))?;
    let existing = existing(provider, &slice, &assigned).await?;
    let figures = existing.iter().map(|(key, total)| (key.clone(), total.aggregate.clone())).collect();
    let folded = metering::fold(&assigned, &figures).map_err(|error| refused(&error))?;
    note(Field::ReadingsAccepted, assigned.accepted.len());
    note(Field::ReadingsRefused, assigned.refused.len());
    let installation = &slice.installation;
    if installation.closing.is_some()
        && folded.keys().any(|key| !key.closed && key.period_start == installation.period_start)
    {
        // In a moment the period is closed, and these are adjustments.
        return Err(ApiError::busy(2));
    }
    let is_late = folded.keys().any(|key| key.closed);
    if is_late && archive(provider, &slice).await? {
        return Ok(None);
    }
    let mut installation = slice.installation.item.clone();
    let mut writes = late::adjust(provider, &slice, &mut installation, &folded, &call.identity.seed).await?;
    writes.push(if is_late {
        Write::replace(&installation, slice.installation.version)?
    } else {
        Write::check(Installation::key_of(&call.installation), slice.installation.version)
    });
    for (key, aggregate) in folded {
        let total = MeterTotal {
            installation: call.installation.clone(),
            period_start: key.period_start,
            resource: key.resource.clone(),
            segment: key.segment,
            meter: key.meter.clone(),
            closed: key.closed,
            aggregate,
        };
        writes.push(match existing.get(&key) {
            Some(stored) => Write::replace(&total, stored.version)?,
            None => Write::create(&total)?,
        });
    }
    let (record, answer) = journal(call, batch, &assigned, digest, now)?;
    writes.push(Write::create(&record)?);
    writes.extend(call.identity.remember(&answer, now)?);
    Ok(committed(provider, writes).await?.then_some(answer))
}

/// The journal entry of a batch, and the answer it keeps.
fn journal(
    call: &PartnerCall,
    batch: &Batch,
    assigned: &Assigned,
    digest: String,
    now: jiff::Timestamp,
) -> Result<(UsageBatch, Answer), ApiError> {
    let told = &assigned.refused[..assigned.refused.len().min(REFUSALS_TOLD_MAX)];
    let body = serde_json::json!({
        "batchId": batch.batch_id,
        "accepted": assigned.accepted.len(),
        "refused": told,
        "refusedCount": assigned.refused.len(),
    });
    let answer = Answer::json(StatusCode::OK, &body)?;
    let record = UsageBatch {
        installation: call.installation.clone(),
        batch: batch.batch_id.clone(),
        digest,
        at: now,
        readings: serde_json::to_string(&batch.readings).map_err(ApiError::internal)?,
        answer: answer.body.clone().unwrap_or_default(),
    };
    Ok((record, answer))
}

fn refused(error: &MeteringError) -> ApiError {
    ApiError::new(Code::Unprocessable, error.to_string())
}

/// The periods that readings may belong to: those not closed, and the closed ones not too old.
fn known_periods(installation: &Installation, now: jiff::Timestamp) -> Vec<KnownPeriod> {
    let mut periods: Vec<KnownPeriod> = Vec::new();
    let oldest = now.saturating_sub(READING_AGE_MAX).unwrap_or(now);
    let closed = installation.closed_periods.iter().filter(|period| period.end > oldest);
    periods.extend(closed.map(|period| KnownPeriod { period: *period, closed: true }));
    periods.extend(
        installation
            .open_periods(now + READING_AHEAD_MAX)
            .into_iter()
            .map(|period| KnownPeriod { period, closed: false }),
    );
    periods
}

/// The totals that the batch touches, as they are.
async fn existing(
    provider: &Provider,
    slice: &slice::Slice,
    assigned: &Assigned,
) -> Result<BTreeMap<TotalKey, Stored<MeterTotal>>, ApiError> {
    let mut found = BTreeMap::new();
    for key in assigned.keys() {
        let id = &slice.installation.id;
        let place = MeterTotal::key_of(id, key.closed, key.period_start, &key.resource, key.segment, &key.meter);
        let stored = if key.closed {
            provider.store.get::<MeterTotal>(&place).await?
        } else {
            slice.totals.iter().find(|total| tradepost_store::Record::key(&total.item) == place).cloned()
        };
        if let Some(stored) = stored {
            found.insert(key, stored);
        }
    }
    Ok(found)
}
