//! Secrets rotation (spec B.10).

use std::time::Duration;

use http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::Number;
use crate::wire::secret::{Exposed, Secret};

/// The longest delay before old secrets expire, in hours (spec B.10).
pub const ROTATION_DELAY_HOURS_MAX: u32 = 720;

/// Request Secrets Rotation (spec B.10). The body may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateSecrets {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the old secrets must go on working, in hours; fractions are allowed. Take [`RotateSecrets::delay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_old_secrets_expiration_hours: Option<Number>,
}

/// Why a delay is refused (spec B.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDelay {
    /// Below zero.
    #[error("delayOldSecretsExpirationHours is not negative (spec B.10)")]
    Negative,
    /// Above [`ROTATION_DELAY_HOURS_MAX`].
    #[error("delayOldSecretsExpirationHours is at most {ROTATION_DELAY_HOURS_MAX} (spec B.10)")]
    TooLong,
}

impl RotateSecrets {
    /// How long the old secrets must go on working, if Vercel says so. A third of an hour is no decimal: what is
    /// finer than a billionth of an hour is rounded up, so that no secret dies early.
    pub fn delay(&self) -> Result<Option<Duration>, InvalidDelay> {
        let Some(hours) = &self.delay_old_secrets_expiration_hours else { return Ok(None) };
        let nano = nano_hours(hours.as_str())?;
        // An hour is 3,600 seconds: billionths of an hour × 3,600 are nanoseconds, below 2^52.
        Ok(Some(Duration::from_nanos(nano * 3_600)))
    }
}

/// Billionths of an hour, rounded up, of a JSON number.
fn nano_hours(number: &str) -> Result<u64, InvalidDelay> {
    const WHOLE_DIGITS: i64 = 3;
    const FRACTION_DIGITS: i64 = 9;
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    if mantissa.starts_with('-') {
        return Err(InvalidDelay::Negative);
    }
    let zeros = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let whole_digits = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_sub(zeros);
    // An exponent beyond i64 is beyond everything, in its direction.
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let point = exponent.saturating_add(whole_digits);
    if point > WHOLE_DIGITS {
        return Err(InvalidDelay::TooLong);
    }
    // At most twelve digits are kept.
    let Ok(kept) = usize::try_from(point.saturating_add(FRACTION_DIGITS)) else { return Ok(1) };
    let cut = significant.as_bytes().iter().skip(kept).any(|digit| *digit != b'0');
    let padded = significant.bytes().chain(std::iter::repeat(b'0')).take(kept);
    let nano = padded.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0')) + u64::from(cut);
    let nano_max = u64::from(ROTATION_DELAY_HOURS_MAX) * 1_000_000_000;
    if nano > nano_max { Err(InvalidDelay::TooLong) } else { Ok(nano) }
}

/// The answer to B.10. `Serialize` leaves the secrets out; [`Exposed`] writes them.
#[derive(Debug, Clone)]
pub enum RotationAnswer {
    /// `"sync":true`: here they are.
    Now {
        /// The new secrets.
        secrets: Vec<Secret>,
        /// Whether they are only some of the set; unsaid means all.
        partial: Option<bool>,
    },
    /// `"sync":false`: they will come by Update Resource Secrets (A.18).
    Later,
}

impl RotationAnswer {
    /// The status that goes with it.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Now { .. } => StatusCode::OK,
            Self::Later => StatusCode::ACCEPTED,
        }
    }
}

#[derive(Serialize)]
struct WriteAnswer<'a> {
    sync: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Exposed<'a, Vec<Secret>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
}

#[derive(Deserialize)]
struct ReadAnswer {
    sync: bool,
    #[serde(default)]
    secrets: Option<Vec<Secret>>,
    #[serde(default)]
    partial: Option<bool>,
}

