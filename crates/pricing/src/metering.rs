//! Folding readings into running totals: pure functions, used by the usage flow.
//!
//! Two steps, so that the flow reads from the store only what it needs, between them:
//!
//! 1. [`assign`] gives every reading its period, plan segment and total, or refuses it, one by one;
//! 2. [`fold`] adds the accepted ones to the totals that exist, all or none.
//!
//! The order of readings never matters: `sum` and `max` do not care, `last` is decided by time and then by
//! reading id. A repeat is not recognised here but by its batch. What fails: [`MeteringError`], for the whole
//! batch; everything that is wrong with one reading is a [`Refusal`] of that reading.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::money::Quantity;
use tradepost_marketplace::wire::Period;

use crate::catalog::{Aggregation, Meter};
use crate::period::{self, Segment};

/// Readings older than this are refused. Batches are remembered longer, so a late repeat is still known.
pub const READING_AGE_MAX: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How far a reading may lie in our future: the same as the clock tolerance of signatures.
pub const READING_AHEAD_MAX: SignedDuration = SignedDuration::from_secs(300);
/// The most totals that one batch may touch; beyond it the batch is refused (422).
pub const TOTALS_TOUCHED_MAX: usize = 40;
/// The most readings in one batch.
pub const READINGS_MAX: usize = 5_000;
/// The most days a total keeps figures of.
pub const DAYS_KEPT: usize = 2;
/// The longest reading id, in bytes: it is kept inside totals.
pub const READING_ID_BYTES_MAX: usize = 128;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// The partner's id of it, unique in its batch; ties of `last` go to the greater one.
    pub id: String,
    /// Of which resource.
    pub resource_id: ResourceId,
    /// By which meter of the resource's product.
    pub meter: String,
    /// When it was measured: picks the day, the period and the plan segment.
    pub at: Timestamp,
    /// How much, as a decimal text.
    #[serde(with = "text")]
    pub quantity: Quantity,
}

/// A period that readings may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPeriod {
    /// The period.
    pub period: Period,
    /// Whether its invoice is made: then what arrives is an adjustment of a later one.
    pub closed: bool,
}

/// What [`assign`] must know of a resource.
#[derive(Debug, Clone)]
pub struct MeteredResource<'a> {
    /// The meters of its product.
    pub meters: &'a [Meter],
    /// All its segments, oldest first.
    pub segments: &'a [Segment],
}

/// Which total a reading belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotalKey {
    /// The start of its period.
    pub period_start: Timestamp,
    /// The resource.
    pub resource: ResourceId,
    /// The number of the plan segment.
    pub segment: u32,
    /// The meter.
    pub meter: String,
    /// Whether the period is closed: then it is an adjustment.
    pub closed: bool,
}

/// Why one reading does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Another reading of the batch, before it, has its id.
    DuplicateId,
    /// Its id is empty, or longer than [`READING_ID_BYTES_MAX`].
    InvalidId,
    /// The installation has no such resource.
    UnknownResource,
    /// The product has no such meter.
    UnknownMeter,
    /// Older than [`READING_AGE_MAX`].
    TooOld,
    /// Ahead of our clock by more than [`READING_AHEAD_MAX`].
    InFuture,
    /// The resource had no plan then: not yet made, or deleted.
    NoPlan,
    /// The installation had no period then.
    NoPeriod,
}

impl Refusal {
    /// The code in answers; part of the contract.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DuplicateId => "duplicate_id",
            Self::InvalidId => "invalid_id",
            Self::UnknownResource => "unknown_resource",
            Self::UnknownMeter => "unknown_meter",
            Self::TooOld => "too_old",
            Self::InFuture => "in_future",
            Self::NoPlan => "no_plan",
            Self::NoPeriod => "no_period",
        }
    }
}

/// Why a whole batch cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeteringError {
    /// Too many readings.
    #[error("the batch has {count} readings, at most {READINGS_MAX} fit; split it before sending it first")]
    TooManyReadings {
        /// How many.
        count: usize,
    },
    /// Too many totals.
    #[error(
        "the batch touches {count} totals, at most {TOTALS_TOUCHED_MAX} fit; split it by resource before sending it first"
    )]
    TooManyTotals {
        /// How many.
        count: usize,
    },
    /// A sum does not fit twelve digits before the point.
    #[error("the sum of meter {meter:?} of resource {resource} does not fit twelve digits before the point")]
    Overflow {
        /// Of which resource.
        resource: ResourceId,
        /// Of which meter.
        meter: String,
    },
}

