//! `POST /partner/usage`: metering. Partner systems report consumption in batches (formats,
//! `usage.recorded`).
//!
//! A batch belongs to one installation and has an id: it is the journal entry, one immutable item, and what
//! its repeat is recognised by, whatever `webhook-id` the repeat has. Ingest reads the slice, folds in a pure
//! function and commits the batch, the totals it touches at their versions, and a check that the
//! installation is what was read (so that no period closed in between). On a conflict it reads again.
//!
//! A reading that cannot count is refused alone, with its reason; the rest of the batch counts. Limits: a
//! body of [`BATCH_BYTES_MAX`] (413), and what [`tradepost_pricing::metering`] says (422).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_pricing::metering::{
    self, Aggregate, Assigned, KnownPeriod, MeteringError, READING_AGE_MAX, READING_AHEAD_MAX, Reading, TotalKey,
};
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::delivery::Nothing;
use crate::edge::canonical;
use crate::edge::error::{ApiError, Code, Problem};
use crate::edge::wide::{Field, note};
use crate::invoice::late;
use crate::layer;
use crate::provider::Provider;
use crate::signing::Scope;
use crate::slice::{self, Slice, archive};
use crate::state::{Installation, InstallationStatus, MeterTotal, Resource, UsageBatch};

/// When to come back with readings of a period that is being closed, in seconds.
const CLOSING_SECONDS: u32 = 2;
/// The largest batch: it is kept as one item (400 KB in DynamoDB).
pub const BATCH_BYTES_MAX: usize = 350 * 1024;
/// The most refused readings that an answer names: it is kept in the batch's item. `refusedCount` has all.
const REFUSALS_TOLD_MAX: usize = 200;
/// How many writes a batch may take up, of the 100 of a transaction; the journal and the request's record come to it.
const WRITES_MAX: usize = 95;
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
    let digest = canonical::digest(call.data.get().as_bytes());
    Ok(command::answer(&provider, Call::of_partner(&call), &Take { call: &call, batch, digest }).await?)
}

/// Takes a batch.
struct Take<'a> {
    call: &'a PartnerCall,
    batch: Batch,
    digest: String,
}

/// What is there when a batch comes.
enum Found {
    /// The journal entry of the same batch: it was taken.
    Taken(Box<UsageBatch>),
    /// The installation's slice; none if there is no such installation.
    Slice(Option<Box<Slice>>),
}

#[async_trait]
impl Command for Take<'_> {
    type State = Found;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        let key = UsageBatch::key_of(&self.call.installation, &self.batch.batch_id);
        if let Some(taken) = provider.store.get::<UsageBatch>(&key).await? {
            return Ok(Found::Taken(Box::new(taken.item)));
        }
        Ok(Found::Slice(slice::read(provider, &self.call.installation).await?.map(Box::new)))
    }

    async fn judge(&self, provider: &Provider, found: Self::State) -> Result<Judged<Nothing>, ApiError> {
        match found {
            Found::Taken(taken) => {
                if taken.digest != self.digest {
                    let text = "this batchId was used with other readings";
                    return Err(ApiError::new(Code::IdempotencyKeyReused, text));
                }
                note(Field::RequestRepeated, true);
                let answer = Answer { body: Some(taken.answer), ..Answer::empty(StatusCode::OK) };
                Ok(Judged::Change(Change::answered(answer)))
            }
            Found::Slice(slice) => {
                self.fold(provider, *slice.ok_or_else(|| ApiError::not_found("installation"))?).await
            }
        }
    }
}

impl Take<'_> {
    /// Folds the readings into the totals.
    async fn fold(&self, provider: &Provider, slice: Slice) -> Result<Judged<Nothing>, ApiError> {
        let now = provider.clock.now();
        let installation = &slice.installation;
        if matches!(installation.status, InstallationStatus::Settling | InstallationStatus::Finalized) {
            return Err(ApiError::conflict("the installation's last period is closed: no invoice follows"));
        }
        let periods = known_periods(installation, now);
        let metered = slice.metered(provider.catalog()?);
        let assigned = metering::assign(self.batch.readings.clone(), now, &periods, &metered);
        let assigned = assigned.map_err(|error| refused(&error))?;
        let existing = existing(provider, &slice, &assigned).await?;
        let figures = existing.iter().map(|(key, total)| (key.clone(), total.aggregate.clone())).collect();
        let folded = metering::fold(&assigned, &figures).map_err(|error| refused(&error))?;
        note(Field::ReadingsAccepted, assigned.accepted.len());
        note(Field::ReadingsRefused, assigned.refused.len());
        let is_closing = |key: &TotalKey| !key.closed && key.period_start == installation.period_start;
        if installation.closing.is_some() && folded.keys().any(is_closing) {
            // In a moment the period is closed, and these are adjustments.
            return Err(ApiError::busy(CLOSING_SECONDS));
        }
        let is_late = folded.keys().any(|key| key.closed);
        if is_late && archive(provider, &slice).await? {
            return Ok(Judged::Again);
        }
        let mut changed = installation.item.clone();
        let mut writes = late::adjust(provider, &slice, &mut changed, &folded, &self.call.identity.seed).await?;
        writes.push(if is_late {
            Write::replace(&changed, installation.version)?
        } else {
            Write::check(Installation::key_of(&self.call.installation), installation.version)
        });
        let used: BTreeSet<ResourceId> = folded.keys().map(|key| key.resource.clone()).collect();
        writes.extend(self.totals(folded, &existing)?);
        writes.extend(known(&slice, &used, WRITES_MAX.saturating_sub(writes.len()))?);
        let (record, answer) = journal(self.call, &self.batch, &assigned, self.digest.clone(), now)?;
        writes.push(Write::create(&record)?);
        Ok(Judged::Change(Change::answered(answer).writing(writes)))
    }

    /// The writes of the totals as they are now.
    fn totals(
        &self,
        folded: BTreeMap<TotalKey, Aggregate>,
        existing: &BTreeMap<TotalKey, Stored<MeterTotal>>,
    ) -> Result<Vec<Write>, ApiError> {
        let mut writes = Vec::with_capacity(folded.len());
        for (key, aggregate) in folded {
            let total = MeterTotal {
                installation: self.call.installation.clone(),
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
        Ok(writes)
    }
}

/// What is used is known to Vercel, whatever it says: written with the readings, so that no create is undone meanwhile.
/// `most` is how many fit; of the others their totals tell.
fn known(slice: &Slice, used: &BTreeSet<ResourceId>, most: usize) -> Result<Vec<Write>, ApiError> {
    let seen = slice.resources.iter().filter(|it| it.life.is_in_question() && used.contains(&it.id)).take(most);
    seen.map(|stored| {
        let known = Resource { life: stored.life.known(), ..stored.item.clone() };
        Ok(Write::replace(&known, stored.version)?)
    })
    .collect()
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
    slice: &Slice,
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
