//! Invoices as Vercel sees them, and refunds (spec A.15, A.16).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::billing::{Discount, LineItem};
use super::open_enum::open_enum;
use super::period::Period;
use super::time;
use crate::ids::{ExternalInvoiceId, InvoiceId};
use crate::money::{Decimal, DecimalError, Money};

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

/// A refund to ask for (spec A.16): the only action on an invoice. Checked when it is made and when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "RefundBody", try_from = "RefundBody")]
pub struct Refund {
    total: Decimal,
    reason: String,
}

/// Why Vercel would refuse a refund, whatever the invoice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRefund {
    /// The amount is negative, or finer than a cent.
    #[error("a refund is of an amount with at most two decimals (spec A.16, F): {0}")]
    Amount(#[from] DecimalError),
    /// There is no reason.
    #[error("a refund has a reason (spec A.16, F)")]
    NoReason,
    /// It is another action.
    #[error("\"refund\" is the only action on an invoice (spec A.16)")]
    OtherAction,
}

#[derive(Serialize, Deserialize)]
struct RefundBody {
    action: String,
    reason: String,
    total: Decimal,
}

impl From<Refund> for RefundBody {
    fn from(refund: Refund) -> Self {
        Self { action: "refund".to_owned(), reason: refund.reason, total: refund.total }
    }
}

impl TryFrom<RefundBody> for Refund {
    type Error = InvalidRefund;
    fn try_from(body: RefundBody) -> Result<Self, InvalidRefund> {
        if body.action != "refund" {
            return Err(InvalidRefund::OtherAction);
        }
        body.total.money()?;
        if body.reason.is_empty() {
            return Err(InvalidRefund::NoReason);
        }
        Ok(Self { total: body.total, reason: body.reason })
    }
}

impl Refund {
    /// A refund of `total`, at most the invoice's, for a reason that is not empty.
    pub fn new(total: Money, reason: impl Into<String>) -> Result<Self, InvalidRefund> {
        let body = RefundBody { action: "refund".to_owned(), reason: reason.into(), total: Decimal::try_from(total)? };
        Self::try_from(body)
    }

    /// How much; a whole number of cents.
    pub const fn total(&self) -> &Decimal {
        &self.total
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_is_checked_when_it_is_made_and_read() {
        let refund = Refund::new(Money::from_cents(250), "late").unwrap();
        let json = r#"{"action":"refund","reason":"late","total":"2.50"}"#;
        assert_eq!(serde_json::to_string(&refund).unwrap(), json);
        let long = json.replace("2.50", "0002.5000");
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Refund>(&long).unwrap()).unwrap(), long);
        assert!(matches!(Refund::new(Money::from_cents(-1), "late"), Err(InvalidRefund::Amount(_))));
        assert_eq!(Refund::new(Money::ZERO, ""), Err(InvalidRefund::NoReason));
        for (from, to, why) in [
            ("2.50", "2.505", "at most two decimals (spec A.16"),
            ("2.50", "-2.50", "(spec A, Decimal)"),
            ("late", "", "has a reason (spec A.16"),
            ("\"refund\"", "\"void\"", "the only action"),
        ] {
            let error = serde_json::from_str::<Refund>(&json.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
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
