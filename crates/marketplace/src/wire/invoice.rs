//! Invoices to submit (spec A.14).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::billing::{Discount, LineItem, TotalError, total};
use super::period::Period;
use super::time;
use crate::ids::{ExternalInvoiceId, InvoiceId};
use crate::money::Money;

/// Invoices below this are accepted and not sent to the customer (spec A.14).
pub const INVOICE_MIN: Money = Money::from_cents(50);

/// An invoice to submit. What can be checked without knowing the installation is checked when it is made
/// and when it is read. Carries no tax: Vercel adds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct InvoiceRequest {
    external_id: ExternalInvoiceId,
    #[serde(with = "time")]
    invoice_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    period: Period,
    items: Vec<LineItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<Discount>,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    is_final: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<TestInvoice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unchecked {
    external_id: ExternalInvoiceId,
    #[serde(with = "time")]
    invoice_date: Timestamp,
    memo: Option<String>,
    period: Period,
    items: Vec<LineItem>,
    discounts: Option<Vec<Discount>>,
    #[serde(rename = "final")]
    is_final: Option<bool>,
    test: Option<TestInvoice>,
}

impl TryFrom<Unchecked> for InvoiceRequest {
    type Error = InvalidInvoice;
    fn try_from(read: Unchecked) -> Result<Self, InvalidInvoice> {
        let discounts = read.discounts.unwrap_or_default();
        let request = Self::new(read.external_id, read.period, read.invoice_date, read.items, discounts)?;
        Ok(Self { memo: read.memo, is_final: read.is_final, test: read.test, ..request })
    }
}

/// Test mode (spec F): nothing is charged or shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestInvoice {
    /// Whether Vercel validates it in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<bool>,
    /// How its payment is to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TestResult>,
}

/// How the payment of a test invoice ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestResult {
    /// It is paid.
    Paid,
    /// A try to collect it fails.
    NotPaid,
    /// It is never paid.
    Overdue,
}

/// Why an invoice would be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInvoice {
    /// The period is empty.
    #[error("the period is empty (spec F)")]
    EmptyPeriod,
    /// The invoice's date is not in its period.
    #[error("the invoice date is outside the period (spec A.14)")]
    DateOutsidePeriod,
    /// There is nothing on it.
    #[error("an invoice has at least one line")]
    NoItems,
    /// A line's or discount's own time is empty.
    #[error("{name:?} ends before it starts")]
    EmptyLine {
        /// Its name.
        name: String,
    },
    /// The discounts are larger than the lines.
    #[error("the discounts exceed the lines by {excess}: an invoice is never negative (spec F)")]
    Negative {
        /// By how much.
        excess: Money,
    },
    /// An amount has more than two decimals, or the sum is beyond the range of [`Money`].
    #[error(transparent)]
    Total(#[from] TotalError),
}

impl InvoiceRequest {
    /// Checks and makes a request; `invoice_date` lies in the period, `[start, end)`.
    pub fn new(
        external_id: ExternalInvoiceId,
        period: Period,
        invoice_date: Timestamp,
        items: Vec<LineItem>,
        discounts: Vec<Discount>,
    ) -> Result<Self, InvalidInvoice> {
        period.check().map_err(|_| InvalidInvoice::EmptyPeriod)?;
        if !period.contains(invoice_date) {
            return Err(InvalidInvoice::DateOutsidePeriod);
        }
        if items.is_empty() {
            return Err(InvalidInvoice::NoItems);
        }
        let spans = items.iter().map(|item| (&item.name, item.start, item.end));
        let mut spans = spans.chain(discounts.iter().map(|less| (&less.name, less.start, less.end)));
        if let Some((name, ..)) = spans.find(|(_, start, end)| matches!((start, end), (Some(s), Some(e)) if s >= e)) {
            return Err(InvalidInvoice::EmptyLine { name: name.clone() });
        }
        let sum = total(&items, &discounts)?;
        if sum.is_negative() {
            return Err(InvalidInvoice::Negative { excess: -sum });
        }
        Ok(Self { external_id, invoice_date, memo: None, period, items, discounts, is_final: None, test: None })
    }

    /// With a text for the customer.
    #[must_use]
    pub fn with_memo(self, memo: impl Into<String>) -> Self {
        Self { memo: Some(memo.into()), ..self }
    }

    /// As the last invoice; only while the installation is being removed.
    #[must_use]
    pub fn as_final(self) -> Self {
        Self { is_final: Some(true), ..self }
    }

    /// As a test.
    #[must_use]
    pub fn as_test(self, test: TestInvoice) -> Self {
        Self { test: Some(test), ..self }
    }

