//! What resources cost in a period: one pure function, [`bill`], for the hourly interim data and for the
//! final invoice, so that what the customer watched is what the customer pays.
//!
//! Used by billing (interim data) and invoices (the close). [`settle`] then turns a bill and what was carried
//! into an invoice, or into something to carry on. What fails: [`PricingError`], when the totals and the
//! catalog do not fit each other; an installation with such an error is not billed, and a person must look.
//!
//! The rules, beyond the catalog's:
//!
//! - A line's total is price × quantity, rounded half-even to cents; a bill is the sum of its rounded lines.
//! - A fixed charge is prorated by milliseconds of the *whole regular* period, each segment on its own, its
//!   quantity rounded to nine places before pricing. An open segment counts to the end of the period: interim
//!   data shows what will be paid if nothing changes, and does not creep.
//! - Usage is billed per resource, plan and period, over all segments of that plan together. Included
//!   quantities, tiers and the price of a level (`max`, `last`) are whole, never prorated; two plans in one
//!   period each bill what was measured under them. A period that is cut short is a period.
//! - No line for what is zero: no quantity beyond the included, or a price of nothing. So a free plan has
//!   no lines.
//! - Prepayment plans have no lines either: Vercel invoices the credit (spec A.14, rule 3). Their usage is
//!   shown.
//! - A plan that a resource had in a period for no longer than clocks may be apart ([`CLOCKS_APART`]) is not one to put
//!   lines under: by Vercel's clock it may not have been active (spec A.14, rule 2). [`settle`] puts what it costs under
//!   another, or carries it.
//! - Order: resources by id, plans by their first segment, charges as in the catalog.

mod charge;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tradepost_marketplace::ids::{PlanId, ResourceId};
use tradepost_marketplace::money::{Money, Quantity};
use tradepost_marketplace::wire::{self, Discount, LineItem, Period, Usage};

use crate::catalog::{Catalog, Plan, PlanType};
use crate::metering::Aggregate;
use crate::period::{self, CLOCKS_APART, Segment};
pub use settle::{Carried, Settlement, late_usage, settle, unbilled, why_not};

/// Why something cannot be priced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// A segment's plan is not in the catalog.
    #[error("plan {plan} is not in the catalog, but is billed in this period; put it back")]
    UnknownPlan {
        /// Which.
        plan: PlanId,
    },
    /// A total is of a segment that is not to be billed: money would be lost.
    #[error("there is a total of segment {segment} of resource {resource}, but no such segment to bill")]
    UnknownSegment {
        /// Of which resource.
        resource: ResourceId,
        /// Which.
        segment: u32,
    },
    /// A total is there twice: money would be asked twice.
    #[error("meter {meter:?} of segment {segment} of resource {resource} has two totals")]
    DoubledTotal {
        /// Of which resource.
        resource: ResourceId,
        /// Which segment.
        segment: u32,
        /// Which meter.
        meter: String,
    },
    /// An amount is beyond what the types hold.
    #[error("an amount is out of range: {what}")]
    OutOfRange {
        /// Of what.
        what: String,
    },
}

/// What is billed: a resource, or the installation itself where it has a plan of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledResource {
    /// The resource; none for the installation's own plan.
    pub id: Option<ResourceId>,
    /// All its segments that touch the period; others do no harm.
    pub segments: Vec<Segment>,
}

/// A running total, and what it is of.
#[derive(Debug, Clone, Copy)]
pub struct Metered<'a> {
    /// Of which resource.
    pub resource: &'a ResourceId,
    /// Of which of its segments.
    pub segment: u32,
    /// Of which meter.
    pub meter: &'a str,
    /// The total.
    pub aggregate: &'a Aggregate,
}

/// What [`bill`] is to price.
#[derive(Debug, Clone, Copy)]
pub struct BillInput<'a> {
    /// Plans and prices.
    pub catalog: &'a Catalog,
    /// The period that is billed.
    pub period: Period,
    /// The regular period it lies in ([`period::Schedule::containing`] of its start): the same, unless it was
    /// cut short. Fixed charges are prorated by its length.
    pub whole: Period,
    /// As of when: picks the day of `dayValue`s, and nothing that costs.
    pub at: Timestamp,
    /// Whatever had a plan in the period, also what is deleted by now.
    pub resources: &'a [BilledResource],
    /// The totals of the period.
    pub metered: &'a [Metered<'a>],
}

