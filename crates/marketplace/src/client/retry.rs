//! When to try again: pure values, no clock and no waiting.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

/// What a lost answer means for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// Repeating does no harm: the last write wins, or it only reads.
    Repeatable,
    /// Vercel drops repeats by `externalId`: a 409 to a repeat is [`super::ClientError::MaybeDuplicate`].
    ByExternalId,
    /// The last call of its token: a 401, 403, 404 or 409 to a repeat is
    /// [`super::ClientError::MaybeDuplicate`] (a 410 is [`super::ClientError::Gone`] whenever it comes).
    Last,
    /// Not repeated once it may have been carried out. What surely was not (no connection, 429) is.
    Never,
}

impl RetryClass {
    /// Whether a try that may have been carried out is followed by another.
    pub const fn repeats_when_unsure(self) -> bool {
        !matches!(self, Self::Never)
    }

    /// Whether this status, answered to a repeat after a lost answer, may mean that the first one counted.
    pub const fn may_be_duplicate(self, status: u16) -> bool {
        match self {
            Self::ByExternalId => status == 409,
            Self::Last => matches!(status, 401 | 403 | 404 | 409),
            Self::Repeatable | Self::Never => false,
        }
    }
}

/// How often and how long apart: exponential with full jitter, never shorter than Vercel asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The upper bound of the first delay; doubles with each try.
    pub base: Duration,
    /// The largest upper bound.
    pub cap: Duration,
    /// How many tries in all, the first included.
    pub tries: u32,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { base: Duration::from_millis(200), cap: Duration::from_secs(10), tries: 5 }
    }
}

impl RetrySchedule {
    /// One try, no repeats.
    pub const ONCE: Self = Self { base: Duration::ZERO, cap: Duration::ZERO, tries: 1 };

    /// The delay before the next try, or `None` to give up: no tries are left, or the delay would reach the
    /// deadline. `made` counts the tries made, `asked` is what Vercel asked for, `draw` is uniform over
    /// `u64`, `left` the time to the deadline.
    ///
    /// Without `asked` the delay is uniform in `[0, min(cap, base × 2^(made − 1))]`. With it, it is `asked` plus
    /// a draw of that same width, so that a herd turned away together does not come back together.
    pub fn delay(&self, made: u32, asked: Option<Duration>, draw: u64, left: Duration) -> Option<Duration> {
        if made >= self.tries {
            return None;
        }
        let jitter = scale(self.bound(made), draw);
        let delay = asked.unwrap_or_default().saturating_add(jitter);
        (delay < left).then_some(delay)
    }

