//! The referee: what the month must cost, from the readings and a price table of its own.
//!
//! It knows neither the catalog nor the provider's pricing: a wrong price, a lost reading or a rounding error over
//! there is a difference here. Integers only: billionths of quantities and of dollars, cents at the end.
//!
//! | plan | costs |
//! | --- | --- |
//! | team | 20.00 a month |
//! | scale | 5.00 a month; queries beyond 100,000 at 0.000025; storage beyond 5 GB of its peak at 0.75; egress from 10 GB on at 0.09, from 100 GB on at 0.07 |
//!
//! Fixed prices are per plan segment, prorated by milliseconds of the whole month to nine places; usage is per
//! resource and plan over all of the period. Each line is rounded half-even to cents, a bill is the sum of its lines.

use jiff::Timestamp;
use serde::Serialize;

use super::readings::{Meter, NANO, Reading, decimal};
use super::script::{RESOURCES, SCALE, TEAM};

/// A price per unit from some quantity on: `(from, to, price)`, in billionths; open at the end if none.
type Tier = (i128, Option<i128>, i128);

const FIXED_TEAM: i128 = 20 * NANO;
const FIXED_SCALE: i128 = 5 * NANO;
const QUERIES: [Tier; 1] = [(100_000 * NANO, None, 25_000)];
const STORAGE: [Tier; 1] = [(5 * NANO, None, 750_000_000)];
const EGRESS: [Tier; 2] = [(10 * NANO, Some(100 * NANO), 90_000_000), (100 * NANO, None, 70_000_000)];

/// A stretch of time in which a resource had one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Which of [`RESOURCES`].
    pub resource: usize,
    /// The plan.
    pub plan: &'static str,
    /// From this instant.
    pub start: Timestamp,
    /// Up to, not including, this one; open if none.
    pub end: Option<Timestamp>,
}

/// What is billed, `[start, end)`, and the regular month around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From.
    pub start: Timestamp,
    /// To.
    pub end: Timestamp,
    /// Where the period would have ended by itself.
    pub whole_end: Timestamp,
}

/// A line of a bill. Ordered, so that two bills can be compared as lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Which of [`RESOURCES`].
    pub resource: usize,
    /// Under which plan.
    pub plan: String,
    /// Billionths of a dollar for one.
    pub price: i128,
    /// Billionths of one.
    pub quantity: i128,
    /// In cents.
    pub total: i128,
}

impl Line {
    /// As a report shows it.
    pub fn shown(&self) -> ShownLine {
        ShownLine {
            plan: self.plan.clone(),
            price: decimal(self.price),
            quantity: decimal(self.quantity),
            resource: RESOURCES.get(self.resource).map_or("?", |spec| spec.name),
            total: money(self.total),
        }
    }
}

/// A line in a report.
#[derive(Debug, Clone, Serialize)]
pub struct ShownLine {
    /// The plan.
    pub plan: String,
    /// Dollars for one.
    pub price: String,
    /// How many.
    pub quantity: String,
    /// The resource's first name.
    pub resource: &'static str,
    /// In dollars.
    pub total: String,
}

/// Cents as dollars.
pub fn money(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// Divides, halves to even. Both are positive, or the dividend is zero.
pub(crate) fn rounded(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient % 2,
    }
}

fn line(resource: usize, plan: &str, price: i128, quantity: i128) -> Option<Line> {
    let total = rounded(price * quantity, NANO * NANO / 100);
    (price > 0 && quantity > 0).then(|| Line { resource, plan: plan.to_owned(), price, quantity, total })
}

/// The bill of a period, by the readings given; sorted.
pub fn bill(segments: &[Segment], readings: &[Reading], period: Period) -> Vec<Line> {
    let mut lines: Vec<Line> = segments.iter().filter_map(|segment| fixed(segment, period)).collect();
    for resource in 0..RESOURCES.len() {
        let is_metered = |segment: &&Segment| segment.resource == resource && segment.plan == SCALE;
        let metered: Vec<&Segment> = segments.iter().filter(is_metered).collect();
        let counts = |reading: &&Reading| {
            reading.resource == resource
                && reading.at >= period.start
                && reading.at < period.end
                && metered.iter().any(|segment| covers(segment, reading.at))
        };
        let measured: Vec<&Reading> = readings.iter().filter(counts).collect();
        for (meter, tiers) in [(Meter::Queries, &QUERIES[..]), (Meter::Storage, &STORAGE), (Meter::Egress, &EGRESS)] {
            let used = figure(meter, measured.iter().copied());
            lines.extend(tiers.iter().filter_map(|tier| usage(resource, tier, used)));
        }
    }
    lines.sort();
    lines
}

