//! A customer uninstalls: what that changes, whether Vercel asks for it (B.4) or tells of it (spec E).
//!
//! Vercel waits 24 h for the last invoices, unless the answer to B.4 says that none will come ([`settled`]).

use jiff::{SignedDuration, Timestamp, Unit};
use tradepost_marketplace::ids::PlanId;
use tradepost_pricing::catalog::Charge;
use tradepost_pricing::period::Segment;
use tradepost_store::{Stored, Write};

use crate::command::{Change, Reply};
use crate::edge::ApiError;
use crate::effects::What;
use crate::provider::Provider;
use crate::slice;
use crate::state::{Installation, InstallationStatus, InvoiceRecord, Resource, keys};

/// The shortest period: one is never empty (spec F).
const SHORTEST_PERIOD: SignedDuration = SignedDuration::from_millis(1);

/// How many invoices of an installation are looked through for one that is not settled; more may hide one.
const INVOICES_LOOK_MAX: usize = 100;

/// How many resources an installation may have that is settled at once: each is checked in the transaction.
const RESOURCES_LOOK_MAX: usize = 80;

/// Whether no invoice will ever come and none is open: then Vercel may forget the installation at once. Only if nothing
/// that it ever had, since the first period that may still be billed, can cost anything; nothing is carried; and no
/// invoice waits for anything. Returns what must not have moved when that is written down.
pub(crate) async fn settled(
    provider: &Provider,
    stored: &Stored<Installation>,
    now: Timestamp,
) -> Result<Option<Vec<Write>>, ApiError> {
    if !stored.is_active() {
        return Ok(None);
    }
    let catalog = provider.catalog()?;
    let is_free = |plan: &PlanId| catalog.plan(plan).is_some_and(|plan| plan.charges.iter().all(Charge::is_free));
    if !stored.carried.is_empty() || stored.closing.is_some() || stored.plan.as_ref().is_some_and(|plan| !is_free(plan))
    {
        return Ok(None);
    }
    let Some(slice) = slice::read(provider, &stored.id).await? else { return Ok(None) };
    let oldest = slice::billed_from(stored, now)?;
    let costs = |segment: &Segment| segment.end.is_none_or(|end| end >= oldest) && !is_free(&segment.plan);
    let is_open = |resource: &Resource| resource.operation.is_some() || resource.segments.iter().any(costs);
    if slice.resources.len() > RESOURCES_LOOK_MAX || slice.resources.iter().any(|resource| is_open(resource)) {
        return Ok(None);
    }
    let pk = keys::collection(&stored.id);
    let invoices = provider.store.query_after(&pk, keys::INVOICES, None, INVOICES_LOOK_MAX).await?;
    for raw in &invoices {
        if !raw.decode::<InvoiceRecord>()?.is_settled() {
            return Ok(None);
        }
    }
    let key = |resource: &Resource| Resource::key_of(&resource.installation, &resource.id);
    let checks = slice.resources.iter().map(|resource| Write::check(key(resource), resource.version)).collect();
    Ok((invoices.len() < INVOICES_LOOK_MAX).then_some(checks))
}

/// The uninstall, answered like this: nothing else if it was uninstalled before.
pub(crate) fn uninstall(
    stored: &Stored<Installation>,
    now: Timestamp,
    settled: Option<Vec<Write>>,
    reply: Reply,
) -> Result<Change, ApiError> {
    if !stored.is_active() {
        return Ok(Change::of(reply));
    }
    let mut installation = stored.item.clone();
    installation.gone_since = None;
    installation.status =
        if settled.is_some() { InstallationStatus::Finalized } else { InstallationStatus::Uninstalling };
    // An uninstall in the very millisecond of the period's start ends it one later.
    let at = now.round(Unit::Millisecond)?.max(installation.period_start.saturating_add(SHORTEST_PERIOD)?);
    installation.uninstalled_at = Some(at);
    if installation.closing.is_none() {
        installation.period_end = installation.period_end.min(at);
    }
    let write = Write::replace(&installation, stored.version)?;
    Ok(Change::of(reply).writing([write]).writing(settled.unwrap_or_default()).owing([What::ReleaseResources]))
}