    /// The largest jitter after so many tries.
    fn bound(&self, made: u32) -> Duration {
        let factor = 2_u32.saturating_pow(made.saturating_sub(1));
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// `bound × draw / 2^64`, in whole nanoseconds.
fn scale(bound: Duration, draw: u64) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    let scaled = (u128::from(nanos) * u128::from(draw)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// The longest wait that is believed.
pub const ASKED_DELAY_MAX: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct LimitBody {
    error: Option<LimitHolder>,
    limit: Option<Limit>,
}

#[derive(Deserialize)]
struct LimitHolder {
    limit: Option<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    reset: Option<i64>,
}

/// How long an answer asks to wait, at most [`ASKED_DELAY_MAX`] (spec G): `retry-after-ms`, else `retry-after` in
/// seconds or as an HTTP date, else the body's `limit.reset` in Unix seconds. Instants are compared with the
/// answer's own `date` header, so that clocks need not agree; without one, with `now`.
pub fn asked_delay(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let theirs = || header("date").and_then(http_date).unwrap_or(now);
    let until = |at: Timestamp| Duration::try_from(at.duration_since(theirs())).unwrap_or_default();

    let milliseconds = header("retry-after-ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let seconds = || header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let date = || header("retry-after").and_then(http_date).map(until);
    let reset = || limit_reset(body).map(until);
    let asked = milliseconds.or_else(seconds).or_else(date).or_else(reset)?;
    Some(asked.min(ASKED_DELAY_MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

fn limit_reset(body: &[u8]) -> Option<Timestamp> {
    let body: LimitBody = serde_json::from_slice(body).ok()?;
    let limit = body.error.and_then(|error| error.limit).or(body.limit)?;
    Timestamp::from_second(limit.reset?).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const LONG: Duration = Duration::from_secs(1_000);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_schedule_as_a_table() {
        let schedule = RetrySchedule { base: MS(200), cap: MS(1_000), tries: 5 };
        let half = 1_u64 << 63;
        for (made, asked, draw, left, delay) in [
            (1, None, half, LONG, Some(MS(100))),
            (2, None, half, LONG, Some(MS(200))),
            (3, None, half, LONG, Some(MS(400))),
            (4, None, half, LONG, Some(MS(500))), // capped
            (5, None, half, LONG, None),          // no tries left
            (6, None, half, LONG, None),
            (1, None, 0, LONG, Some(MS(0))),
            (1, Some(MS(3_000)), 0, LONG, Some(MS(3_000))),
            (1, Some(MS(3_000)), half, LONG, Some(MS(3_100))),
            (1, Some(MS(3_000)), half, MS(3_100), None), // would reach the deadline
            (1, Some(MS(3_000)), half, MS(3_101), Some(MS(3_100))),
            (1, None, 0, MS(0), None),
        ] {
            assert_eq!(schedule.delay(made, asked, draw, left), delay, "{made} {asked:?} {draw} {left:?}");
        }
        assert_eq!(RetrySchedule::ONCE.delay(1, None, 0, LONG), None);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(made in 0_u32..200, asked in 0_u64..100_000, draw: u64, left in 0_u64..200_000) {
            let schedule = RetrySchedule { tries: 150, ..RetrySchedule::default() };
            let delay = schedule.delay(made, Some(MS(asked)), draw, MS(left));
            prop_assert!(made < 150 || delay.is_none());
            if let Some(delay) = delay {
                prop_assert!(delay >= MS(asked) && delay < MS(left) && delay <= MS(asked) + schedule.cap);
            }
        }
    }

    #[test]
    fn what_vercel_asks_for_is_understood_in_every_form() {
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let second = now.as_second();
        let date = "Fri, 01 Jan 2027 00:00:07 GMT";
        let reset = |at: i64| format!(r#"{{"error":{{"code":"rate_limited","limit":{{"total":1,"reset":{at}}}}}}}"#);
        let beside = format!(r#"{{"error":{{"code":"rate_limited"}},"limit":{{"reset":{}}}}}"#, second + 4);
        for (headers, body, asked) in [
            (vec![("retry-after-ms", "1500"), ("retry-after", "9")], "", Some(MS(1_500))),
            (vec![("retry-after", "9")], "", Some(MS(9_000))),
            (vec![("retry-after", "0")], "", Some(MS(0))),
            (vec![("retry-after", date)], "", Some(MS(7_000))),
            (vec![("retry-after", date), ("date", "Fri, 01 Jan 2027 00:00:05 GMT")], "", Some(MS(2_000))),
            (vec![("retry-after", date), ("date", "Fri, 01 Jan 2027 00:01:00 GMT")], "", Some(MS(0))),
            (vec![("retry-after", "soon")], "", None),
            (vec![("retry-after", "-1")], "", None),
            (vec![("retry-after", "99999999")], "", Some(ASKED_DELAY_MAX)),
            (vec![], &reset(second + 3), Some(MS(3_000))),
            (vec![], &beside, Some(MS(4_000))),
            (vec![("date", "Fri, 01 Jan 2027 00:00:02 GMT")], &reset(second + 3), Some(MS(1_000))),
            (vec![], &reset(i64::MAX), None),
            (vec![], "not json", None),
            (vec![], "", None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(asked_delay(&map, body.as_bytes(), now), asked, "{headers:?} {body}");
        }
    }
}
