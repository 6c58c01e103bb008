//! What the provider may send: closed objects, decimals by pattern (spec A, "Shared enums/shapes").
//!
//! Deliberately not the models of `tradepost-marketplace`: the simulator is the referee, and a referee
//! that shares the player's reading of the rules sees nothing.

mod billing;
mod open;
mod shown;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use crate::json::stray_null;
use crate::refusal::Refusal;
use crate::rules::{DATETIME, DECIMAL, LIMIT_LIST, Rule};

pub(crate) use billing::{Balance, Discount, LineItem, Usage};
pub(crate) use open::{Experimentation, Open, Plan, ProtocolSettings};
pub(crate) use shown::{Href, Notification, NotificationChange, Secret, SecretsBody, secrets_change};

/// How much of a text that is wrong a refusal repeats.
const SHOWN_CHARS_MAX: usize = 40;
/// The most items, discounts, usages, balances or secrets of one request.
pub(crate) const LIST_ITEMS_MAX: usize = 10_000;

/// Fields that are open objects, or in which null means something (A.1, A.11, A.22).
const NULL_MAY_BE: &[&str] = &["billingPlan", "data", "extras", "metadata", "notification"];

/// Reads a closed JSON body. The refusal names the field, and the rule: `rule`, or that of the part that
/// is wrong, such as a decimal.
pub(crate) fn read<'a, T: Deserialize<'a>>(rule: Rule, body: &'a [u8]) -> Result<T, Refusal> {
    let refuse = |error: serde_json::Error| {
        let text = error.to_string();
        match Rule::named_in(&text) {
            Some(part) => Refusal::by(part, text),
            None => rule.because(text),
        }
    };
    let raw: &RawValue = serde_json::from_slice(body).map_err(refuse)?;
    if let Some(path) = stray_null(raw, NULL_MAY_BE, 0).map_err(refuse)? {
        return Err(rule.because(format!("`{path}` is null; what is absent is left out")));
    }
    serde_json::from_str(raw.get()).map_err(refuse)
}

/// Refuses a list that is too long.
pub(crate) fn bounded<T>(name: &str, list: &[T]) -> Result<(), Refusal> {
    if list.len() > LIST_ITEMS_MAX { Err(LIMIT_LIST.because(format!("`{name}` has {}", list.len()))) } else { Ok(()) }
}

/// An error of serde's that [`read`] tells from a wrong shape.
fn part<E: de::Error>(rule: Rule, what: impl fmt::Display) -> E {
    E::custom(format!("{}: {what}", rule.id))
}

/// `^[0-9]+(\.[0-9]+)?$`, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Decimal(String);

