//! Settling what does not go by itself: an effect that is dead, or that fails again and again, is tried once more,
//! taken as delivered, or given up, because a partner system says so.
//!
//! Used by the commands of `flows/invoices/settle.rs`. In an ordered class only the first of a lane may be settled,
//! and only while nobody delivers the lane: the lane's guard in the same transaction says that nobody has begun to
//! meanwhile, so no call about the effect is under way. What is given up is kept apart for 90 days, to be asked
//! about. What fails: a guard, when the lane or the effect moved; the command then looks again.

use tradepost_store::{Stored, Write};

use super::effect::{Effect, Owed};
use super::enqueue::{Enqueued, enqueue, take};
use super::lane::{Lane, LaneName};
use super::reason::Reason;
use crate::edge::ApiError;
use crate::provider::Provider;

/// How soon a lane that is being delivered may be free again.
const BUSY_SECONDS: u32 = 5;

/// An effect that may be settled.
#[derive(Debug)]
pub struct Stuck<W> {
    effect: Stored<Effect<W>>,
    /// Of an ordered class: its lane, that goes on as soon as this is settled.
    lane: Option<Stored<Lane>>,
    /// Whether it lies apart already.
    apart: bool,
}

/// The first effect of an ordered lane; none if the lane is empty.
///
/// # Errors
/// 409 with `Retry-After` while somebody delivers the lane.
pub async fn head<W: Owed>(provider: &Provider, name: &LaneName) -> Result<Option<Stuck<W>>, ApiError> {
    let Some(lane) = provider.store.get::<Lane>(&name.key()).await? else { return Ok(None) };
    let first = provider.store.query_after(&name.key().pk, &name.effects_prefix(), None, 1).await?;
    let Some(first) = first.first() else { return Ok(None) };
    if lane.is_held(provider.lease.now()) {
        return Err(ApiError::busy(BUSY_SECONDS));
    }
    Ok(Some(Stuck { effect: first.decode()?, lane: Some(lane), apart: false }))
}

/// The effect of this place and sequence, in its lane or apart.
///
/// # Errors
/// 404 if there is none, 409 if it is of an ordered class and not the first, or being delivered.
pub async fn find<W: Owed>(
    provider: &Provider,
    name: &LaneName,
    place: &str,
    sequence: u64,
) -> Result<Stuck<W>, ApiError> {
    let gone = || ApiError::not_found("waiting effect");
    for apart in [false, true] {
        let stored = provider.store.get::<Effect<W>>(&Effect::<W>::key_of(name, place, apart)).await?;
        let Some(effect) = stored.filter(|effect| effect.sequence == sequence && !effect.abandoned) else { continue };
        if apart || !name.class.is_ordered() {
            return Ok(Stuck { effect, lane: None, apart });
        }
        let first = head(provider, name).await?.ok_or_else(gone)?;
        if first.effect.sequence != sequence {
            return Err(ApiError::conflict("an effect before it in its lane has to be settled first"));
        }
        return Ok(first);
    }
    Err(gone())
}

impl<W: Owed> Stuck<W> {
    /// The effect.
    pub fn effect(&self) -> &Effect<W> {
        &self.effect
    }

    /// Whether it had its chance: it is dead, was tried without success, or waits for what may never come.
    pub fn was_tried(&self) -> bool {
        self.effect.dead || self.effect.last_failure.is_some()
    }

    /// To be tried again, at once.
    pub async fn again(self, provider: &Provider) -> Result<Enqueued, ApiError> {
        if self.apart {
            let mut owed = enqueue(provider, &self.effect.lane.installation, vec![self.effect.what.clone()]).await?;
            owed.writes.push(self.removal());
            return Ok(owed);
        }
        let again =
            Effect { dead: false, ended_at: None, not_before: provider.clock.now(), ..self.effect.item.clone() };
        let writes = vec![Write::replace(&again, self.effect.version)?];
        self.go_on(provider, writes).await
    }

    /// It is no longer owed: as if it had been delivered.
    pub async fn done(self, provider: &Provider) -> Result<Enqueued, ApiError> {
        let writes = vec![self.removal()];
        self.go_on(provider, writes).await
    }

    /// It is given up; `reason` is what `effects.query` says of it.
    pub async fn abandon(self, provider: &Provider, reason: &str) -> Result<Enqueued, ApiError> {
        let given_up = Effect {
            abandoned: true,
            ended_at: Some(provider.clock.now()),
            last_failure: Some(Reason::said(reason)),
            ..self.effect.item.clone()
        };
        let writes = if self.apart {
            vec![Write::replace(&given_up, self.effect.version)?]
        } else {
            vec![Write::overwrite(&given_up, self.effect.version)?, self.removal()]
        };
        self.go_on(provider, writes).await
    }

    fn removal(&self) -> Write {
        Write::delete(Effect::<W>::key_of(&self.effect.lane, &self.effect.place, self.apart), self.effect.version)
    }

    /// Adds the lane, taken, to what settles an effect of it. A lane without order needs no more than to be looked at.
    async fn go_on(self, provider: &Provider, writes: Vec<Write>) -> Result<Enqueued, ApiError> {
        let mut owed = Enqueued { writes, holds: Vec::new(), ids: vec![self.effect.id()] };
        let lane = match self.lane {
            Some(lane) => Some(lane),
            None => provider.store.get::<Lane>(&self.effect.lane.key()).await?,
        };
        if let Some(mut lane) = lane.filter(|lane| !lane.is_held(provider.lease.now())) {
            owed.holds.push(take(provider, &mut lane.item));
            owed.writes.push(Write::replace(&lane.item, lane.version)?);
        }
        Ok(owed)
    }
}
