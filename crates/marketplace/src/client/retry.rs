//! When to try again: pure values, no clock and no waiting.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

use super::error::ClientError;

/// What a lost answer means for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Repeating does no harm: the last write wins, or it only reads.
    Repeatable,
    /// Vercel knows repeats by an id of ours, an invoice's `externalId` or an item's `id`: a 409 to a repeat is
    /// [`ClientError::MaybeDuplicate`].
    ByExternalId,
    /// A write that may name the version it replaces: a 409 or 412 to a repeat is [`ClientError::MaybeDuplicate`],
    /// as the first try may be what changed it.
    Conditional,
    /// It removes: a 404 to a repeat says that what was to go is gone, [`super::Removal::AlreadyGone`].
    Removal,
    /// The last call of its token: a 401, 403, 404 or 409 to a repeat is [`ClientError::MaybeDuplicate`] (a 410 is
    /// [`ClientError::Gone`] whenever it comes).
    Last,
    /// Not repeated once it may have been carried out. What surely was not (no connection, 429) is.
    Never,
}

impl RetryClass {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Repeatable, Self::ByExternalId, Self::Conditional, Self::Removal, Self::Last, Self::Never];

    /// The class in words, as in the README's table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Repeatable => "repeatable",
            Self::ByExternalId => "by external id",
            Self::Conditional => "conditional",
            Self::Removal => "removal",
            Self::Last => "last",
            Self::Never => "never",
        }
    }

    /// Whether a try that may have been carried out is followed by another.
    pub const fn repeats_when_unsure(self) -> bool {
        !matches!(self, Self::Never)
    }

    /// Whether this status, answered to a repeat after a lost answer, may mean that the first one counted.
    pub const fn may_be_duplicate(self, status: u16) -> bool {
        match self {
            Self::ByExternalId => status == 409,
            Self::Conditional => matches!(status, 409 | 412),
            Self::Removal => status == 404,
            Self::Last => matches!(status, 401 | 403 | 404 | 409),
            Self::Repeatable | Self::Never => false,
        }
    }
}

/// What follows a failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Another try, after so long.
    Again(Duration),
    /// Nothing: this is what the caller hears.
    End(ClientError),
}

/// Decides what follows try number `made`, that failed with `error`; `unsure` says that an earlier one may have been
/// carried out. `draw` and `left` are as in [`RetrySchedule::delay`]; nothing is drawn where nothing is repeated.
///
/// The error at the end never claims less than what any try may have done: what surely was not carried out becomes
/// [`ClientError::NoAnswer`] after one that may have been, and a refusal of the repeat is
/// [`ClientError::MaybeDuplicate`] where [`RetryClass::may_be_duplicate`] says so.
pub fn next(
    schedule: &RetrySchedule,
    class: RetryClass,
    made: u32,
    unsure: bool,
    error: ClientError,
    draw: impl FnOnce() -> u64,
    left: Duration,
) -> Next {
    let repeats = error.is_retryable() && (class.repeats_when_unsure() || !error.maybe_done());
    let wait = repeats.then(|| schedule.delay(made, error.retry_after(), draw(), left)).flatten();
    match (wait, error) {
        (Some(wait), _) => Next::Again(wait),
        (None, ClientError::NotSent | ClientError::RateLimited { .. } | ClientError::Deadline) if unsure => {
            Next::End(ClientError::NoAnswer)
        }
        (None, ClientError::Rejected(refusal)) if unsure && class.may_be_duplicate(refusal.status) => {
            Next::End(ClientError::MaybeDuplicate(refusal))
        }
        (None, error) => Next::End(error),
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

/// How long a 429 asks to wait, at most [`ASKED_DELAY_MAX`] (spec G): what [`retry_after`] says, else the body's
/// `limit.reset`, else the header `X-RateLimit-Reset`, both in Unix seconds. (Vercel documents the body's; the headers
/// are known from copies of its pages only.) Instants are compared with the answer's own `date` header, so that clocks
/// need not agree; without one, with `now`.
pub fn asked_delay(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let reset = || {
        let header = || Timestamp::from_second(text_of(headers, "x-ratelimit-reset")?.parse().ok()?).ok();
        limit_reset(body).or_else(header).map(|at| until(headers, at, now))
    };
    retry_after(headers, now).or_else(reset).map(|asked| asked.min(ASKED_DELAY_MAX))
}

/// How long any answer asks to wait, at most [`ASKED_DELAY_MAX`]: `retry-after-ms`, else `retry-after` in seconds or as
/// an HTTP date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let milliseconds = || text_of(headers, "retry-after-ms")?.parse().ok().map(Duration::from_millis);
    let seconds = || text_of(headers, "retry-after")?.parse().ok().map(Duration::from_secs);
    let date = || text_of(headers, "retry-after").and_then(http_date).map(|at| until(headers, at, now));
    milliseconds().or_else(seconds).or_else(date).map(|asked| asked.min(ASKED_DELAY_MAX))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The time from the answer's own date to `at`; zero once that has passed.
fn until(headers: &HeaderMap, at: Timestamp, now: Timestamp) -> Duration {
    let theirs = text_of(headers, "date").and_then(http_date).unwrap_or(now);
    Duration::try_from(at.duration_since(theirs)).unwrap_or_default()
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
mod tests;
