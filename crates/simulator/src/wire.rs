//! What the provider may send: closed objects, decimals by pattern (spec A, "Shared enums/shapes").
//!
//! Deliberately not the models of `tradepost-marketplace`: the simulator is the referee, and a referee
//! that shares the player's reading of the rules sees nothing.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The most characters of a decimal.
pub(crate) const DECIMAL_CHARS_MAX: usize = 38;
/// The most items, discounts, usages, balances or secrets of one request.
pub(crate) const LIST_ITEMS_MAX: usize = 10_000;

/// Reads a closed JSON body; the refusal names the rule and the field.
pub(crate) fn read<'a, T: Deserialize<'a>>(rule: &str, body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("{rule}: {error}")))
}

/// `^[0-9]+(\.[0-9]+)?$`, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Decimal(String);

impl Decimal {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() > DECIMAL_CHARS_MAX || !digits(whole) || !digits(fraction) {
            let shown: String = text.chars().take(DECIMAL_CHARS_MAX).collect();
            return Err(format!("{shown:?} is not a decimal string ^[0-9]+(\\.[0-9]+)?$ (spec A, Decimal)"));
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
        Self::new(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// A JSON number, digit for digit.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Number(Box<RawValue>);

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
        let wrong = || format!("{text:?} is not an RFC 3339 date-time");
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
        Self::new(&String::deserialize(from)?).map_err(de::Error::custom)
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

/// `LineItem` of spec A.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LineItem {
    pub(crate) billing_plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Datetime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Datetime>,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
    pub(crate) price: Decimal,
    pub(crate) quantity: Number,
    pub(crate) units: String,
    pub(crate) total: Decimal,
}

/// `Discount` of spec A.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Discount {
    pub(crate) billing_plan_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Datetime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Datetime>,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
    pub(crate) amount: Decimal,
}

/// `Usage` of spec A.13.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Usage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: UsageType,
    pub(crate) units: String,
    pub(crate) day_value: Number,
    pub(crate) period_value: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan_value: Option<Number>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UsageType {
    Total,
    Interval,
    Rate,
}

/// `Balance` of spec A.17.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Balance {
    pub(crate) currency_value_in_cents: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name_label: Option<String>,
}

/// `Secret` of spec A, closed. Never stored: only digests are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) environment_overrides: Option<Overrides>,
}

/// Values of a secret that differ by environment.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) development: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) production: Option<String>,
}

/// `Notification` of spec A: the object form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    level: Level,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    href: Option<Href>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warn,
    Error,
}

/// `^https?://|^sso:`
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
struct Href(String);

impl<'de> Deserialize<'de> for Href {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let is_good = ["https://", "http://", "sso:"].iter().any(|scheme| text.starts_with(scheme));
        if is_good { Ok(Self(text)) } else { Err(de::Error::custom("href must match ^https?://|^sso: (spec A)")) }
    }
}

/// `Notification | string | null`: null clears, and so does the string branch, an artefact of null handling.
#[derive(Clone, Debug)]
pub(crate) struct NotificationChange(pub(crate) Option<Notification>);

impl<'de> Deserialize<'de> for NotificationChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        if raw.get() == "null" || raw.get().starts_with('"') {
            return Ok(Self(None));
        }
        serde_json::from_str(raw.get()).map(|it| Self(Some(it))).map_err(de::Error::custom)
    }
}

/// `VercelSidePlan` of spec A: open, but its known fields have types.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Plan(pub(crate) Map<String, Value>);

impl Plan {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.text("id")
    }

    pub(crate) fn effective(&self) -> Option<Timestamp> {
        self.text("effectiveDate").parse().ok()
    }

    fn check(map: &Map<String, Value>) -> Result<(), String> {
        let text = |key: &str| map.get(key).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
        for key in ["id", "type", "name"] {
            if !text(key) {
                return Err(format!("a billing plan needs a string `{key}`"));
            }
        }
        if !matches!(map.get("type").and_then(Value::as_str), Some("prepayment" | "subscription")) {
            return Err("a billing plan's `type` is prepayment or subscription".to_owned());
        }
        for (key, kind) in [("description", 's'), ("cost", 's'), ("effectiveDate", 's'), ("paymentMethodRequired", 'b')]
        {
            let is_good = match map.get(key) {
                None => true,
                Some(value) => {
                    if kind == 's' {
                        value.is_string()
                    } else {
                        value.is_boolean()
                    }
                }
            };
            if !is_good {
                return Err(format!("a billing plan's `{key}` has the wrong type"));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(from)?;
        Self::check(&map).map_err(de::Error::custom)?;
        Ok(Self(map))
    }
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
