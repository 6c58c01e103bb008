//! Delivering a lane that is held.

use jiff::{SignedDuration, Timestamp};
use tradepost_store::{Stored, Write};

use super::BACKOFF_MINUTES_MAX;
use super::outcome::{Deliver, Outcome};
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::edge::error::Code;
use crate::edge::wide::{Field, count};
use crate::outbox::{Class, Effect, Hold, LANE_LEASE_SECONDS, Lane, Reason};
use crate::provider::Provider;

/// How many waiting effects of a lane are looked at together.
const LOOK_MAX: usize = 50;
/// What delivering keeps of its time, to release the lane in.
pub(super) const MARGIN_SECONDS: i64 = 3;
/// How often it is looked whether what is held may go.
const HELD_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How often a lane is read again when its guard fails.
const LANE_RELEASES_MAX: u32 = 8;

/// Delivers every lane held, one after the other. A failure is logged and left to the sweeper: what the
/// request did is committed, and its answer must not depend on this.
pub async fn deliver_all<W: Deliver>(provider: &Provider, holds: Vec<Hold>, deadline: Deadline) {
    for hold in holds {
        if deadline.is_over(&provider.lease) {
            // Their leases run out, and `due` says so already.
            return;
        }
        if let Err(error) = deliver::<W>(provider, &hold, deadline).await {
            error.log_as("lane left to the sweeper");
        }
    }
}

/// Delivers one lane until it is empty, waits, or time is up. If that fails, the lane is given back as well
/// as can be, so that the sweeper need not wait for the lease.
pub async fn deliver<W: Deliver>(provider: &Provider, hold: &Hold, deadline: Deadline) -> Result<u32, ApiError> {
    let result = deliver_held::<W>(provider, hold, deadline).await;
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

async fn deliver_held<W: Deliver>(provider: &Provider, hold: &Hold, deadline: Deadline) -> Result<u32, ApiError> {
    let mut delivered = 0;
    let mut went_on = false;
    let mut releases = 0..LANE_RELEASES_MAX;
    loop {
        let Some(lane) = provider.store.get::<Lane>(&hold.lane.key()).await? else { return Ok(delivered) };
        if lane.holder.as_deref() != Some(&hold.holder) {
            return Ok(delivered);
        }
        let stop = stop(&lane, deadline);
        let waiting = waiting::<W>(provider, hold).await?;
        let now = provider.clock.now();
        let time_is_up = stop.is_over(&provider.lease);
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
    let lease_end = lane.lease_until.map_or(deadline, |until| Deadline::at(until).less(LANE_LEASE_SECONDS / 2));
    deadline.min(lease_end).less(MARGIN_SECONDS)
}

async fn waiting<W: Deliver>(provider: &Provider, hold: &Hold) -> Result<Vec<Stored<Effect<W>>>, ApiError> {
    let pk = hold.lane.key().pk;
    let raws = provider.store.query_after(&pk, &hold.lane.effects_prefix(), None, LOOK_MAX).await?;
    raws.iter().map(|raw| Ok(raw.decode::<Effect<W>>()?)).collect()
}

/// The effect to deliver now. In an ordered class only the first may go.
fn next_due<W: Deliver>(class: Class, waiting: &[Stored<Effect<W>>], now: Timestamp) -> Option<&Stored<Effect<W>>> {
    let is_due = |effect: &&Stored<Effect<W>>| !effect.dead && effect.not_before <= now;
    if class.is_ordered() { waiting.first().filter(is_due) } else { waiting.iter().find(is_due) }
}

/// When the sweeper should look at the lane again.
fn due_after<W: Deliver>(
    class: Class,
    waiting: &[Stored<Effect<W>>],
    now: Timestamp,
    time_is_up: bool,
) -> Option<Timestamp> {
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
    committed(provider, vec![Write::replace(&lane.item, lane.version)?]).await
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
async fn attempt<W: Deliver>(
    provider: &Provider,
    stored: &Stored<Effect<W>>,
    deadline: Deadline,
) -> Result<Tried, ApiError> {
    let effect = &stored.item;
    let remove = Write::delete(Effect::<W>::key_of(&effect.lane, &effect.place, false), stored.version);
    let outcome = W::deliver(provider, effect, deadline).await.unwrap_or_else(|error| {
        if error.code == Code::InstallationHeld {
            return Outcome::Wait { reason: Reason::InstallationGone, after: HELD_WAIT, writes: Vec::new() };
        }
        error.log_as("an effect could not be tried");
        Outcome::later(Reason::said(error.code.as_str()))
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
            tracing::warn!(effect.kind = effect.what.name(), effect.attempts = again.attempts, reason = %reason, "effect waits");
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
            tracing::error!(effect.kind = effect.what.name(), effect.attempts = dead.attempts, reason = %reason, "dead letter");
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
    if !committed(provider, writes).await? {
        return Ok(Tried::Overtaken);
    }
    tried.counted();
    Ok(tried)
}

fn backoff(attempts: u32) -> SignedDuration {
    let minutes = 2_i64.saturating_pow(attempts.saturating_sub(1));
    SignedDuration::from_mins(minutes.clamp(1, BACKOFF_MINUTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::What;
    use crate::outbox::LaneName;
    use tradepost_marketplace::doors::LeaseTime;
    use tradepost_marketplace::ids::InstallationId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(class: Class) -> LaneName {
        LaneName { installation: InstallationId::new("icfg_1").unwrap(), class, resource: None }
    }

    /// Effects of a lane: when each is due, and whether it is dead.
    fn effects(class: Class, of: &[(i64, bool)]) -> Vec<Stored<Effect<What>>> {
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
        let lease = |second| LeaseTime::of(at(second));
        let mut lane = Lane::new(name(Class::State));
        let stops = |lane: &Lane, deadline| stop(lane, Deadline::at(lease(deadline))).instant();
        assert_eq!(stops(&lane, 100), lease(97));
        lane.lease_until = Some(lease(60));
        assert_eq!(stops(&lane, 100), lease(27));
        assert_eq!(stops(&lane, 30), lease(27));
        assert_eq!(stops(&lane, 25), lease(22));
    }
}
