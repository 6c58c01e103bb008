//! Lines, usage, interim billing data and balances (spec A.13, A.17).

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::open_enum::{known, open_enum};
pub(super) use super::period::Period;
use super::period::PeriodError;
use super::time;
use crate::ids::{PlanId, ResourceId};
use crate::money::{Decimal, DecimalError, Money, Number, Price, Quantity, line_total};

/// A line that is billed, on an invoice or in interim data (spec A, `LineItem`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineItem {
    /// The plan it is billed under; active on the resource during the period (spec A.14, rule 2).
    pub billing_plan_id: PlanId,
    /// The resource; none means the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// Its own start, only where it differs from the period's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub start: Option<Timestamp>,
    /// Its own end, only where it differs from the period's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub end: Option<Timestamp>,
    /// What is billed.
    pub name: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The price of one unit, in US dollars.
    pub price: Decimal,
    /// How many units.
    pub quantity: Number,
    /// What a unit is.
    pub units: String,
    /// The amount, rounded to cents.
    pub total: Decimal,
}

impl LineItem {
    /// A line over the whole period whose total is [`line_total`]; `None` beyond the range of [`Money`].
    pub fn priced(
        billing_plan_id: PlanId,
        resource_id: Option<ResourceId>,
        name: impl Into<String>,
        price: Price,
        quantity: Quantity,
        units: impl Into<String>,
    ) -> Option<Self> {
        let total = Decimal::try_from(line_total(price, quantity)?).ok()?;
        let (price, quantity) = (price.into(), quantity.into());
        let (name, units) = (name.into(), units.into());
        Some(Self {
            billing_plan_id,
            resource_id,
            start: None,
            end: None,
            name,
            details: None,
            price,
            quantity,
            units,
            total,
        })
    }
}

/// What is taken off (spec A, `Discount`): the only way to bill less, as amounts have no sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discount {
    /// The plan it belongs to.
    pub billing_plan_id: PlanId,
    /// The resource; none means the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// Its own start, only where it differs from the period's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub start: Option<Timestamp>,
    /// Its own end, only where it differs from the period's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub end: Option<Timestamp>,
    /// Why.
    pub name: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// How much; a decimal has no sign.
    pub amount: Decimal,
}

open_enum! {
    /// How Vercel shows a meter (spec A.13).
    UsageKind {
        /// A level, such as the size of a database.
        Total = "total",
        /// An amount within the period, such as queries.
        Interval = "interval",
        /// Per second.
        Rate = "rate",
    }
}

/// One meter's running totals; never deltas (spec A.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The resource; none means the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// The meter's name, as shown.
    pub name: String,
    /// How it is shown.
    #[serde(rename = "type", serialize_with = "known")]
    pub kind: UsageKind,
    /// What a unit is.
    pub units: String,
    /// So far on the day that ends at `eod`.
    pub day_value: Number,
    /// So far in the period.
    pub period_value: Number,
    /// What the plan includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_value: Option<Number>,
}

/// The bill so far. Written as an object; a bare list of lines is read too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Billing {
    /// The lines.
    pub items: Vec<LineItem>,
    /// What is taken off.
    pub discounts: Vec<Discount>,
}

impl Billing {
    /// The lines less the discounts.
    pub fn total(&self) -> Result<Money, TotalError> {
        total(&self.items, &self.discounts)
    }
}

/// Why lines have no total.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotalError {
    /// An amount is finer than a cent, or beyond the range of [`Money`].
    #[error("the amount of {name:?} has at most two decimals (spec F, Totals): {error}")]
    Amount {
        /// The name of the line or discount.
        name: String,
        /// What is wrong with it.
        error: DecimalError,
    },
    /// The sum is beyond the range of [`Money`].
    #[error("the total is out of range")]
    OutOfRange,
}

/// Lines less discounts, exactly; may be negative.
pub fn total(items: &[LineItem], discounts: &[Discount]) -> Result<Money, TotalError> {
    let read = |name: &str, amount: &Decimal| {
        amount.money().map_err(|error| TotalError::Amount { name: name.to_owned(), error })
    };
    let lines = items.iter().map(|item| read(&item.name, &item.total));
    let less = discounts.iter().map(|discount| read(&discount.name, &discount.amount).map(|amount| -amount));
    lines.chain(less).try_fold(Money::ZERO, |sum, amount| sum.checked_add(amount?).ok_or(TotalError::OutOfRange))
}

#[derive(Serialize)]
struct BillingBody<'a> {
    items: &'a [LineItem],
    #[serde(skip_serializing_if = "<[Discount]>::is_empty")]
    discounts: &'a [Discount],
}

#[derive(Deserialize)]
struct ReadBilling {
    items: Vec<LineItem>,
    #[serde(default)]
    discounts: Option<Vec<Discount>>,
}

impl Serialize for Billing {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        BillingBody { items: &self.items, discounts: &self.discounts }.serialize(to)
    }
}

/// Looks at the raw JSON first: an untagged union would have lost the digits of the quantities.
impl<'de> Deserialize<'de> for Billing {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        if raw.get().starts_with('[') {
            let items = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
            return Ok(Self { items, discounts: Vec::new() });
        }
        let read: ReadBilling = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { items: read.items, discounts: read.discounts.unwrap_or_default() })
    }
}

/// Interim billing data (spec A.13): shown, never charged. Checked when it is made and when it is read; that `eod`
/// and the period's end are at most 24 h before Vercel's now is for Vercel to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedData")]
pub struct BillingData {
    #[serde(with = "time")]
    timestamp: Timestamp,
    #[serde(with = "time")]
    eod: Timestamp,
    period: Period,
    billing: Billing,
    usage: Vec<Usage>,
}

