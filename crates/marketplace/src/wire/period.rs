//! Periods of billing (spec F).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time;

/// A stretch of time, `[start, end)`.
///
/// [`Period::new`] refuses an empty one, as Vercel does in practice (spec F); reading accepts any, so that
/// an odd answer of Vercel's stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Period {
    /// The first instant.
    #[serde(with = "time")]
    pub start: Timestamp,
    /// The first instant after it.
    #[serde(with = "time")]
    pub end: Timestamp,
}

/// The period is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a period ends after it starts, by a millisecond at least (spec F)")]
pub struct PeriodError;

impl Period {
    /// A period that is not empty once it is written in milliseconds.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, PeriodError> {
        let period = Self { start, end };
        period.check()?;
        Ok(period)
    }

    /// Refuses an empty period.
    pub fn check(&self) -> Result<(), PeriodError> {
        let [start, end] = [self.start, self.end].map(time::floor_to_millisecond);
        if start < end { Ok(()) } else { Err(PeriodError) }
    }

    /// Whether the instant lies in `[start, end)`.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", time::text(self.start), time::text(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_not_empty() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let start = at("2027-01-01T00:00:00Z");
        assert_eq!(Period::new(start, start), Err(PeriodError));
        assert_eq!(Period::new(start, at("2027-01-01T00:00:00.0009Z")), Err(PeriodError));
        let period = Period::new(start, at("2027-02-01T00:00:00Z")).unwrap();
        assert!(period.contains(start) && !period.contains(period.end));
        assert!(
            serde_json::from_str::<Period>(r#"{"start":"2027-01-01T00:00:00Z","end":"2027-01-01T00:00:00Z"}"#).is_ok()
        );
    }
}
