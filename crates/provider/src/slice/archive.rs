//! Totals of closed periods leave the slice: they lie under `A#` from then on, where late readings find
//! them. Done at the next close, and before the first late reading; in batches, each resumable.

use jiff::Timestamp;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::Period;
use tradepost_store::{StoreError, Write};

use super::{FINAL_FOR, Slice};
use crate::commit::committed;
use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::{Installation, Life, MeterTotal, keys, segments};
use tradepost_pricing::metering::READING_AGE_MAX;

/// How many totals one transaction moves: two writes each, 100 in all.
const MOVES_MAX: usize = 45;
/// How many pages of a closed period's totals are read: as many as a slice may have.
const PAGES_MAX: usize = 64;

/// Moves what belongs to closed periods, and forgets resources deleted long ago. True if it did anything:
/// then the slice is to be read again.
pub(crate) async fn archive(provider: &Provider, slice: &Slice) -> Result<bool, ApiError> {
    let open_from = slice.installation.period_start;
    let closed: Vec<_> = slice.totals.iter().filter(|total| total.period_start < open_from).collect();
    for batch in closed.chunks(MOVES_MAX) {
        let mut writes = Vec::with_capacity(batch.len() * 2);
        for total in batch {
            let old = tradepost_store::Record::key(&total.item);
            let moved = MeterTotal { closed: true, ..total.item.clone() };
            writes.push(Write::create(&moved)?);
            writes.push(Write::delete(old, total.version));
        }
        if !committed(provider, writes).await? {
            return Ok(true);
        }
    }
    let forgotten = forget(provider, slice).await? || fold(provider, slice).await?;
    Ok(!closed.is_empty() || forgotten)
}

/// The totals of a closed period.
pub(crate) async fn totals(
    provider: &Provider,
    id: &InstallationId,
    start: Timestamp,
) -> Result<Vec<MeterTotal>, StoreError> {
    let raws = provider.store.query(&keys::collection(id), &MeterTotal::closed_prefix(start), PAGES_MAX).await?;
    raws.iter().map(|raw| Ok(raw.decode::<MeterTotal>()?.item)).collect()
}

/// A deleted resource stays as long as readings of it may still come, its period is open, or the last figures of a
/// period in which it was billed may have yet to be shown.
async fn forget(provider: &Provider, slice: &Slice) -> Result<bool, ApiError> {
    let now = provider.clock.now();
    let installation = &slice.installation;
    let is_shown = |period: &&Period| now.duration_since(period.end) <= FINAL_FOR;
    let shown_from = installation.closed_periods.iter().find(is_shown).map(|period| period.start);
    let oldest = now.saturating_sub(READING_AGE_MAX)?.min(shown_from.unwrap_or(installation.period_start));
    let is_gone = |life: Life| life.is_deleted() && life.ended_at().is_some_and(|ended_at| ended_at < oldest);
    let gone = slice.resources.iter().filter(|resource| is_gone(resource.life));
    let mut writes: Vec<Write> = gone
        .take(MOVES_MAX)
        .map(|resource| Write::delete(tradepost_store::Record::key(&resource.item), resource.version))
        .collect();
    if writes.is_empty() {
        return Ok(false);
    }
    let mut installation = slice.installation.item.clone();
    let count = u32::try_from(writes.len()).unwrap_or(u32::MAX);
    installation.resources_kept = installation.resources_kept.saturating_sub(count);
    writes.push(Write::replace(&installation, slice.installation.version)?);
    committed(provider, writes).await.map(|_| true)
}

/// From when on something may still be billed: a late reading is the difference it makes to the bill of its whole
/// period, which may have begun long before it.
pub(crate) fn billed_from(installation: &Installation, now: Timestamp) -> Result<Timestamp, ApiError> {
    let takes_readings = |period: &&Period| now.duration_since(period.end) <= READING_AGE_MAX;
    let closed = installation.closed_periods.iter().find(takes_readings).map(|period| period.start);
    let unbilled = installation.unbilled.iter().map(|unbilled| unbilled.period.start);
    let oldest = closed.into_iter().chain(unbilled).min().unwrap_or(installation.period_start);
    Ok(now.saturating_sub(READING_AGE_MAX)?.min(oldest))
}

/// The plans that a resource had before anything that may still be billed go out of the slice.
async fn fold(provider: &Provider, slice: &Slice) -> Result<bool, ApiError> {
    let oldest = billed_from(&slice.installation, provider.clock.now())?;
    let mut writes = Vec::new();
    for resource in slice.resources.iter().filter(|it| segments::can_fold(it, oldest)).take(MOVES_MAX) {
        let mut folded = resource.item.clone();
        segments::fold(&mut folded, oldest);
        writes.push(Write::replace(&folded, resource.version)?);
    }
    let is_any = !writes.is_empty();
    committed(provider, writes).await?;
    Ok(is_any)
}
