//! Readings that come after their period was closed: what they cost is the difference they make to that
//! period's bill, and goes to the next invoice.

use std::collections::{BTreeMap, BTreeSet};

use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::wire::Period;
use tradepost_store::Write;

use super::entry_write;
use crate::edge::ApiError;
use crate::provider::Provider;
use crate::slice::{Slice, metered};
use crate::state::{Installation, MeterTotal, Unbilled, keys};
use tradepost_pricing::ledger::Entry;
use tradepost_pricing::metering::{Aggregate, TotalKey};
use tradepost_pricing::pricing::{self, Bill, BillInput, BilledResource};

/// How many pages the totals of one resource in one closed period may have.
const PAGES_MAX: usize = 2;

/// Adds the adjustments of late readings to the installation, and returns the ledger's entries for them.
/// `touched` are the totals as they will be.
pub(crate) async fn adjust(
    provider: &Provider,
    slice: &Slice,
    installation: &mut Installation,
    touched: &BTreeMap<TotalKey, Aggregate>,
    seed: &str,
) -> Result<Vec<Write>, ApiError> {
    let late: BTreeSet<_> =
        touched.keys().filter(|key| key.closed).map(|key| (key.period_start, key.resource.clone())).collect();
    let batch = &keys::digest_of(&[seed.as_bytes()])[..16];
    let mut writes = Vec::new();
    for (number, (period_start, resource)) in late.into_iter().enumerate() {
        let period = installation.closed_periods.iter().find(|period| period.start == period_start).copied();
        let period = period.ok_or_else(|| ApiError::internal("a late reading's period is not known"))?;
        if installation.unbilled.iter().any(|it| it.resource == resource && it.period == period) {
            // Nothing of it is billed yet; if it comes to that, all of it is.
            continue;
        }
        let before = archived(provider, slice, &resource, period_start).await?;
        let mut after = before.clone();
        for (key, aggregate) in touched.iter().filter(|(key, _)| key.closed && key.period_start == period_start) {
            if key.resource == resource {
                put(&mut after, installation, key, aggregate);
            }
        }
        let price = |totals: &[MeterTotal]| bill(provider, slice, &resource, period, totals);
        let carried = pricing::late_usage(&price(&before)?, &price(&after)?, period).map_err(ApiError::internal)?;
        for carried in carried {
            let cause = format!("{}.u{batch}.{number}", installation.id);
            let entry = Entry::carried(&cause, provider.clock.now(), carried.amount, &carried.name);
            writes.extend(entry_write(&installation.id, entry.map_err(ApiError::internal)?)?);
            installation.carry(carried.into());
        }
    }
    Ok(writes)
}

async fn archived(
    provider: &Provider,
    slice: &Slice,
    resource: &ResourceId,
    period_start: jiff::Timestamp,
) -> Result<Vec<MeterTotal>, ApiError> {
    let prefix = MeterTotal::closed_prefix_of(period_start, resource);
    let raws = provider.store.query(&keys::collection(&slice.installation.id), &prefix, PAGES_MAX).await?;
    raws.into_iter().map(|raw| Ok(raw.into_record::<MeterTotal>()?.item)).collect()
}

fn put(totals: &mut Vec<MeterTotal>, installation: &Installation, key: &TotalKey, aggregate: &Aggregate) {
    totals.retain(|total| (total.segment, &total.meter) != (key.segment, &key.meter));
    totals.push(MeterTotal {
        installation: installation.id.clone(),
        period_start: key.period_start,
        resource: key.resource.clone(),
        segment: key.segment,
        meter: key.meter.clone(),
        closed: true,
        aggregate: aggregate.clone(),
    });
}

/// What resources that Vercel denied, and turns out to know, cost in periods that were closed without them: it goes on
/// the next invoice. Returns the ledger's entry for it, one for the close of this period.
pub(crate) async fn catch_up(
    provider: &Provider,
    slice: &Slice,
    installation: &mut Installation,
    closing: Period,
) -> Result<Option<Write>, ApiError> {
    let mut amounts = Vec::new();
    let mut denied = Vec::new();
    for Unbilled { resource, period } in std::mem::take(&mut installation.unbilled) {
        let held = slice.resources.iter().find(|held| held.id == resource);
        if held.is_some_and(|held| slice.bills(held)) {
            let totals = archived(provider, slice, &resource, period.start).await?;
            let bill = bill(provider, slice, &resource, period, &totals)?;
            amounts.extend(pricing::unbilled(&bill, period).map_err(ApiError::internal)?);
        } else if held.is_some_and(|held| held.life.is_denied()) {
            denied.push(Unbilled { resource, period });
        }
        // What was taken back is billed by nobody.
    }
    installation.unbilled = denied;
    let sum = amounts.iter().map(|carried| carried.amount).sum();
    let cause = format!("{}.l{}", installation.id, closing.start.as_millisecond());
    let entry = Entry::carried(&cause, provider.clock.now(), sum, "Charges of earlier periods, billed late");
    for carried in amounts {
        installation.carry(carried.into());
    }
    entry_write(&installation.id, entry.map_err(ApiError::internal)?)
}

/// Notes that this period is closed without the resources that Vercel denies.
pub(crate) fn leave_out(slice: &Slice, installation: &mut Installation, period: Period) {
    let denied = slice.resources.iter().filter(|held| held.life.is_denied() && !slice.bills(held));
    installation.unbilled.extend(denied.map(|held| Unbilled { resource: held.id.clone(), period }));
}

/// The bill of one resource in a closed period.
fn bill(
    provider: &Provider,
    slice: &Slice,
    resource: &ResourceId,
    period: Period,
    totals: &[MeterTotal],
) -> Result<Bill, ApiError> {
    let found = slice.resources.iter().find(|held| held.id == *resource);
    let found = found.ok_or_else(|| ApiError::internal("a late reading's resource is not there"))?;
    let resources = [BilledResource { id: Some(found.id.clone()), segments: found.segments.clone() }];
    let totals: Vec<_> = totals.iter().map(metered).collect();
    let input = BillInput {
        catalog: provider.catalog()?,
        period,
        whole: slice.installation.schedule().containing(period.start),
        at: tradepost_pricing::period::invoice_date(period),
        resources: &resources,
        metered: &totals,
    };
    pricing::bill(&input).map_err(ApiError::internal)
}