/// A reading that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The reading.
    pub reading: Reading,
    /// Where it counts. `key.closed` says that it is an adjustment.
    pub key: TotalKey,
    aggregation: Aggregation,
}

/// A reading that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The id of the reading.
    pub id: String,
    /// Why.
    pub reason: Refusal,
}

/// The outcome of [`assign`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// What counts, in the order of the batch.
    pub accepted: Vec<Accepted>,
    /// What does not.
    pub refused: Vec<Refused>,
}

impl Assigned {
    /// The totals to read before [`fold`]; at most [`TOTALS_TOUCHED_MAX`].
    pub fn keys(&self) -> BTreeSet<TotalKey> {
        self.accepted.iter().map(|accepted| accepted.key.clone()).collect()
    }
}

/// Gives every reading its total, or refuses it. `periods` are those that are open and those closed less than
/// [`READING_AGE_MAX`] ago; they do not overlap.
pub fn assign(
    readings: Vec<Reading>,
    now: Timestamp,
    periods: &[KnownPeriod],
    resources: &BTreeMap<ResourceId, MeteredResource<'_>>,
) -> Result<Assigned, MeteringError> {
    if readings.len() > READINGS_MAX {
        return Err(MeteringError::TooManyReadings { count: readings.len() });
    }
    let mut assigned = Assigned::default();
    let mut seen = BTreeSet::new();
    for reading in readings {
        let place = if seen.insert(reading.id.clone()) {
            place(&reading, now, periods, resources)
        } else {
            Err(Refusal::DuplicateId)
        };
        match place {
            Ok((key, aggregation)) => assigned.accepted.push(Accepted { reading, key, aggregation }),
            Err(reason) => assigned.refused.push(Refused { id: reading.id, reason }),
        }
    }
    let count = assigned.keys().len();
    if count > TOTALS_TOUCHED_MAX {
        return Err(MeteringError::TooManyTotals { count });
    }
    Ok(assigned)
}

fn place(
    reading: &Reading,
    now: Timestamp,
    periods: &[KnownPeriod],
    resources: &BTreeMap<ResourceId, MeteredResource<'_>>,
) -> Result<(TotalKey, Aggregation), Refusal> {
    if reading.id.is_empty() || reading.id.len() > READING_ID_BYTES_MAX {
        return Err(Refusal::InvalidId);
    }
    let resource = resources.get(&reading.resource_id).ok_or(Refusal::UnknownResource)?;
    let meter = resource.meters.iter().find(|meter| meter.id == reading.meter).ok_or(Refusal::UnknownMeter)?;
    let age = now.duration_since(reading.at);
    if age > READING_AGE_MAX {
        return Err(Refusal::TooOld);
    }
    if -age > READING_AHEAD_MAX {
        return Err(Refusal::InFuture);
    }
    let segment = resource.segments.iter().find(|segment| segment.contains(reading.at)).ok_or(Refusal::NoPlan)?;
    let known = periods.iter().find(|known| known.period.contains(reading.at)).ok_or(Refusal::NoPeriod)?;
    let key = TotalKey {
        period_start: known.period.start,
        resource: reading.resource_id.clone(),
        segment: segment.number,
        meter: meter.id.clone(),
        closed: known.closed,
    };
    Ok((key, meter.aggregation))
}

/// Adds the accepted readings to the totals that exist. The answer holds every total that was touched, as it
/// is to be written. A total keeps the aggregation it began with, should the catalog change meanwhile.
pub fn fold(
    assigned: &Assigned,
    existing: &BTreeMap<TotalKey, Aggregate>,
) -> Result<BTreeMap<TotalKey, Aggregate>, MeteringError> {
    let mut touched = BTreeMap::new();
    for Accepted { reading, key, aggregation } in &assigned.accepted {
        let total = touched
            .entry(key.clone())
            .or_insert_with(|| existing.get(key).cloned().unwrap_or_else(|| Aggregate::new(*aggregation)));
        total
            .add(&reading.id, reading.at, reading.quantity)
            .ok_or_else(|| MeteringError::Overflow { resource: key.resource.clone(), meter: key.meter.clone() })?;
    }
    Ok(touched)
}