#[derive(Deserialize)]
struct UncheckedData {
    #[serde(with = "time")]
    timestamp: Timestamp,
    #[serde(with = "time")]
    eod: Timestamp,
    period: Period,
    billing: Billing,
    usage: Vec<Usage>,
}

impl TryFrom<UncheckedData> for BillingData {
    type Error = InvalidBillingData;
    fn try_from(read: UncheckedData) -> Result<Self, InvalidBillingData> {
        Self::new(read.timestamp, read.eod, read.period, read.billing, read.usage)
    }
}

/// Why interim data would be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBillingData {
    /// The period is empty.
    #[error(transparent)]
    EmptyPeriod(#[from] PeriodError),
    /// The end of the day is not in the period.
    #[error("eod lies within the period (spec A.13)")]
    EodOutsidePeriod,
}

impl BillingData {
    /// Checks and makes them. `timestamp` is the instant of which they are the truth, the latest wins; `eod` the end
    /// of the day that the `dayValue`s are of, within the period or at its end.
    pub fn new(
        timestamp: Timestamp,
        eod: Timestamp,
        period: Period,
        billing: Billing,
        usage: Vec<Usage>,
    ) -> Result<Self, InvalidBillingData> {
        period.check()?;
        if eod < period.start || eod > period.end {
            return Err(InvalidBillingData::EodOutsidePeriod);
        }
        Ok(Self { timestamp, eod, period, billing, usage })
    }

    /// The instant of which this is the truth.
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The end of the day that the `dayValue`s are of.
    pub const fn eod(&self) -> Timestamp {
        self.eod
    }

    /// The billing period.
    pub const fn period(&self) -> Period {
        self.period
    }

    /// The bill so far.
    pub const fn billing(&self) -> &Billing {
        &self.billing
    }

    /// The meters so far.
    pub fn usage(&self) -> &[Usage] {
        &self.usage
    }
}

/// A prepaid balance (spec A.17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// The resource; none means the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// What is left, in cents of a US dollar ([`Number::from_cents`]); Vercel buys more by it.
    pub currency_value_in_cents: Number,
    /// The same as shown, such as `2,000 Tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    /// What the credit is counted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_label: Option<String>,
}

/// Prepaid balances at an instant (spec A.17, B.14); the latest timestamp wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// The instant of which this is the truth.
    #[serde(with = "time")]
    pub timestamp: Timestamp,
    /// The balances.
    pub balances: Vec<Balance>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"timestamp":"2027-01-02T10:00:00.000Z","eod":"2027-01-02T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"billing":{"items":[{"billingPlanId":"metered","resourceId":"r1","name":"Queries","price":"0.000025","quantity":123456789012.123456789,"units":"queries","total":"3086419.73"}],"discounts":[{"billingPlanId":"metered","name":"Credit","amount":"1.00"}]},"usage":[{"resourceId":"r1","name":"Queries","type":"interval","units":"queries","dayValue":0.1,"periodValue":123456789012.123456789,"planValue":1000}]}"#;

    #[test]
    fn interim_data_keep_every_digit() {
        let read: BillingData = serde_json::from_str(DATA).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), DATA);
        assert_eq!(read.billing().total().unwrap().to_string(), "3086418.73");
        let line = &read.billing().items[0];
        let priced = LineItem::priced(
            line.billing_plan_id.clone(),
            line.resource_id.clone(),
            "Queries",
            line.price.price().unwrap(),
            line.quantity.quantity().unwrap(),
            "queries",
        );
        assert_eq!(priced.as_ref(), Some(line));
    }

    #[test]
    fn a_bare_list_of_lines_is_read_digit_for_digit() {
        let list = DATA.replace(r#""billing":{"items":"#, r#""billing":"#);
        let list = list.replace(r#","discounts":[{"billingPlanId":"metered","name":"Credit","amount":"1.00"}]}"#, "");
        let read: BillingData = serde_json::from_str(&list).unwrap();
        assert_eq!(read.billing().items[0].quantity.to_string(), "123456789012.123456789");
        assert!(read.billing().discounts.is_empty());
    }

    #[test]
    fn interim_data_that_vercel_would_refuse_cannot_be_made() {
        for (from, to, why) in [
            (r#""end":"2027-02-01T00"#, r#""end":"2027-01-01T00"#, "ends after it starts"),
            (r#""eod":"2027-01-02T23"#, r#""eod":"2026-12-31T23"#, "eod lies within the period (spec A.13)"),
            (r#""eod":"2027-01-02T23"#, r#""eod":"2027-02-02T23"#, "eod lies within the period (spec A.13)"),
        ] {
            assert!(DATA.contains(from));
            let error = serde_json::from_str::<BillingData>(&DATA.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let odd: BillingData = serde_json::from_str(&DATA.replace(r#""interval""#, r#""gauge""#)).unwrap();
        assert!(serde_json::to_string(&odd).is_err());
    }

    #[test]
    fn a_balance_is_a_whole_number_of_cents() {
        let json = r#"{"timestamp":"2027-01-02T10:00:00.000Z","balances":[{"currencyValueInCents":1234,"credit":"12","nameLabel":"Tokens"}]}"#;
        let read: Balances = serde_json::from_str(json).unwrap();
        assert_eq!(read.balances[0].currency_value_in_cents.cents(), Ok(Money::from_cents(1234)));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}
