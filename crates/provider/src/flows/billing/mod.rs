//! `/cron/billing`: the hourly push of interim billing data (spec A.13). Displayed only; never charges.
//!
//! A tick reads the checkpoints of all shards that are not empty (one Query), and serves every shard due
//! since its checkpoint, under the shard's lease: shard *k* is due from minute *k* mod 60 of an hour on. So a
//! minute's cron spreads the load, and an hourly one is also correct. A tick stops before its deadline, with
//! a cursor; the next goes on there. For each installation the push costs one Query and, when it succeeds,
//! no write: only the checkpoint moves. A failure leaves one [`crate::state::PushFailed`], which the next
//! success removes.
//!
//! The newest timestamp replaces all, so a repeat after a crash is harmless. After midnight and after a
//! period's end the final figures of the day or period go first, until they are accepted, also those of a period that
//! was closed meanwhile; Vercel takes them for 24 h. What came later is lost to the customer's chart: told as an error,
//! and counted ([`Field::PushDaysLost`]).

mod push;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tradepost_store::{Stored, Write};

use tradepost_pricing::period::hour_of;

use crate::caller;
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::edge::error::{ApiError, Problem};
use crate::edge::wide::{Field, count, note};
use crate::layer;
use crate::provider::Provider;
use crate::state::{Serving, ShardCheckpoint, keys};

/// How long a run holds a shard, in lease time.
const SHARD_LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How many installations are listed at once.
const PAGE: usize = 100;
/// What a run keeps of its time: one push and the checkpoint.
const MARGIN_SECONDS: i64 = 13;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    layer::wrap(provider, Router::new().route("/cron/billing", get(tick).post(tick)))
}

/// What a tick did.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Shards that were due.
    due: u32,
    /// Shards another run was serving.
    busy: u32,
    /// Shards served to the end.
    served: u32,
    /// Installations pushed.
    pushed: u32,
    /// Installations whose push failed.
    failed: u32,
    /// Hours that the shard furthest behind was late, before this tick.
    lag_hours: i64,
}

async fn tick(State(provider): State<Provider>, request: Request) -> Result<Json<Report>, Problem> {
    let deadline = caller::scheduler(&provider, &request)?;
    let now = provider.clock.now();
    let mut report = Report::default();
    let raws = provider.store.query(ShardCheckpoint::COLLECTION, "", 1).await?;
    let decoded = raws.into_iter().map(tradepost_store::Raw::into_record::<ShardCheckpoint>);
    let mut checkpoints = decoded.collect::<Result<Vec<_>, _>>()?;
    // The furthest behind first: if a tick cannot serve all, none is left out for ever.
    checkpoints.sort_by_key(|checkpoint| (checkpoint.hour, checkpoint.shard));
    let mut late_since: Option<Timestamp> = None;
    for checkpoint in checkpoints {
        let due = due_hour(checkpoint.shard, now);
        let checkpoint = attend(&provider, checkpoint, due, deadline, &mut report).await;
        if let Some(since) = behind_since(&checkpoint, due) {
            late_since = Some(earlier(late_since, since));
        }
    }
    let late = late_since.map_or(0, |since| provider.clock.now().duration_since(since).as_secs());
    note(Field::PushShardsDue, report.due);
    note(Field::PushShardsBusy, report.busy);
    note(Field::PushShardsServed, report.served);
    note(Field::PushInstallations, report.pushed);
    note(Field::PushFailed, report.failed);
    note(Field::PushLagSeconds, late.max(0));
    // So that a tick that lost none says 0.
    count(Field::PushDaysLost, 0);
    count(Field::Held, 0);
    Ok(Json(report))
}

/// Serves a shard if it is due and free; gives its checkpoint back as it is then.
async fn attend(
    provider: &Provider,
    checkpoint: Stored<ShardCheckpoint>,
    due: Timestamp,
    deadline: Deadline,
    report: &mut Report,
) -> ShardCheckpoint {
    let found = checkpoint.item.clone();
    if found.hour >= due {
        return found;
    }
    report.due += 1;
    report.lag_hours = report.lag_hours.max(due.duration_since(found.hour).as_hours());
    if deadline.less(MARGIN_SECONDS).is_over(&provider.lease) {
        return found;
    }
    let held = match hold(provider, checkpoint).await {
        Ok(Some(held)) => held,
        Ok(None) => {
            report.busy += 1;
            return found;
        }
        Err(error) => {
            error.log_as("a shard could not be served");
            return found;
        }
    };
    // An hour that was begun is served to its end first.
    let hour = held.serving.as_ref().map_or(due, |serving| serving.hour);
    serve(provider, held, hour, deadline, report).await.unwrap_or_else(|error| {
        error.log_as("a shard could not be served");
        found
    })
}

