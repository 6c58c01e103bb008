//! Delivering a lane, and sweeping those that are due.

use jiff::{SignedDuration, Timestamp};
use tradepost_store::{CommitError, Key, Stored, Write};

use super::dispatch::{self, Outcome};
use super::effect::Effect;
use super::enqueue::{Hold, take};
use super::lane::{Class, DUE_PARTITIONS, Lane, partition_name};
use super::{BACKOFF_MINUTES_MAX, LANE_LEASE_SECONDS};
use crate::edge::ApiError;
use crate::edge::layer::{Field, count};
use crate::provider::{Deadline, Provider};

/// How many waiting effects of a lane are looked at together.
const LOOK_MAX: usize = 50;
/// How many lanes one sweep of one partition takes up.
const SWEEP_LANES_MAX: usize = 200;
/// What delivering keeps of its time, to release the lane in.
const MARGIN_SECONDS: i64 = 3;
/// How much of a sweep one lane may take: one slow side must not keep all others waiting.
const LANE_SHARE_SECONDS: i64 = 12;
/// How often a lane is read again when its guard fails.
const LANE_RELEASES_MAX: u32 = 8;

/// Delivers every lane held, one after the other. A failure is logged and left to the sweeper: what the
/// request did is committed, and its answer must not depend on this.
pub async fn deliver_all(provider: &Provider, holds: Vec<Hold>, deadline: Deadline) {
    for hold in holds {
        if provider.lease.now() >= deadline.0 {
            // Their leases run out, and `due` says so already.
            return;
        }
        if let Err(error) = deliver(provider, &hold, deadline).await {
            error.log_as("lane left to the sweeper");
        }
    }
}

/// Delivers one lane until it is empty, waits, or time is up. If that fails, the lane is given back as well
/// as can be, so that the sweeper need not wait for the lease.
pub async fn deliver(provider: &Provider, hold: &Hold, deadline: Deadline) -> Result<u32, ApiError> {
    let result = deliver_held(provider, hold, deadline).await;
    if result.is_err()
        && let Ok(Some(lane)) = provider.store.get::<Lane>(&hold.lane.key()).await
        && lane.holder.as_deref() == Some(&hold.holder)
    {
        let owed_since = lane.owed_since;
        // Should this fail too, the lease runs out.
        let _ = release(provider, lane, Some(provider.clock.now()), owed_since).await;
    }
    result
}

async fn deliver_held(provider: &Provider, hold: &Hold, deadline: Deadline) -> Result<u32, ApiError> {
    let mut delivered = 0;
    let mut went_on = false;
    let mut releases = 0..LANE_RELEASES_MAX;
    loop {
        let Some(lane) = provider.store.get::<Lane>(&hold.lane.key()).await? else { return Ok(delivered) };
        if lane.holder.as_deref() != Some(&hold.holder) {
            return Ok(delivered);
        }
        let stop = stop(&lane, deadline);
        let waiting = waiting(provider, hold).await?;
        let now = provider.clock.now();
        let time_is_up = provider.lease.now() >= stop.0;
        let next = next_due(hold.lane.class, &waiting, now);
        let Some(effect) = next.filter(|_| !time_is_up) else {
            let due = due_after(hold.lane.class, &waiting, now, time_is_up);
            // What replaced an effect that never went through is owed as long as that was.
            let before = lane.owed_since.filter(|_| !went_on);
            let owed = waiting.iter().filter(|effect| !effect.dead).map(|effect| effect.owed_since()).min();
            let owed = owed.map(|owed| before.map_or(owed, |before| before.min(owed)));
            if release(provider, lane, due, owed).await? {
                return Ok(delivered);
            }
            if releases.next().is_none() {
                return Err(ApiError::unavailable("a lane changed too often to be released"));
            }
            continue;
        };
        let came = attempt(provider, effect, stop).await?;
        delivered += u32::from(came == Tried::Delivered);
        went_on |= !matches!(came, Tried::Failed | Tried::Overtaken);
    }
}

/// Until when another effect may be begun: half of the lease is for what its request may still take.
fn stop(lane: &Lane, deadline: Deadline) -> Deadline {
    let lease_end = lane.lease_until.map_or(deadline, |until| Deadline(until).less(LANE_LEASE_SECONDS / 2));
    Deadline(deadline.0.min(lease_end.0)).less(MARGIN_SECONDS)
}

async fn waiting(provider: &Provider, hold: &Hold) -> Result<Vec<Stored<Effect>>, ApiError> {
    let pk = hold.lane.key().pk;
    let raws = provider.store.query_after(&pk, &hold.lane.effects_prefix(), None, LOOK_MAX).await?;
    raws.iter().map(|raw| Ok(raw.decode::<Effect>()?)).collect()
}