impl Decimal {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            return Err(format!("{shown:?} does not"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The amount in cents; `None` if it has a fraction of a cent or is beyond 10^18 cents.
    pub(crate) fn cents(&self) -> Option<i128> {
        let (whole, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return None;
        }
        let cents: i128 = format!("{whole}{fraction:0<2}").parse().ok()?;
        (cents <= 10_i128.pow(18)).then_some(cents)
    }

    pub(crate) fn from_cents(cents: i128) -> Self {
        Self(format!("{}.{:02}", cents / 100, cents % 100))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(|why| part(DECIMAL, why))
    }
}

/// A JSON number, digit for digit.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Number(Box<RawValue>);

impl Number {
    /// The number rounded down; `None` if it is written with an exponent or beyond 18 digits.
    pub(crate) fn floor(&self) -> Option<i64> {
        let (whole, fraction) = self.0.get().split_once('.').unwrap_or((self.0.get(), ""));
        let is_short = whole.len() <= 19 && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let below = i64::from(whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0'));
        let whole: i64 = whole.parse().ok().filter(|_| is_short)?;
        whole.checked_sub(below)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let is_number = raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if is_number { Ok(Self(raw)) } else { Err(de::Error::custom(format!("{} is not a number", raw.get()))) }
    }
}

/// RFC 3339 with a zone, as `format: date-time` asks; jiff alone is more lenient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Datetime(pub(crate) Timestamp);

impl Datetime {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is none");
        let shape = |(n, byte): (usize, u8)| match n {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        };
        let zone = text.ends_with('Z') || text.len() > 24 && text.is_char_boundary(text.len() - 6);
        let head_is_good = text.len() >= 20 && text.len() <= 40 && text.bytes().take(19).enumerate().all(shape);
        if !head_is_good || !zone || text.contains('[') {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Datetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Datetime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(|why| part(DATETIME, why))
    }
}

/// `Status` of spec A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ready,
    Pending,
    Onboarding,
    Suspended,
    Resumed,
    Uninstalled,
    Error,
}

/// `Period` of spec A, closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Period {
    pub(crate) start: Datetime,
    pub(crate) end: Datetime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_what_the_pattern_says() {
        for good in ["0", "007", "3.09", "0.000025", "12345678901234567890.1"] {
            assert!(Decimal::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-1", "+1", "1e3", ".5", "5.", "1,000", " 1", "1 ", "1.2.3", "½"] {
            assert!(Decimal::new(bad).is_err(), "{bad:?}");
        }
        let cents = |text: &str| Decimal::new(text).unwrap().cents();
        assert_eq!(
            [cents("3.09"), cents("3.9"), cents("3"), cents("3.0900")],
            [Some(309), Some(390), Some(300), Some(309)]
        );
        assert_eq!([cents("0.005"), cents("99999999999999999999")], [None, None]);
        assert_eq!(Decimal::from_cents(5), Decimal::new("0.05").unwrap());
    }

    #[test]
    fn a_number_is_rounded_down_and_never_a_float() {
        let floor = |text: &str| serde_json::from_str::<Number>(text).unwrap().floor();
        assert_eq!(
            [floor("1500"), floor("1500.99"), floor("-0"), floor("0.0")],
            [Some(1500), Some(1500), Some(0), Some(0)]
        );
        assert_eq!([floor("-1.5"), floor("-1.0"), floor("1e3"), floor("1.5e3")], [Some(-2), Some(-1), None, None]);
        assert_eq!([floor("9223372036854775807"), floor("9223372036854775808")], [Some(i64::MAX), None]);
    }

    #[test]
    fn a_refusal_names_the_part_that_is_wrong_or_the_operation() {
        let item = |quantity: &str, total: &str| {
            let text = format!(
                r#"{{"billingPlanId":"p","name":"n","price":"1","quantity":{quantity},"units":"u","total":{total}}}"#
            );
            read::<LineItem>(crate::rules::A14_BODY, text.as_bytes()).map(|_| ()).map_err(|refusal| refusal.message)
        };
        assert_eq!(item("1", "\"1\""), Ok(()));
        for (quantity, total, begins) in [
            ("1", "\"1,0\"", DECIMAL.id),
            ("1", "1", crate::rules::A14_BODY.id),
            ("\"1\"", "\"1\"", crate::rules::A14_BODY.id),
            ("null", "\"1\"", "spec A.14: the body is not as documented: `quantity` is null"),
        ] {
            let message = item(quantity, total).unwrap_err();
            assert!(message.starts_with(begins), "{message}");
        }
        let long = format!("0.{}", "1".repeat(5_000));
        assert_eq!(serde_json::to_string(&Decimal::new(&long).unwrap()).unwrap(), format!("\"{long}\""));
    }

    #[test]
    fn a_datetime_is_rfc_3339() {
        for good in ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.123Z", "2027-01-01T00:00:00+02:00"] {
            assert!(Datetime::new(good).is_ok(), "{good}");
        }
        for bad in [
            "2027-01-01",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00Z",
            "2027-13-01T00:00:00Z",
            "x",
        ] {
            assert!(Datetime::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_are_closed() {
        let item = r#"{"billingPlanId":"p","name":"n","price":"1","quantity":1.50,"units":"u","total":"1"}"#;
        let read: LineItem = serde_json::from_str(item).unwrap();
        assert!(serde_json::to_string(&read).unwrap().contains("\"quantity\":1.50,"));
        for (from, to) in [("\"units\"", "\"unit\":1,\"units\""), ("1.50", "\"1.5\""), ("\"1\"", "1")] {
            assert!(serde_json::from_str::<LineItem>(&item.replace(from, to)).is_err(), "{to}");
        }
        assert!(serde_json::from_str::<Notification>(r#"{"level":"warning","title":"t"}"#).is_err());
        assert!(serde_json::from_str::<Notification>(r#"{"level":"warn","title":"t","href":"ftp://x"}"#).is_err());
        assert!(serde_json::from_str::<Plan>(r#"{"id":"p","type":"free","name":"n"}"#).is_err());
        assert!(serde_json::from_str::<Plan>(r#"{"id":"p","type":"subscription","name":"n","x":1}"#).is_ok());
    }
}