/// The sum of a bill, in cents.
pub fn total(lines: &[Line]) -> i128 {
    lines.iter().map(|line| line.total).sum()
}

/// What a meter shows over some readings.
pub fn figure<'a>(meter: Meter, readings: impl Iterator<Item = &'a Reading>) -> i128 {
    readings.filter(|reading| reading.meter == meter).fold(0, |figure, reading| meter.join(figure, reading.nano))
}

fn covers(segment: &Segment, at: Timestamp) -> bool {
    segment.start <= at && segment.end.is_none_or(|end| at < end)
}

fn fixed(segment: &Segment, period: Period) -> Option<Line> {
    let start = segment.start.max(period.start);
    let end = segment.end.map_or(period.end, |end| end.min(period.end));
    let length = end.as_millisecond() - start.as_millisecond();
    let whole = period.whole_end.as_millisecond() - period.start.as_millisecond();
    if length <= 0 {
        return None;
    }
    let price = if segment.plan == TEAM { FIXED_TEAM } else { FIXED_SCALE };
    line(segment.resource, segment.plan, price, rounded(i128::from(length) * NANO, i128::from(whole)))
}

fn usage(resource: usize, (from, to, price): &Tier, used: i128) -> Option<Line> {
    let up_to = to.map_or(used, |to| to.min(used));
    line(resource, SCALE, *price, up_to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn january() -> Period {
        let end = at("2027-02-01T00:00:00Z");
        Period { start: at("2027-01-01T00:00:00Z"), end, whole_end: end }
    }

    fn reading(meter: Meter, when: &str, nano: i128) -> Reading {
        Reading { id: when.to_owned(), resource: 0, meter, at: at(when), nano }
    }

    fn totals(lines: &[Line]) -> Vec<i128> {
        lines.iter().map(|line| line.total).collect()
    }

    #[test]
    fn a_bill_by_hand() {
        let segments = [
            Segment { resource: 0, plan: SCALE, start: at("2027-01-01T00:00:00Z"), end: None },
            Segment {
                resource: 2,
                plan: TEAM,
                start: at("2027-01-01T00:00:00Z"),
                end: Some(at("2027-01-11T00:00:00Z")),
            },
        ];
        let readings = [
            reading(Meter::Queries, "2027-01-02T00:00:00Z", 1_100_000 * NANO),
            reading(Meter::Storage, "2027-01-03T00:00:00Z", 7 * NANO),
            reading(Meter::Storage, "2027-01-04T00:00:00Z", 6 * NANO),
            reading(Meter::Egress, "2027-01-05T00:00:00Z", 150 * NANO),
            reading(Meter::Egress, "2027-02-01T00:00:00Z", 150 * NANO),
        ];
        let lines = bill(&segments, &readings, january());
        // 1,000,000 × 0.000025; 50 × 0.07; 90 × 0.09; 2 × 0.75; 5.00; 10/31 of 20.00.
        assert_eq!(totals(&lines), [2_500, 350, 810, 150, 500, 645]);
        assert_eq!(total(&lines), 4_955);
        assert_eq!(lines[5].quantity, 322_580_645);
    }

    #[test]
    fn usage_under_a_plan_without_usage_charges_is_free() {
        let change = "2027-01-16T12:20:00Z";
        let segments = [
            Segment { resource: 0, plan: TEAM, start: at("2027-01-01T00:00:00Z"), end: Some(at(change)) },
            Segment { resource: 0, plan: SCALE, start: at(change), end: None },
        ];
        let readings =
            [reading(Meter::Storage, "2027-01-16T12:19:59Z", 100 * NANO), reading(Meter::Storage, change, 6 * NANO)];
        let lines = bill(&segments, &readings, january());
        assert!(lines.iter().any(|line| line.price == 750_000_000 && line.quantity == NANO));
        let early = bill(&segments[..1], &readings[..1], january());
        assert_eq!(early.len(), 1);
    }

    #[test]
    fn halves_go_to_even() {
        assert_eq!([rounded(5, 10), rounded(15, 10), rounded(25, 10), rounded(26, 10)], [0, 2, 2, 3]);
        assert_eq!([money(-5), money(123_456)], ["-0.05", "1234.56"]);
    }
}