/// The effect to deliver now. In an ordered class only the first may go.
fn next_due(class: Class, waiting: &[Stored<Effect>], now: Timestamp) -> Option<&Stored<Effect>> {
    let is_due = |effect: &&Stored<Effect>| !effect.dead && effect.not_before <= now;
    if class.is_ordered() { waiting.first().filter(is_due) } else { waiting.iter().find(is_due) }
}

/// When the sweeper should look at the lane again.
fn due_after(class: Class, waiting: &[Stored<Effect>], now: Timestamp, time_is_up: bool) -> Option<Timestamp> {
    let first = waiting.first()?;
    if class.is_ordered() && first.dead {
        return None;
    }
    if time_is_up {
        return Some(now);
    }
    if class.is_ordered() {
        Some(first.not_before)
    } else {
        waiting.iter().filter(|effect| !effect.dead).map(|effect| effect.not_before).min()
    }
}

/// Gives the lane back, unless it moved meanwhile.
async fn release(
    provider: &Provider,
    mut lane: Stored<Lane>,
    due: Option<Timestamp>,
    owed_since: Option<Timestamp>,
) -> Result<bool, ApiError> {
    lane.item.holder = None;
    lane.item.lease_until = None;
    lane.item.due_at = due;
    lane.item.owed_since = owed_since;
    match provider.store.commit(vec![Write::replace(&lane.item, lane.version)?]).await {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { .. }) => Ok(false),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// What came of trying one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// It is no longer owed.
    Delivered,
    /// It failed, and waits for another try.
    Failed,
    /// It waits on purpose.
    Postponed,
    /// It failed for good.
    Dead,
    /// Replaced by a newer one meanwhile, or what it changes moved: the next look decides.
    Overtaken,
}

impl Tried {
    fn counted(self) {
        match self {
            Self::Delivered => count(Field::EffectsDelivered, 1),
            Self::Failed | Self::Postponed => count(Field::EffectsWaiting, 1),
            Self::Dead => count(Field::DeadLetters, 1),
            Self::Overtaken => {}
        }
    }
}

