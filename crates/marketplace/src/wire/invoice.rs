//! Invoices: what is submitted, and what Vercel says about it (spec A.14, A.15, A.16).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::billing::{Discount, LineItem, Period, TotalError, total};
use super::open_enum::open_enum;
use super::time;
use crate::ids::{ExternalInvoiceId, InvoiceId};
use crate::money::{Decimal, Money};

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

open_enum! {
    /// Where an invoice is (spec A.15, F).
    InvoiceState {
        /// Not yet complete.
        Draft = "draft",
        /// Queued, the state after submission.
        Pending = "pending",
        /// To be sent later.
        Scheduled = "scheduled",
        /// Sent; older copies call it `issued`.
        Invoiced = "invoiced",
        /// Paid.
        Paid = "paid",
        /// A try to collect it failed; up to nine more follow.
        NotPaid = "notpaid",
        /// 15 days have passed; it can still be paid.
        Overdue = "overdue",
        /// A refund is under way; no other can be asked for.
        RefundRequested = "refund_requested",
        /// Refunded, in full or in part.
        Refunded = "refunded",
    }
}

/// An invoice as Vercel sees it (spec A.15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Vercel's id.
    pub invoice_id: InvoiceId,
    /// Where it is.
    pub state: InvoiceState,
    /// Its date.
    #[serde(with = "time")]
    pub invoice_date: Timestamp,
    /// What it is for.
    pub period: Period,
    /// Its amount.
    pub total: Decimal,
    /// Its lines.
    #[serde(default)]
    pub items: Vec<LineItem>,
    /// What was taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discounts: Option<Vec<Discount>>,
    /// The provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalInvoiceId>,
    /// The number the customer sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_number: Option<String>,
    /// The text for the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
    /// Whether it is only a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
    /// How much was refunded, or is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_total: Option<Decimal>,
    /// Why it was refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_reason: Option<String>,
    /// When it was refunded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub refunded_at: Option<Timestamp>,
    /// When it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub paid_at: Option<Timestamp>,
    /// When Vercel made it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub created: Option<Timestamp>,
    /// When Vercel last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub updated: Option<Timestamp>,
}

/// A refund to ask for (spec A.16); `total` is at most the invoice's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How much.
    pub total: Money,
    /// Why; mandatory.
    pub reason: String,
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

    #[test]
    fn an_answer_may_know_more_than_we_do() {
        let json = r#"{"invoiceId":"mi_1","state":"disputed","invoiceDate":"2027-01-31T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"total":"13.000","items":[],"created":"2027-02-01T06:00:00Z","updated":1801461600000,"refundTotal":"2.50","dispute":{"n":1}}"#;
        let invoice: Invoice = serde_json::from_str(json).unwrap();
        assert_eq!(invoice.state, InvoiceState::Other("disputed".to_owned()));
        let refunded = invoice.refund_total.as_ref().unwrap().money();
        assert_eq!((invoice.total.money(), refunded), (Ok(Money::from_cents(1300)), Ok(Money::from_cents(250))));
        assert_eq!(invoice.total.as_str(), "13.000");
        assert_eq!(invoice.created, invoice.updated);
    }
}
