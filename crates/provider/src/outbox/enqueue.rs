//! Owing: the writes that put effects into their lanes, to be committed together with the state.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::Write;

use super::LANE_LEASE_SECONDS;
use super::effect::{Effect, Owed};
use super::lane::{Lane, LaneName};
use crate::edge::ApiError;
use crate::provider::Provider;

/// An effect starts at version sequence × this, and each try adds one: so the versions of an effect and of
/// the one that replaces it never meet, and a delivery removes what it delivered and nothing newer.
const TRIES_PER_EFFECT: u64 = 1 << 20;

/// The right to deliver a lane.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Which.
    pub lane: LaneName,
    /// Who.
    pub holder: String,
}

/// Effects to be committed.
#[derive(Debug, Default)]
pub struct Enqueued {
    /// To be added to the transaction. A failed guard means that a lane moved: enqueue again.
    pub writes: Vec<Write>,
    /// Lanes to deliver after the commit.
    pub holds: Vec<Hold>,
    /// The effects' ids, in the order given.
    pub ids: Vec<String>,
}

/// Prepares effects of one installation. Reads each lane once.
pub async fn enqueue<W: Owed>(
    provider: &Provider,
    installation: &InstallationId,
    owed: Vec<W>,
) -> Result<Enqueued, ApiError> {
    let mut lanes: BTreeMap<LaneName, Vec<(usize, W)>> = BTreeMap::new();
    let mut ids = vec![String::new(); owed.len()];
    for (index, what) in owed.into_iter().enumerate() {
        let resource = what.resource().cloned();
        let name = LaneName { installation: installation.clone(), class: what.class(), resource };
        lanes.entry(name).or_default().push((index, what));
    }
    let mut result = Enqueued::default();
    for (name, effects) in lanes {
        let stored = provider.store.get::<Lane>(&name.key()).await?;
        let seen = stored.as_ref().map(|lane| lane.version);
        let mut lane = stored.map_or_else(|| Lane::new(name.clone()), |lane| lane.item);
        let now = provider.clock.now();
        let mut due = Timestamp::MAX;
        for (index, what) in effects {
            lane.sequence += 1;
            let effect = Effect::new(&name, lane.sequence, what, now);
            ids[index] = effect.id();
            let owed = effect.owed_since();
            lane.owed_since = Some(lane.owed_since.map_or(owed, |since| since.min(owed)));
            due = due.min(effect.not_before);
            result.writes.push(Write::overwrite(&effect, lane.sequence * TRIES_PER_EFFECT)?);
        }
        // Whoever holds the lane finds what was put in meanwhile before giving it back.
        if !lane.is_held(provider.lease.now()) {
            if due <= now {
                result.holds.push(take(provider, &mut lane));
            } else {
                lane.due_at = Some(lane.due_at.map_or(due, |before| before.min(due)));
            }
        }
        result.writes.push(match seen {
            Some(version) => Write::replace(&lane, version)?,
            None => Write::create(&lane)?,
        });
    }
    result.ids = ids;
    Ok(result)
}

/// Takes the lane's lease, in memory: it counts once the lane is committed.
pub fn take(provider: &Provider, lane: &mut Lane) -> Hold {
    let lease = SignedDuration::from_secs(LANE_LEASE_SECONDS);
    let holder = format!("{:016x}", provider.entropy.draw());
    lane.holder = Some(holder.clone());
    lane.lease_until = Some(provider.lease.now().after(lease));
    lane.due_at = provider.clock.now().checked_add(lease).ok();
    Hold { lane: lane.name.clone(), holder }
}
