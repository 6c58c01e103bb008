//! Sweeping: the lanes that are due, whoever left them.

use jiff::{SignedDuration, Timestamp};
use tradepost_store::{Key, Write};

use super::lane::{MARGIN_SECONDS, deliver};
use super::outcome::Deliver;
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::outbox::{DUE_PARTITIONS, Lane, partition_name, take};
use crate::provider::Provider;

/// How many lanes one sweep of one partition takes up.
const SWEEP_LANES_MAX: usize = 200;
/// How much of a sweep one lane may take: one slow side must not keep all others waiting.
const LANE_SHARE_SECONDS: i64 = 12;

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sweep {
    /// Lanes that were due.
    pub due: u32,
    /// Lanes somebody else was delivering.
    pub busy: u32,
    /// Effects delivered.
    pub delivered: u32,
    /// Lanes that could not be delivered for a reason of ours.
    pub failed: u32,
    /// Lanes left for the next sweep, for want of time.
    pub left: u32,
    /// For how long the lane that waited longest had been owed something when it was taken up; 0 if none was due.
    pub age_seconds: i64,
}

/// Delivers the lanes that are due, oldest first, until the deadline. A lane that fails stops no other.
pub async fn sweep<W: Deliver>(provider: &Provider, deadline: Deadline) -> Result<Sweep, ApiError> {
    let mut report = Sweep::default();
    for partition in 0..DUE_PARTITIONS {
        let now = provider.clock.now();
        let keys = provider.store.due(&partition_name(partition), now, SWEEP_LANES_MAX).await?;
        for key in keys {
            report.due += 1;
            if deadline.less(2 * MARGIN_SECONDS).is_over(&provider.lease) {
                report.left += 1;
                continue;
            }
            if let Err(error) = sweep_lane::<W>(provider, &key, now, deadline, &mut report).await {
                report.failed += 1;
                error.log_as("lane left to the next sweep");
            }
        }
    }
    Ok(report)
}

/// Takes up one lane that the index found; decides by the item.
async fn sweep_lane<W: Deliver>(
    provider: &Provider,
    key: &Key,
    now: Timestamp,
    deadline: Deadline,
    report: &mut Sweep,
) -> Result<(), ApiError> {
    let Some(mut lane) = provider.store.get::<Lane>(key).await? else { return Ok(()) };
    if lane.due_at.is_none_or(|due| due > now) {
        return Ok(());
    }
    // As it is found: a sweep that is late has a say in it, too.
    let since = lane.owed_since.or(lane.due_at).unwrap_or(now);
    report.age_seconds = report.age_seconds.max(now.duration_since(since).as_secs());
    if lane.is_held(provider.lease.now()) {
        report.busy += 1;
        return Ok(());
    }
    let hold = take(provider, &mut lane.item);
    if !committed(provider, vec![Write::replace(&lane.item, lane.version)?]).await? {
        report.busy += 1;
        return Ok(());
    }
    let share = provider.lease.now().after(SignedDuration::from_secs(LANE_SHARE_SECONDS));
    report.delivered += deliver::<W>(provider, &hold, deadline.min(Deadline::at(share))).await?;
    Ok(())
}