/// Tries one effect and writes down what came of it.
async fn attempt(provider: &Provider, stored: &Stored<Effect>, deadline: Deadline) -> Result<Tried, ApiError> {
    let effect = &stored.item;
    let remove = Write::delete(Effect::key_of(&effect.lane, &effect.place, false), stored.version);
    let outcome = dispatch::dispatch(provider, effect, deadline).await.unwrap_or_else(|error| {
        error.log_as("an effect could not be tried");
        Outcome::later(error.code.as_str().to_owned())
    });
    let (writes, tried) = match outcome {
        Outcome::Done(mut writes) => {
            writes.push(remove);
            (writes, Tried::Delivered)
        }
        Outcome::Later { reason, after, mut writes } => {
            let mut again = effect.clone();
            again.attempts += 1;
            again.not_before = provider.clock.now().saturating_add(after.unwrap_or_else(|| backoff(again.attempts)))?;
            tracing::warn!(effect.kind = effect.what.name(), effect.attempts = again.attempts, reason, "effect waits");
            again.last_failure = Some(reason);
            // A newer effect that replaced this one meanwhile has a higher version: it wins.
            writes.push(Write::replace(&again, stored.version)?);
            (writes, Tried::Failed)
        }
        Outcome::Wait { reason, after, mut writes } => {
            let mut again = effect.clone();
            again.not_before = provider.clock.now().saturating_add(after)?;
            again.owed_since = Some(again.not_before);
            again.last_failure = Some(reason);
            writes.push(Write::replace(&again, stored.version)?);
            (writes, Tried::Postponed)
        }
        Outcome::Dead { reason, mut writes } => {
            let mut dead = effect.clone();
            dead.dead = true;
            dead.ended_at = Some(provider.clock.now());
            dead.attempts += 1;
            tracing::error!(effect.kind = effect.what.name(), effect.attempts = dead.attempts, reason, "dead letter");
            dead.last_failure = Some(reason);
            if effect.lane.class == Class::Money {
                writes.push(Write::replace(&dead, stored.version)?);
            } else {
                writes.push(Write::overwrite(&dead, stored.version)?);
                writes.push(remove);
            }
            (writes, Tried::Dead)
        }
    };
    match provider.store.commit(writes).await {
        Ok(()) => {
            tried.counted();
            Ok(tried)
        }
        Err(CommitError::Condition { .. }) => Ok(Tried::Overtaken),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

fn backoff(attempts: u32) -> SignedDuration {
    let minutes = 2_i64.saturating_pow(attempts.saturating_sub(1));
    SignedDuration::from_mins(minutes.clamp(1, BACKOFF_MINUTES_MAX))
}

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
pub async fn sweep(provider: &Provider, deadline: Deadline) -> Result<Sweep, ApiError> {
    let mut report = Sweep::default();
    for partition in 0..DUE_PARTITIONS {
        let now = provider.clock.now();
        let keys = provider.store.due(&partition_name(partition), now, SWEEP_LANES_MAX).await?;
        for key in keys {
            report.due += 1;
            if provider.lease.now() >= deadline.less(2 * MARGIN_SECONDS).0 {
                report.left += 1;
                continue;
            }
            if let Err(error) = sweep_lane(provider, &key, now, deadline, &mut report).await {
                report.failed += 1;
                error.log_as("lane left to the next sweep");
            }
        }
    }
    Ok(report)
}

/// Takes up one lane that the index found; decides by the item.
async fn sweep_lane(
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
    match provider.store.commit(vec![Write::replace(&lane.item, lane.version)?]).await {
        Ok(()) => {
            let share = provider.lease.now().saturating_add(SignedDuration::from_secs(LANE_SHARE_SECONDS))?;
            let deadline = Deadline(deadline.0.min(share));
            report.delivered += deliver(provider, &hold, deadline).await?;
        }
        Err(CommitError::Condition { .. }) => report.busy += 1,
        Err(CommitError::Store(error)) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::effect::What;
    use super::super::lane::LaneName;
    use super::*;
    use tradepost_marketplace::ids::InstallationId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(class: Class) -> LaneName {
        LaneName { installation: InstallationId::new("icfg_1").unwrap(), class, resource: None }
    }

    /// Effects of a lane: when each is due, and whether it is dead.
    fn effects(class: Class, of: &[(i64, bool)]) -> Vec<Stored<Effect>> {
        let effect = |(sequence, (due, dead)): (u64, &(i64, bool))| {
            let mut item = Effect::new(&name(class), sequence, What::InstallationUpdated, at(0));
            (item.not_before, item.dead) = (at(*due), *dead);
            Stored { item, version: 1 }
        };
        (1..).zip(of).map(effect).collect()
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let minutes: Vec<i64> = [1, 2, 3, 6, 7, 63, 64, 1000].map(|n| backoff(n).as_mins()).to_vec();
        assert_eq!(minutes, [1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn in_order_only_the_first_goes_and_without_order_any_that_is_due() {
        let next = |class, of: &[(i64, bool)]| next_due(class, &effects(class, of), at(10)).map(|next| next.sequence);
        assert_eq!(next(Class::Money, &[(10, false), (0, false)]), Some(1));
        assert_eq!(next(Class::Money, &[(11, false), (0, false)]), None, "it waits, and keeps the others waiting");
        assert_eq!(next(Class::Money, &[(0, true), (0, false)]), None, "it is dead, and blocks them");
        assert_eq!(next(Class::State, &[(11, false), (0, true), (10, false), (0, false)]), Some(3));
        assert_eq!(next(Class::State, &[(11, false), (0, true)]), None);
        assert_eq!(next(Class::State, &[]), None);
    }

    #[test]
    fn a_lane_is_looked_at_when_something_of_it_is_due() {
        let due = |class, of: &[(i64, bool)], time_is_up| due_after(class, &effects(class, of), at(10), time_is_up);
        for class in [Class::Money, Class::State] {
            assert_eq!(due(class, &[], false), None);
            assert_eq!(due(class, &[], true), None);
            assert_eq!(due(class, &[(20, false), (30, false)], true), Some(at(10)), "at once");
            assert_eq!(due(class, &[(20, false), (30, false)], false), Some(at(20)));
        }
        assert_eq!(due(Class::Money, &[(20, true), (30, false)], false), None, "blocked until it is settled");
        assert_eq!(due(Class::Money, &[(20, true), (30, false)], true), None);
        assert_eq!(due(Class::Money, &[(20, false), (15, false)], false), Some(at(20)));
        assert_eq!(due(Class::State, &[(20, false), (15, false), (12, true)], false), Some(at(15)));
        assert_eq!(due(Class::State, &[(20, true)], false), None);
    }

    #[test]
    fn nothing_is_begun_that_might_outlast_the_lease_or_the_request() {
        let mut lane = Lane::new(name(Class::State));
        assert_eq!(stop(&lane, Deadline(at(100))).0, at(97));
        lane.lease_until = Some(at(60));
        assert_eq!(stop(&lane, Deadline(at(100))).0, at(27));
        assert_eq!(stop(&lane, Deadline(at(30))).0, at(27));
        assert_eq!(stop(&lane, Deadline(at(25))).0, at(22));
    }
}
