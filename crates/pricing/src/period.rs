//! Billing periods and usage days: pure functions of a kind, an anchor and an instant.
//!
//! Used by installations (the first period), usage (which period a reading belongs to), billing (`eod`) and
//! invoices (when a period closes). Everything is `[start, end)` in UTC, in whole milliseconds, because that
//! is what crosses the wire. Nothing here fails: instants outside [`EARLIEST`] to [`LATEST`] count as the
//! nearest one inside.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::PlanId;
use tradepost_marketplace::wire::Period;
use tradepost_marketplace::wire::time::floor_to_millisecond;

/// The first instant that has a period: 1970-01-01.
pub const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;
/// The last one: 9000-01-01.
pub const LATEST: Timestamp = Timestamp::constant(221_845_392_000, 0);
/// How long after its end a period closes: readings that arrive until then are still in its invoice.
pub const CLOSE_DELAY: SignedDuration = SignedDuration::from_hours(6);

/// How far two clocks may be apart: those of two of our processes, ours and Vercel's. What is shorter may not have
/// happened by the other's.
pub const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(5);

const SECONDS_OF_HOUR: i64 = 3_600;
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// How the periods of an installation are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodKind {
    /// Calendar months in UTC.
    Month,
    /// From the instant of installing to the same day and time of the next month. A day the month does not
    /// have is its last one, and does not drift: 31 January, 28 February, 31 March.
    Anniversary,
}

/// A stretch of time in which a resource (or the installation) had one plan, `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Unique in its resource; part of the key of its totals.
    pub number: u32,
    /// The plan.
    pub plan: PlanId,
    /// From this instant.
    pub start: Timestamp,
    /// Up to, and not including, this one; open if none.
    pub end: Option<Timestamp>,
}

impl Segment {
    /// Whether it covers the instant.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

/// The regular periods of one installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    kind: PeriodKind,
    anchor: DateTime,
}

impl Schedule {
    /// The periods by kind; `anchor` is when the installation was made, and counts for anniversaries only.
    pub fn new(kind: PeriodKind, anchor: Timestamp) -> Self {
        let anchor = match kind {
            PeriodKind::Month => Date::constant(1970, 1, 1).to_datetime(jiff::civil::Time::midnight()),
            PeriodKind::Anniversary => civil(clamp(anchor)),
        };
        Self { kind, anchor }
    }

    /// How the periods are cut.
    pub const fn kind(&self) -> PeriodKind {
        self.kind
    }

    /// The regular period that contains `at`.
    pub fn containing(&self, at: Timestamp) -> Period {
        let at = clamp(at);
        let month = months_since_year_zero(civil(at).date());
        // The boundary of the month of `at` is either its period's start or its end.
        let boundary = self.boundary(month);
        if boundary <= at {
            Period { start: boundary, end: self.boundary(month + 1) }
        } else {
            Period { start: self.boundary(month - 1), end: boundary }
        }
    }

    /// The period after one that ends at `end`: up to the next regular boundary. After a regular period that
    /// is a regular one; after one that was closed early ([`cut`]) it is the rest.
    pub fn following(&self, end: Timestamp) -> Period {
        let end = floor_to_millisecond(end);
        Period { start: end, end: self.containing(end).end }
    }

    /// The boundary that lies in the given month.
    fn boundary(&self, month: i32) -> Timestamp {
        // In range: `at` is clamped to the years 1970 to 9000, a boundary is at most two months beyond.
        let year = i16::try_from(month.div_euclid(12)).unwrap_or(i16::MAX);
        let month = i8::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
        let first = Date::new(year, month, 1).unwrap_or(Date::MIN);
        let day = self.anchor.day().min(first.days_in_month());
        let date = Date::new(year, month, day).unwrap_or(first);
        Offset::UTC.to_timestamp(date.to_datetime(self.anchor.time())).unwrap_or(Timestamp::MAX)
    }
}

/// Ends `open` at `at`, for an invoice on demand or an uninstall. `None` if `at` is not inside, or if less
/// than a millisecond would be left: Vercel refuses an empty period (spec F).
pub fn cut(open: Period, at: Timestamp) -> Option<Period> {
    if !open.contains(at) {
        return None;
    }
    Period::new(open.start, floor_to_millisecond(at)).ok()
}