fn write<S: Serializer>(answer: &RotationAnswer, is_exposed: bool, to: S) -> Result<S::Ok, S::Error> {
    match answer {
        RotationAnswer::Now { secrets, partial } => {
            let secrets = is_exposed.then_some(Exposed(secrets));
            WriteAnswer { sync: true, secrets, partial: *partial }
        }
        RotationAnswer::Later => WriteAnswer { sync: false, secrets: None, partial: None },
    }
    .serialize(to)
}

impl Serialize for RotationAnswer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        write(self, false, to)
    }
}

impl Serialize for Exposed<'_, RotationAnswer> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        write(self.0, true, to)
    }
}

impl<'de> Deserialize<'de> for RotationAnswer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let ReadAnswer { sync, secrets, partial } = ReadAnswer::deserialize(from)?;
        match (sync, secrets) {
            (true, Some(secrets)) => Ok(Self::Now { secrets, partial }),
            (true, None) => Err(D::Error::missing_field("secrets")),
            (false, _) => Ok(Self::Later),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_says_how_long_the_old_secrets_work() {
        let delay = |hours: &str| {
            let body = format!(r#"{{"reason":"leak","delayOldSecretsExpirationHours":{hours}}}"#);
            let read: RotateSecrets = serde_json::from_str(&body).unwrap();
            assert!(hours == "null" || serde_json::to_string(&read).unwrap() == body, "{hours}");
            read.delay()
        };
        for (hours, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("0.0e9", 0),
            ("0.5", 1_800_000_000_000),
            ("1", 3_600_000_000_000),
            ("7.2e2", 2_592_000_000_000_000),
            ("720.000", 2_592_000_000_000_000),
            ("0.000072E7", 2_592_000_000_000_000),
            ("7200000e-4", 2_592_000_000_000_000),
            // 20 minutes as JavaScript writes them, rounded up.
            ("0.3333333333333333", 1_200_000_002_400),
            ("1e-9", 3_600),
            ("1.000000000001e-9", 7_200),
            ("1e-99999999999999999999", 3_600),
        ] {
            assert_eq!(delay(hours), Ok(Some(Duration::from_nanos(nanos))), "{hours}");
        }
        for (hours, why) in [
            ("720.000000001", InvalidDelay::TooLong),
            ("720.0000000000000000001", InvalidDelay::TooLong),
            ("1000", InvalidDelay::TooLong),
            ("1e99999999999999999999", InvalidDelay::TooLong),
            ("-1", InvalidDelay::Negative),
            ("-1e-30", InvalidDelay::Negative),
        ] {
            assert_eq!(delay(hours), Err(why), "{hours}");
        }
        assert_eq!(delay("null"), Ok(None));
        assert_eq!(RotateSecrets::default().delay(), Ok(None));
    }

    #[test]
    fn the_answer_is_one_of_two_and_shows_its_secrets_only_when_told_to() {
        assert_eq!(serde_json::to_string(&RotationAnswer::Later).unwrap(), r#"{"sync":false}"#);
        assert_eq!(RotationAnswer::Later.status(), StatusCode::ACCEPTED);
        for sync in [
            r#"{"sync":true,"secrets":[{"name":"KEY","value":"v4lue"}],"partial":false}"#,
            r#"{"sync":true,"secrets":[]}"#,
        ] {
            let answer: RotationAnswer = serde_json::from_str(sync).unwrap();
            assert_eq!(serde_json::to_string(&Exposed(&answer)).unwrap(), sync);
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(!serde_json::to_string(&answer).unwrap().contains("secrets"));
            assert!(!format!("{answer:?}").contains("v4lue"));
        }
        let later: RotationAnswer = serde_json::from_str(r#"{"sync":false,"more":1}"#).unwrap();
        assert!(matches!(later, RotationAnswer::Later));
        for bad in [r#"{"sync":true}"#, r#"{"sync":true,"secrets":null}"#, r#"{"secrets":[]}"#, "{}"] {
            assert!(serde_json::from_str::<RotationAnswer>(bad).is_err(), "{bad}");
        }
    }
}