    /// What the customer pays: the lines less the discounts. Checked when the request was made.
    pub fn total(&self) -> Money {
        total(&self.items, &self.discounts).unwrap_or_default()
    }

    /// The provider's own id: the dedupe key.
    pub fn external_id(&self) -> &ExternalInvoiceId {
        &self.external_id
    }

    /// The invoice's date.
    pub fn invoice_date(&self) -> Timestamp {
        self.invoice_date
    }

    /// The text for the customer.
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }

    /// What it is for.
    pub fn period(&self) -> Period {
        self.period
    }

    /// The lines.
    pub fn items(&self) -> &[LineItem] {
        &self.items
    }

    /// What is taken off.
    pub fn discounts(&self) -> &[Discount] {
        &self.discounts
    }

    /// Whether it is the last one.
    pub fn is_final(&self) -> bool {
        self.is_final == Some(true)
    }

    /// Its test mode.
    pub fn test(&self) -> Option<TestInvoice> {
        self.test
    }
}

/// Vercel's answer to an invoice (spec A.14). A 200 may carry errors and no id: look at the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceAnswer {
    /// Vercel's id, if the invoice was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
    /// Whether it is only a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
    /// What is wrong with it, in Vercel's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_errors: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#"{"externalId":"inv-1","invoiceDate":"2027-01-31T23:59:59.999Z","memo":"January","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"items":[{"billingPlanId":"pro","resourceId":"r1","start":"2027-01-15T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z","name":"Pro","details":"17 of 31 days","price":"20","quantity":0.548387097,"units":"month","total":"10.97"},{"billingPlanId":"m","name":"Queries","price":"0.000025","quantity":123600,"units":"queries","total":"3.09"}],"discounts":[{"billingPlanId":"pro","name":"Welcome","amount":"1.06"}],"final":true,"test":{"validate":true,"result":"notpaid"}}"#;

    fn changed(from: &str, to: &str) -> Result<InvoiceRequest, serde_json::Error> {
        assert!(REQUEST.contains(from), "{from}");
        serde_json::from_str(&REQUEST.replace(from, to))
    }

    #[test]
    fn an_invoice_survives_to_the_byte() {
        let request: InvoiceRequest = serde_json::from_str(REQUEST).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), REQUEST);
        assert_eq!(request.total().to_string(), "13.00");
        assert!(request.is_final());
    }

    #[test]
    fn what_vercel_would_refuse_cannot_be_made() {
        for (from, to, why) in [
            (r#""invoiceDate":"2027-01-31T23:59:59.999Z""#, r#""invoiceDate":"2027-02-01T00:00:00Z""#, "outside"),
            (r#""invoiceDate":"2027-01-31T23:59:59.999Z""#, r#""invoiceDate":"2026-12-31T23:59:59Z""#, "outside"),
            (r#""start":"2027-01-01T00:00:00.000Z""#, r#""start":"2027-02-01T00:00:00.000Z""#, "empty"),
            (r#""start":"2027-01-15T00:00:00.000Z""#, r#""start":"2027-02-01T00:00:00.000Z""#, "ends before"),
            (r#""amount":"1.06""#, r#""amount":"14.07""#, "exceed the lines by 0.01"),
            (r#""total":"3.09""#, r#""total":"-3.09""#, "not a decimal"),
            (r#""total":"3.09""#, r#""total":"3.095""#, "the amount of \"Queries\" has at most two decimals (spec F"),
            (r#""total":"3.09""#, r#""total":"300000000000000""#, "the amount of \"Queries\""),
            (r#""amount":"1.06""#, r#""amount":"1.065""#, "the amount of \"Welcome\""),
            (r#""price":"20""#, r#""price":"2e1""#, "not a decimal"),
        ] {
            let error = changed(from, to).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let empty = InvoiceRequest::new(
            ExternalInvoiceId::new("x").unwrap(),
            Period::new(Timestamp::UNIX_EPOCH, Timestamp::from_second(10).unwrap()).unwrap(),
            Timestamp::UNIX_EPOCH,
            Vec::new(),
            Vec::new(),
        );
        assert_eq!(empty, Err(InvalidInvoice::NoItems));
    }

    #[test]
    fn texts_that_are_longer_than_needed_are_kept() {
        let long = REQUEST.replace(r#""price":"20""#, &format!(r#""price":"20.{}""#, "0".repeat(60)));
        let long = long.replace(r#""quantity":0.548387097"#, r#""quantity":5.48387097000000000000000000001e-1"#);
        let long = long.replace(r#""total":"10.97""#, r#""total":"0010.970""#);
        let request: InvoiceRequest = serde_json::from_str(&long).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), long);
        assert_eq!(request.total().to_string(), "13.00");
    }
}
