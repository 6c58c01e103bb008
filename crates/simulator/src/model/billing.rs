//! What is displayed, charged and bought.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Payment;
use crate::table::Row;
use crate::wire::{Balance, Datetime, Decimal, Discount, LineItem, Period, Usage};

/// The newest interim submission of a day (spec A.13).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Interim {
    pub(crate) installation_id: String,
    pub(crate) timestamp: Datetime,
    pub(crate) eod: Datetime,
    pub(crate) period: Period,
    pub(crate) items: Vec<LineItem>,
    pub(crate) discounts: Vec<Discount>,
    pub(crate) usage: Vec<Usage>,
}

impl Row for Interim {}

/// The newest balance of a resource, or of the installation (spec A.17).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredBalance {
    pub(crate) installation_id: String,
    pub(crate) timestamp: Datetime,
    pub(crate) balance: Balance,
}

impl Row for StoredBalance {}

/// States of an invoice (spec A.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoiceState {
    Pending,
    Invoiced,
    Paid,
    #[serde(rename = "notpaid")]
    NotPaid,
    Overdue,
    RefundRequested,
    Refunded,
}

#[allow(clippy::struct_field_names, reason = "the names of spec A.15")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invoice {
    pub(crate) invoice_id: String,
    pub(crate) installation_id: String,
    pub(crate) external_id: Option<String>,
    pub(crate) state: InvoiceState,
    pub(crate) invoice_date: Datetime,
    pub(crate) memo: Option<String>,
    pub(crate) period: Period,
    pub(crate) items: Vec<LineItem>,
    pub(crate) discounts: Vec<Discount>,
    pub(crate) total: Decimal,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) is_final: bool,
    pub(crate) is_test: bool,
    /// The outcome a test invoice asked for.
    pub(crate) test_result: Option<Payment>,
    /// Whether the customer got it: not below 0.50 USD (spec A.14).
    pub(crate) sent: bool,
    pub(crate) invoiced_at: Option<Timestamp>,
    pub(crate) paid_at: Option<Timestamp>,
    /// Failed attempts to collect.
    pub(crate) failed_attempts: u32,
    /// What is asked back and not yet given.
    pub(crate) refund_requested: Option<Decimal>,
    pub(crate) refund_total: Option<Decimal>,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refund_last: Option<Decimal>,
    pub(crate) refund_reason: Option<String>,
    pub(crate) refunded_at: Option<Timestamp>,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Invoice {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

impl Invoice {
    /// Whether it holds up finalization (spec A.2: "as soon as all invoices are paid").
    pub(crate) fn is_open(&self) -> bool {
        !self.is_test && !matches!(self.state, InvoiceState::Paid | InvoiceState::Refunded)
    }
}

/// Prepaid credit that was bought (spec B.14), by a customer or by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Purchase {
    pub(crate) installation_id: String,
    /// `None` for credit of the whole installation.
    pub(crate) resource_id: Option<String>,
    pub(crate) plan_id: String,
    pub(crate) invoice_id: String,
    pub(crate) amount: Decimal,
    /// Bought because a balance was low (spec F).
    pub(crate) automatic: bool,
    pub(crate) at: Timestamp,
    /// Calls to the provider that ended.
    pub(crate) attempts: u32,
    pub(crate) last_status: Option<u16>,
    pub(crate) provisioned_at: Option<Timestamp>,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Purchase {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}