/// How old the oldest figures are that Vercel has of a shard's installations: those of failed pushes, and all of
/// them if the shard is due. None if nothing is late.
fn behind_since(checkpoint: &ShardCheckpoint, due: Timestamp) -> Option<Timestamp> {
    let unserved = (checkpoint.hour < due).then_some(checkpoint.served_at);
    [unserved, checkpoint.failing_since].into_iter().flatten().min()
}

/// The latest hour that the shard should have been served for.
fn due_hour(shard: u8, now: Timestamp) -> Timestamp {
    let offset = SignedDuration::from_mins(i64::from(shard) % 60);
    hour_of(now.saturating_sub(offset).unwrap_or(now))
}

/// Takes the shard's lease. `None`: somebody else has it.
async fn hold(
    provider: &Provider,
    mut checkpoint: Stored<ShardCheckpoint>,
) -> Result<Option<Stored<ShardCheckpoint>>, ApiError> {
    let now = provider.lease.now();
    if checkpoint.lease_until.is_some_and(|until| until > now) {
        return Ok(None);
    }
    checkpoint.item.lease_until = Some(now.after(SHARD_LEASE));
    let taken = committed(provider, vec![Write::replace(&checkpoint.item, checkpoint.version)?]).await?;
    Ok(taken.then(|| Stored { version: checkpoint.version + 1, item: checkpoint.item }))
}

/// Pushes the shard's installations, from the cursor on, until it is done or time is up.
async fn serve(
    provider: &Provider,
    mut held: Stored<ShardCheckpoint>,
    hour: Timestamp,
    deadline: Deadline,
    report: &mut Report,
) -> Result<ShardCheckpoint, ApiError> {
    let lease_end = held.lease_until.map_or(deadline, Deadline::at);
    let stop = deadline.min(lease_end).less(MARGIN_SECONDS);
    let since = held.served_at;
    let begun = held.item.serving.take_if(|serving| serving.hour == hour);
    let began_at = begun.as_ref().map_or(provider.clock.now(), |begun| begun.began_at);
    let mut failing = begun.as_ref().and_then(|begun| begun.failing_since);
    let mut after = begun.map(|begun| begun.after);
    let (mut done, mut unread) = (false, false);
    'shard: while !done {
        let members = provider.store.shard_members(held.shard, after.as_deref(), PAGE).await?;
        done = members.len() < PAGE;
        for key in members {
            if stop.is_over(&provider.lease) {
                done = false;
                break 'shard;
            }
            if let Some(id) = keys::installation_of(&key) {
                match push::one(provider, &id, since, stop).await {
                    Ok(push::Pushed::Accepted) => report.pushed += 1,
                    Ok(push::Pushed::Failed(accepted_at)) => {
                        report.failed += 1;
                        failing = Some(earlier(failing, accepted_at));
                    }
                    Ok(push::Pushed::Nothing) => {}
                    // One installation that cannot be read must not stop the others of its shard.
                    Err(error) => {
                        report.failed += 1;
                        unread = true;
                        failing = Some(earlier(failing, since));
                        error.log_as("an installation could not be pushed");
                    }
                }
            }
            after = Some(key.pk);
        }
    }
    held.item.lease_until = None;
    if done {
        report.served += 1;
        held.item.hour = hour;
        // What became final is owed by whoever could not even be noted as failed: the next run looks back as far.
        if !unread {
            held.item.served_at = began_at;
        }
        held.item.failing_since = failing;
        held.item.serving = None;
    } else {
        held.item.serving = after.map(|after| Serving { hour, began_at, after, failing_since: failing });
    }
    // Losing the lease to another run means that it goes on from the older cursor: harmless.
    committed(provider, vec![Write::replace(&held.item, held.version)?]).await?;
    Ok(held.item)
}

fn earlier(known: Option<Timestamp>, at: Timestamp) -> Timestamp {
    known.map_or(at, |known| known.min(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_due_from_its_minute_on() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(due_hour(0, at("2027-01-01T05:00:00Z")), at("2027-01-01T05:00:00Z"));
        assert_eq!(due_hour(30, at("2027-01-01T05:29:59Z")), at("2027-01-01T04:00:00Z"));
        assert_eq!(due_hour(90, at("2027-01-01T05:30:00Z")), at("2027-01-01T05:00:00Z"));
    }
}