/// The start of the UTC day of `at`.
pub fn start_of_usage_day(at: Timestamp) -> Timestamp {
    let midnight = civil(clamp(at)).date().to_datetime(jiff::civil::Time::midnight());
    Offset::UTC.to_timestamp(midnight).unwrap_or(Timestamp::MIN)
}

/// The first instant after the UTC day of `at`.
pub fn end_of_usage_day(at: Timestamp) -> Timestamp {
    later(start_of_usage_day(at), SignedDuration::from_hours(24))
}

/// `eod` of a push at `at` (spec A.13): the last millisecond of the UTC day, or of the period if that ends
/// first. `at` must lie in the period, or `eod` would not.
pub fn eod(at: Timestamp, period: Period) -> Timestamp {
    earlier(end_of_usage_day(at).min(period.end), MILLISECOND)
}

/// When a period that ends at `end` closes.
pub fn close_at(end: Timestamp) -> Timestamp {
    later(end, CLOSE_DELAY)
}

/// The date of the invoice of a period: its last millisecond, since the date must be inside (spec A.14).
pub fn invoice_date(period: Period) -> Timestamp {
    earlier(period.end, MILLISECOND)
}

/// The common part of a period and `[start, end)`, if it is a millisecond or more.
pub(crate) fn overlap(period: Period, start: Timestamp, end: Option<Timestamp>) -> Option<Period> {
    let end = end.map_or(period.end, |end| end.min(period.end));
    Period::new(floor_to_millisecond(start.max(period.start)), floor_to_millisecond(end)).ok()
}

/// The length of a period in milliseconds.
pub(crate) fn milliseconds(period: Period) -> i64 {
    period.end.as_millisecond() - period.start.as_millisecond()
}

fn clamp(at: Timestamp) -> Timestamp {
    floor_to_millisecond(at).clamp(EARLIEST, LATEST)
}

fn civil(at: Timestamp) -> DateTime {
    Offset::UTC.to_datetime(at)
}