/// What a period costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// The lines.
    pub lines: Vec<LineItem>,
    /// The meters, as shown; a resource has an entry for every meter of its product.
    pub usage: Vec<Usage>,
    /// The sum of the lines.
    pub total: Money,
    /// The latest invoiced plan of each resource in the period: where further lines can be put. None for one that had
    /// none for longer than clocks may be apart.
    pub plans: BTreeMap<Option<ResourceId>, PlanId>,
    /// The invoiced plans that a resource had in the period, and for no longer than that.
    pub brief: BTreeSet<(Option<ResourceId>, PlanId)>,
}

type Totals<'a> = BTreeMap<(&'a ResourceId, u32, &'a str), &'a Aggregate>;

/// Prices a period. See the module for the rules.
pub fn bill(input: &BillInput<'_>) -> Result<Bill, PricingError> {
    let totals = totals(input)?;
    let (plans, brief) = (BTreeMap::new(), BTreeSet::new());
    let mut bill = Bill { lines: Vec::new(), usage: Vec::new(), total: Money::ZERO, plans, brief };
    let mut resources: Vec<_> = input.resources.iter().collect();
    resources.sort_by(|a, b| a.id.cmp(&b.id));
    for resource in resources {
        let segments = active_segments(resource, input.period, &totals);
        for (plan, segments) in by_plan(input.catalog, &segments)? {
            if plan.kind == PlanType::Subscription {
                let held = charge::Held { plan, resource: resource.id.as_ref(), segments: &segments, totals: &totals };
                bill.lines.extend(held.lines(input)?);
                if !segments.iter().any(Active::is_sure) {
                    bill.brief.insert((resource.id.clone(), plan.id.clone()));
                }
            }
        }
        if let Some(last) = segments.iter().rev().find(|segment| is_invoiced(input.catalog, segment)) {
            bill.plans.insert(resource.id.clone(), last.segment.plan.clone());
        }
        bill.usage.extend(usage(input, resource, &segments, &totals)?);
    }
    bill.total = total_of(&bill.lines, &[])?;
    Ok(bill)
}

/// The totals by what they are of; none may be doubled or without its segment.
fn totals<'a>(input: &BillInput<'a>) -> Result<Totals<'a>, PricingError> {
    let known: BTreeSet<(&ResourceId, u32)> = input
        .resources
        .iter()
        .filter_map(|resource| resource.id.as_ref().map(|id| (id, &resource.segments)))
        .flat_map(|(id, segments)| segments.iter().map(move |segment| (id, segment.number)))
        .collect();
    let mut totals = Totals::new();
    for Metered { resource, segment, meter, aggregate } in input.metered.iter().copied() {
        if !known.contains(&(resource, segment)) {
            return Err(PricingError::UnknownSegment { resource: resource.clone(), segment });
        }
        if totals.insert((resource, segment, meter), aggregate).is_some() {
            let (resource, meter) = (resource.clone(), meter.to_owned());
            return Err(PricingError::DoubledTotal { resource, segment, meter });
        }
    }
    Ok(totals)
}

/// A segment, and its part of the period; none if that is under a millisecond.
#[derive(Debug, Clone, Copy)]
struct Active<'a> {
    segment: &'a Segment,
    part: Option<Period>,
}

impl Active<'_> {
    /// Whether it was active by any clock.
    fn is_sure(&self) -> bool {
        self.part.is_some_and(|part| part.end.duration_since(part.start) > CLOCKS_APART)
    }
}

/// The segments that count, oldest first: those in the period, and those with totals, which may be shorter
/// than a millisecond.
fn active_segments<'a>(resource: &'a BilledResource, period: Period, totals: &Totals<'_>) -> Vec<Active<'a>> {
    let metered = |number: u32| resource.id.as_ref().is_some_and(|id| has_totals(totals, id, number));
    let part = |segment: &'a Segment| Active { segment, part: period::overlap(period, segment.start, segment.end) };
    let mut active: Vec<_> = resource.segments.iter().map(part).collect();
    active.retain(|active| active.part.is_some() || metered(active.segment.number));
    active.sort_by_key(|active| (active.segment.start, active.segment.number));
    active
}

