//! Five-field cron expressions, in UTC, as Vercel's scheduler reads them.
//!
//! A field is `*`, a number, a range, a list, or any of these with a step. As everywhere in cron, when
//! both the day of the month and the day of the week are restricted, either may match.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// How many days ahead an occurrence is looked for; 29 February is the rarest.
const DAYS_AHEAD_MAX: u32 = 366 * 8 + 1;

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl Schedule {
    /// Reads an expression; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("{text:?} has {} fields, a schedule has five", fields.len()));
        };
        let weekday_bits = field(weekdays, 0, 7)?;
        Ok(Self {
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            // 7 is Sunday too.
            weekdays: (weekday_bits | (weekday_bits >> 7)) & 0x7f,
            any_day: days == "*",
            any_weekday: weekdays == "*",
        })
    }

    fn day_matches(&self, date: Date) -> bool {
        let bit = |bits: u64, value: i8| bits & (1 << value) != 0;
        let day = bit(self.days, date.day());
        let weekday = bit(self.weekdays, date.weekday().to_sunday_zero_offset());
        let either = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        bit(self.months, date.month()) && either
    }

    /// The first occurrence strictly after `after`.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let from = after.to_zoned(TimeZone::UTC).datetime();
        let mut date = from.date();
        for _ in 0..DAYS_AHEAD_MAX {
            if self.day_matches(date) {
                let first = if date == from.date() { Some((from.hour(), from.minute())) } else { None };
                if let Some(time) = self.time_after(first) {
                    return at(date.at(time.0, time.1, 0, 0));
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first hour and minute of a day, strictly after the given ones.
    fn time_after(&self, after: Option<(i8, i8)>) -> Option<(i8, i8)> {
        let hours = (0..24_i8).filter(|hour| self.hours & (1 << hour) != 0);
        let minutes = |hour| (0..60_i8).filter(|minute| self.minutes & (1 << minute) != 0).map(move |m| (hour, m));
        hours.flat_map(minutes).find(|time| after.is_none_or(|after| *time > after))
    }
}

fn at(civil: DateTime) -> Option<Timestamp> {
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The bits of one field.
fn field(text: &str, least: u32, most: u32) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a cron field between {least} and {most}");
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().map_err(|_| wrong())?),
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((low, high)) => (low.parse().map_err(|_| wrong())?, high.parse().map_err(|_| wrong())?),
            None => {
                let one = range.parse().map_err(|_| wrong())?;
                (one, if part.contains('/') { most } else { one })
            }
        };
        if step == 0 || low < least || high > most || low > high {
            return Err(wrong());
        }
        let mut value = low;
        while value <= high {
            bits |= 1_u64 << value;
            value += step;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        Schedule::parse(schedule).unwrap().next_after(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn occurrences_are_strictly_after() {
        for (schedule, after, expected) in [
            ("* * * * *", "2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z"),
            ("* * * * *", "2027-01-01T00:00:59.5Z", "2027-01-01T00:01:00Z"),
            ("5 * * * *", "2027-01-01T00:05:00Z", "2027-01-01T01:05:00Z"),
            ("*/15 3 * * *", "2027-01-01T03:40:00Z", "2027-01-01T03:45:00Z"),
            ("0 0 1 * *", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("0 0 29 2 *", "2027-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("30 8-10/2,12 * * 1-5", "2027-01-01T10:30:00Z", "2027-01-01T12:30:00Z"),
            ("0 12 * * 7", "2027-01-01T00:00:00Z", "2027-01-03T12:00:00Z"),
            ("0 0 13 * 5", "2027-01-02T00:00:00Z", "2027-01-08T00:00:00Z"),
        ] {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "a * * * *"] {
            assert!(Schedule::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Schedule::parse("0 0 31 2 *").unwrap().next_after(Timestamp::UNIX_EPOCH), None);
    }
}