fn months_since_year_zero(date: Date) -> i32 {
    i32::from(date.year()) * 12 + i32::from(date.month()) - 1
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The start of the hour of an instant.
pub fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(SECONDS_OF_HOUR)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn period(start: &str, end: &str) -> Period {
        Period { start: at(start), end: at(end) }
    }

    #[test]
    fn months_are_calendar_months_in_utc_whatever_the_anchor() {
        let months = Schedule::new(PeriodKind::Month, at("2027-01-31T10:30:00Z"));
        let february = period("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        for inside in ["2028-02-01T00:00:00Z", "2028-02-29T23:59:59.999999999Z"] {
            assert_eq!(months.containing(at(inside)), february, "{inside}");
        }
        assert_eq!(months.containing(at("2028-01-31T23:59:59.999Z")).end, february.start);
        assert_eq!(months.following(february.end).end, at("2028-04-01T00:00:00Z"));
    }

    #[test]
    fn an_anniversary_on_the_31st_is_clamped_and_does_not_drift() {
        let schedule = Schedule::new(PeriodKind::Anniversary, at("2027-01-31T10:30:00.0004Z"));
        let mut open = schedule.containing(at("2027-01-31T10:30:00Z"));
        let mut ends = Vec::new();
        for _ in 0..13 {
            ends.push(open.end.to_string());
            open = schedule.following(open.end);
        }
        assert_eq!(
            &ends[..4],
            &["2027-02-28T10:30:00Z", "2027-03-31T10:30:00Z", "2027-04-30T10:30:00Z", "2027-05-31T10:30:00Z"]
        );
        assert_eq!(ends[12], "2028-02-29T10:30:00Z");
        assert_eq!(
            schedule.containing(at("2027-02-28T10:29:59.999Z")),
            period("2027-01-31T10:30:00Z", "2027-02-28T10:30:00Z")
        );
    }

    #[test]
    fn a_day_ends_before_midnight_or_with_its_period() {
        let month = period("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z");
        assert_eq!(eod(at("2027-01-05T00:00:00Z"), month), at("2027-01-05T23:59:59.999Z"));
        assert_eq!(eod(at("2027-01-31T23:59:59.9999Z"), month), at("2027-01-31T23:59:59.999Z"));
        let odd = period("2027-01-01T10:30:00Z", "2027-02-01T10:30:00Z");
        assert_eq!(eod(at("2027-02-01T03:00:00Z"), odd), at("2027-02-01T10:29:59.999Z"));
        assert_eq!(close_at(month.end), at("2027-02-01T06:00:00Z"));
        assert_eq!(invoice_date(month), at("2027-01-31T23:59:59.999Z"));
    }

    #[test]
    fn a_period_can_be_cut_but_never_to_nothing() {
        let month = period("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z");
        let early = cut(month, at("2027-01-09T08:00:00.0009Z")).unwrap();
        assert_eq!(early.end, at("2027-01-09T08:00:00Z"));
        let rest = Schedule::new(PeriodKind::Month, month.start).following(early.end);
        assert_eq!((rest.start, rest.end), (early.end, month.end));
        assert_eq!(cut(month, at("2027-01-01T00:00:00.0009Z")), None);
        assert_eq!(cut(month, month.end), None);
    }

    #[test]
    fn instants_at_the_ends_of_time_have_a_period_too() {
        for kind in [PeriodKind::Month, PeriodKind::Anniversary] {
            for instant in [Timestamp::MIN, Timestamp::MAX, EARLIEST, LATEST] {
                let found = Schedule::new(kind, Timestamp::MAX).containing(instant);
                assert!(found.check().is_ok() && found.contains(clamp(instant)), "{kind:?} {instant} {found}");
            }
        }
        assert_eq!(LATEST.to_string(), "9000-01-01T00:00:00Z");
    }

    const FIFTY_YEARS: i64 = 1_577_836_800_000;

    proptest! {
        #[test]
        fn periods_tile_time(anchor in 0..FIFTY_YEARS, instant in 0..FIFTY_YEARS, monthly: bool) {
            let kind = if monthly { PeriodKind::Month } else { PeriodKind::Anniversary };
            let [anchor, instant] = [anchor, instant].map(|ms| Timestamp::from_millisecond(ms).unwrap());
            let schedule = Schedule::new(kind, anchor);
            let found = schedule.containing(instant);
            prop_assert!(found.contains(instant));
            let days = milliseconds(found) / 86_400_000;
            prop_assert!((28..=31).contains(&days), "{found}");
            prop_assert_eq!(schedule.following(found.end), schedule.containing(found.end));
            prop_assert_eq!(schedule.containing(found.start), found);
            let last = found.end.checked_sub(SignedDuration::from_millis(1)).unwrap();
            prop_assert_eq!(schedule.containing(last), found);
            if kind == PeriodKind::Anniversary {
                prop_assert_eq!(schedule.containing(anchor).start, anchor);
            }
        }

        #[test]
        fn the_end_of_the_day_is_in_the_period(anchor in 0..FIFTY_YEARS, instant in 0..FIFTY_YEARS) {
            let [anchor, instant] = [anchor, instant].map(|ms| Timestamp::from_millisecond(ms).unwrap());
            let open = Schedule::new(PeriodKind::Anniversary, anchor).containing(instant);
            let eod = eod(instant, open);
            prop_assert!(open.contains(eod) && eod >= instant);
            prop_assert!(start_of_usage_day(eod) == start_of_usage_day(instant));
        }

        #[test]
        fn a_cut_and_its_rest_are_the_whole(instant in 0..FIFTY_YEARS) {
            let instant = Timestamp::from_millisecond(instant).unwrap();
            let schedule = Schedule::new(PeriodKind::Month, instant);
            let whole = schedule.containing(instant);
            if let Some(early) = cut(whole, instant) {
                let rest = schedule.following(early.end);
                prop_assert_eq!(milliseconds(early) + milliseconds(rest), milliseconds(whole));
            }
        }
    }
}