/// The reading that a `last` figure is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Mark {
    at: Timestamp,
    reading: String,
}

/// A figure: a quantity, and for `last` which reading it is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Figure {
    #[serde(with = "text")]
    quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
}

impl Figure {
    /// Both together. `None` on overflow.
    fn merge(self, other: Self, aggregation: Aggregation) -> Option<Self> {
        Some(match aggregation {
            Aggregation::Sum => Self { quantity: self.quantity.checked_add(other.quantity)?, mark: None },
            Aggregation::Max => Self { quantity: self.quantity.max(other.quantity), mark: None },
            // A figure without a mark has seen no reading, and loses. The same mark twice can only be a reading
            // id used again in another batch: the greater quantity wins, so that order still does not matter.
            Aggregation::Last => {
                if (&self.mark, self.quantity) >= (&other.mark, other.quantity) {
                    self
                } else {
                    other
                }
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    start: Timestamp,
    figure: Figure,
}

/// The running total of one meter of one resource in one plan segment of one period, with its last two UTC
/// days. Quantities are written as texts: DynamoDB's numbers would lose digits, and `serde_dynamo` cannot
/// carry JSON's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    aggregation: Aggregation,
    period: Figure,
    /// Newest first, at most [`DAYS_KEPT`]. A day that fell out never comes back, as newer ones only come in.
    days: Vec<Day>,
}

impl Aggregate {
    /// Without readings.
    pub fn new(aggregation: Aggregation) -> Self {
        Self { aggregation, period: Figure::default(), days: Vec::new() }
    }

    /// How readings are put together.
    pub const fn aggregation(&self) -> Aggregation {
        self.aggregation
    }

    /// The figure of the period.
    pub const fn period_value(&self) -> Quantity {
        self.period.quantity
    }

    /// The figure of the UTC day of `at`. A day without readings is 0 for a sum; for a level (`max`, `last`) it
    /// is that of the latest day before it, as far as kept, since a level stays where it is until measured again.
    pub fn day_value(&self, at: Timestamp) -> Quantity {
        let start = period::start_of_usage_day(at);
        let day = match self.aggregation {
            Aggregation::Sum => self.days.iter().find(|day| day.start == start),
            Aggregation::Max | Aggregation::Last => self.days.iter().find(|day| day.start <= start),
        };
        day.map_or(Quantity::ZERO, |day| day.figure.quantity)
    }

    /// Adds a reading. `None`, and unchanged, if the sum overflows.
    pub fn add(&mut self, reading: &str, at: Timestamp, quantity: Quantity) -> Option<()> {
        let mark = (self.aggregation == Aggregation::Last).then(|| Mark { at, reading: reading.to_owned() });
        let figure = Figure { quantity, mark };
        let day = Day { start: period::start_of_usage_day(at), figure: figure.clone() };
        *self = self.merge(&Self { aggregation: self.aggregation, period: figure, days: vec![day] })?;
        Some(())
    }

    /// Two totals of one meter together, as of several segments of one plan. `None` on overflow.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        let period = self.period.clone().merge(other.period.clone(), self.aggregation)?;
        let mut by_start: BTreeMap<Timestamp, Figure> = BTreeMap::new();
        for day in self.days.iter().chain(&other.days) {
            let figure = match by_start.remove(&day.start) {
                Some(known) => known.merge(day.figure.clone(), self.aggregation)?,
                None => day.figure.clone(),
            };
            by_start.insert(day.start, figure);
        }
        let newest = by_start.into_iter().rev().take(DAYS_KEPT);
        let days = newest.map(|(start, figure)| Day { start, figure }).collect();
        Some(Self { aggregation: self.aggregation, period, days })
    }
}

/// A quantity as a text, for whatever is not `serde_json`: `#[serde(with = "metering::text")]`.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer};
    use tradepost_marketplace::money::Quantity;

    /// Writes `"1.5"`.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(quantity: &Quantity, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(quantity)
    }

    /// Reads a text; a number is refused, since its digits may be gone.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Quantity, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