fn has_totals(totals: &Totals<'_>, resource: &ResourceId, segment: u32) -> bool {
    let next = totals.range((resource, segment, "")..).next();
    next.is_some_and(|((id, number, _), _)| *id == resource && *number == segment)
}

/// The segments of each plan, plans in the order of their first segment.
fn by_plan<'a>(
    catalog: &'a Catalog,
    segments: &[Active<'a>],
) -> Result<Vec<(&'a Plan, Vec<Active<'a>>)>, PricingError> {
    let mut plans: Vec<(&Plan, Vec<Active<'a>>)> = Vec::new();
    for active in segments {
        let id = &active.segment.plan;
        if let Some((_, segments)) = plans.iter_mut().find(|(plan, _)| plan.id == *id) {
            segments.push(*active);
        } else {
            let plan = catalog.plan(id).ok_or_else(|| PricingError::UnknownPlan { plan: id.clone() })?;
            plans.push((plan, vec![*active]));
        }
    }
    Ok(plans)
}

fn is_invoiced(catalog: &Catalog, active: &Active<'_>) -> bool {
    let plan = catalog.plan(&active.segment.plan);
    active.is_sure() && plan.is_some_and(|plan| plan.kind == PlanType::Subscription)
}

/// The totals of one meter over several segments, together.
fn merged(
    totals: &Totals<'_>,
    resource: &ResourceId,
    segments: &[Active<'_>],
    meter: &str,
) -> Result<Option<Aggregate>, PricingError> {
    let mut merged: Option<Aggregate> = None;
    for active in segments {
        let Some(total) = totals.get(&(resource, active.segment.number, meter)) else { continue };
        let together = match merged {
            None => Some((*total).clone()),
            Some(sum) => sum.merge(total),
        };
        merged =
            Some(together.ok_or_else(|| PricingError::OutOfRange { what: format!("meter {meter:?} of {resource}") })?);
    }
    Ok(merged)
}

/// Every meter of a resource's product, over all its plans.
fn usage(
    input: &BillInput<'_>,
    resource: &BilledResource,
    segments: &[Active<'_>],
    totals: &Totals<'_>,
) -> Result<Vec<Usage>, PricingError> {
    let current = segments.iter().rev().find(|active| active.segment.start <= input.at).or(segments.first());
    let (Some(id), Some(current)) = (&resource.id, current) else { return Ok(Vec::new()) };
    let plan = &current.segment.plan;
    let product = input.catalog.product_of(plan).ok_or_else(|| PricingError::UnknownPlan { plan: plan.clone() })?;
    let mut usage = Vec::with_capacity(product.meters.len());
    for meter in &product.meters {
        let total = merged(totals, id, segments, &meter.id)?;
        usage.push(Usage {
            resource_id: Some(id.clone()),
            name: meter.name.clone(),
            kind: meter.show.into(),
            units: meter.units.clone(),
            day_value: total.as_ref().map_or(Quantity::ZERO, |total| total.day_value(input.at)).into(),
            period_value: total.as_ref().map_or(Quantity::ZERO, Aggregate::period_value).into(),
            plan_value: product.plan(plan).and_then(|plan| plan.included(&meter.id)).map(Into::into),
        });
    }
    Ok(usage)
}

/// Lines less discounts.
fn total_of(lines: &[LineItem], discounts: &[Discount]) -> Result<Money, PricingError> {
    wire::total(lines, discounts).map_err(|error| PricingError::OutOfRange { what: error.to_string() })
}

fn sum(amounts: impl IntoIterator<Item = Money>) -> Result<Money, PricingError> {
    let mut amounts = amounts.into_iter();
    let sum = amounts.try_fold(Money::ZERO, Money::checked_add);
    sum.ok_or_else(|| PricingError::OutOfRange { what: "the sum of all lines".to_owned() })
}

#[cfg(test)]
mod tests;
