//! Calls about money (spec A.13 to A.17).

use http::Method;
use serde::{Deserialize, Serialize};

use super::error::ClientError;
use super::retry::RetryClass;
use super::send::Operation;
use super::{Call, Client};
use crate::ids::InvoiceId;
use crate::money::Money;
use crate::wire::{Balances, BillingData, Invoice, InvoiceRequest, Refund};

/// The most validation errors kept of one answer.
const VALIDATION_ERRORS_MAX: usize = 100;

/// An invoice that Vercel has taken. Keep the id: refunds need it, and there is no list to find it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedInvoice {
    /// Vercel's id.
    pub invoice_id: InvoiceId,
    /// Whether it is only a test.
    pub test: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubmitAnswer {
    invoice_id: Option<InvoiceId>,
    test: Option<bool>,
    validation_errors: Option<Vec<String>>,
}

#[derive(Serialize)]
struct RefundBody<'a> {
    action: &'static str,
    reason: &'a str,
    total: Money,
}

impl Client {
    /// Submit Billing Data (spec A.13): interim, shown, never charged. [`RetryClass::Repeatable`]: after a lost
    /// answer the same data are sent again; the latest `timestamp` wins.
    pub async fn submit_billing_data(&self, call: &Call<'_>, data: &BillingData) -> Result<(), ClientError> {
        let operation =
            Operation::new(self, call, "submit_billing_data", RetryClass::Repeatable, Method::POST, &["billing"]);
        self.send(operation.with_body(data)?).await
    }

    /// Submit Prepayment Balances (spec A.17). [`RetryClass::Repeatable`]: the latest `timestamp` wins.
    pub async fn submit_balances(&self, call: &Call<'_>, balances: &Balances) -> Result<(), ClientError> {
        let path = ["billing", "balance"];
        let operation = Operation::new(self, call, "submit_balances", RetryClass::Repeatable, Method::POST, &path);
        self.send(operation.with_body(balances)?).await
    }

    /// Submit Invoice (spec A.14): charges. [`RetryClass::ByExternalId`]: after a lost answer it is sent again with
    /// the same external id. A 409 to such a repeat is [`ClientError::MaybeDuplicate`]: it may mean "this external
    /// id" or "this resource, plan and period", and only the `marketplace.invoice.created` webhook tells the
    /// id. A 409 to a first try is [`ClientError::Rejected`], and means the same if an earlier *call* was unsure.
    pub async fn submit_invoice(
        &self,
        call: &Call<'_>,
        invoice: &InvoiceRequest,
    ) -> Result<SubmittedInvoice, ClientError> {
        let path = ["billing", "invoices"];
        let operation = Operation::new(self, call, "submit_invoice", RetryClass::ByExternalId, Method::POST, &path);
        let answer: SubmitAnswer = self.fetch(operation.with_body(invoice)?).await?;
        let mut errors = answer.validation_errors.unwrap_or_default();
        errors.truncate(VALIDATION_ERRORS_MAX);
        match answer.invoice_id {
            Some(invoice_id) => Ok(SubmittedInvoice { invoice_id, test: answer.test.unwrap_or(false) }),
            None if errors.is_empty() => Err(ClientError::Unreadable),
            None => Err(ClientError::InvalidInvoice(errors)),
        }
    }

    /// Get Invoice (spec A.15). [`RetryClass::Repeatable`]: it only reads. Fails once the installation is gone.
    pub async fn get_invoice(&self, call: &Call<'_>, invoice: &InvoiceId) -> Result<Invoice, ClientError> {
        let path = ["billing", "invoices", invoice.as_str()];
        self.fetch(Operation::new(self, call, "get_invoice", RetryClass::Repeatable, Method::GET, &path)).await
    }

    /// Refund (spec A.16). [`RetryClass::Never`]: nothing tells two refunds apart, so after a lost answer read the
    /// invoice and compare `refundTotal` first. A 409 says that one is under way already.
    pub async fn refund_invoice(
        &self,
        call: &Call<'_>,
        invoice: &InvoiceId,
        refund: &Refund,
    ) -> Result<(), ClientError> {
        let path = ["billing", "invoices", invoice.as_str(), "actions"];
        let operation = Operation::new(self, call, "refund_invoice", RetryClass::Never, Method::POST, &path);
        let body = RefundBody { action: "refund", reason: &refund.reason, total: refund.total };
        self.send(operation.with_body(&body)?).await
    }
}
