//! What a period must cost, by a price table of the history's own: neither the catalog nor the provider's pricing is
//! asked. Integers only.
//!
//! | plan | costs |
//! | --- | --- |
//! | free | nothing |
//! | team | 20.00 a month |
//! | scale | 5.00 a month; queries beyond 100,000 at 0.000025; storage beyond 5 GB of its peak at 0.75; egress from 10 GB on at 0.09, from 100 GB on at 0.07 |
//!
//! Fixed prices are prorated by the milliseconds of the calendar month, to nine places. Usage counts per resource and
//! plan over all of the period. Each line is rounded half-even to cents.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::model::{Period, Reading, Segment};
use super::{SCALE, TEAM};
use crate::demo::readings::{Meter, NANO};
use crate::demo::referee::rounded;

/// `(from, to, price)` in billionths; open at the end if none.
type Tier = (i128, Option<i128>, i128);

const QUERIES: [Tier; 1] = [(100_000 * NANO, None, 25_000)];
const STORAGE: [Tier; 1] = [(5 * NANO, None, 750_000_000)];
const EGRESS: [Tier; 2] = [(10 * NANO, Some(100 * NANO), 90_000_000), (100 * NANO, None, 70_000_000)];

fn cents(price: i128, quantity: i128) -> i128 {
    rounded(price * quantity, NANO * NANO / 100)
}

/// The calendar month of an instant, in UTC, in milliseconds.
fn month_length(at: Timestamp) -> i128 {
    let days = at.to_zoned(TimeZone::UTC).date().days_in_month();
    i128::from(days) * 24 * 3_600_000
}

fn fixed(segment: &Segment, period: Period) -> i128 {
    let price = match segment.plan.as_str() {
        TEAM => 20 * NANO,
        SCALE => 5 * NANO,
        _ => return 0,
    };
    let start = segment.start.max(period.start);
    let end = segment.end.map_or(period.end, |end| end.min(period.end));
    let length = end.as_millisecond() - start.as_millisecond();
    if length <= 0 {
        return 0;
    }
    cents(price, rounded(i128::from(length) * NANO, month_length(period.start)))
}

/// What one resource costs in a period, in cents. The readings are all of this resource.
pub(super) fn bill(segments: &[Segment], readings: &[&Reading], period: Period) -> i128 {
    let mut total: i128 = segments.iter().map(|segment| fixed(segment, period)).sum();
    let is_metered = |at: Timestamp| segments.iter().any(|segment| segment.plan == SCALE && segment.contains(at));
    let counted = || readings.iter().filter(|reading| period.contains(reading.at) && is_metered(reading.at));
    for (meter, tiers) in [(Meter::Queries, &QUERIES[..]), (Meter::Storage, &STORAGE), (Meter::Egress, &EGRESS)] {
        let used = figure(meter, counted().copied());
        for (from, to, price) in tiers {
            let quantity = to.map_or(used, |to| to.min(used)) - from;
            total += if quantity > 0 { cents(*price, quantity) } else { 0 };
        }
    }
    total
}

/// What a meter shows over some readings.
pub(super) fn figure<'a>(meter: Meter, readings: impl Iterator<Item = &'a Reading>) -> i128 {
    readings.filter(|reading| reading.meter == meter).fold(0, |figure, reading| meter.join(figure, reading.nano))
}

/// The first instant of the next calendar month.
pub(super) fn month_end(at: Timestamp) -> Timestamp {
    let date = at.to_zoned(TimeZone::UTC).date().last_of_month();
    let midnight = date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    midnight.map_or(at, |midnight| midnight.saturating_add(SignedDuration::from_hours(24)).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_bill_by_hand() {
        let change = at("2027-01-11T00:00:00Z");
        let segments = [
            Segment { plan: TEAM.to_owned(), start: at("2027-01-01T00:00:00Z"), end: Some(change) },
            Segment { plan: SCALE.to_owned(), start: change, end: None },
        ];
        let reading = |meter, when: &str, units: i128| Reading {
            id: when.to_owned(),
            resource: String::new(),
            meter,
            at: at(when),
            nano: units * NANO,
            must_count: true,
        };
        let readings = [
            reading(Meter::Queries, "2027-01-10T00:00:00Z", 9_000_000),
            reading(Meter::Queries, "2027-01-12T00:00:00Z", 1_100_000),
            reading(Meter::Storage, "2027-01-12T00:00:00Z", 7),
            reading(Meter::Storage, "2027-01-13T00:00:00Z", 6),
            reading(Meter::Egress, "2027-01-13T00:00:00Z", 150),
        ];
        let readings: Vec<&Reading> = readings.iter().collect();
        let january = Period { start: at("2027-01-01T00:00:00Z"), end: at("2027-02-01T00:00:00Z") };
        // 10/31 of 20.00 and 21/31 of 5.00; 1,000,000 × 0.000025; 2 × 0.75; 90 × 0.09; 50 × 0.07.
        assert_eq!(bill(&segments, &readings, january), 645 + 339 + 2_500 + 150 + 810 + 350);
        assert_eq!(month_end(at("2027-01-31T23:59:59Z")), at("2027-02-01T00:00:00Z"));
    }
}
