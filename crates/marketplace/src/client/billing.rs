//! Calls about money (spec A.13 to A.17).

use super::error::ClientError;
use super::send::Operation;
use super::{Call, Client, operations};
use crate::ids::InvoiceId;
use crate::wire::{Balances, BillingData, Invoice, InvoiceAnswer, InvoiceRequest, Refund};

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

impl Client {
    /// Submit Billing Data (spec A.13): interim, shown, never charged.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer the same data are sent again; the latest
    /// `timestamp` wins.
    pub async fn submit_billing_data(&self, call: &Call<'_>, data: &BillingData) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::SUBMIT_BILLING_DATA, &[])?;
        self.send(operation.with_body(data)?).await
    }

    /// Submit Invoice (spec A.14): charges. [`ByExternalId`](super::RetryClass::ByExternalId): after a lost answer it
    /// is sent again with the same external id. A 409 to such a repeat is [`ClientError::MaybeDuplicate`]: it may mean
    /// "this external id" or "this resource, plan and period", and only the `marketplace.invoice.created` webhook tells
    /// the id. A 409 to a first try is [`ClientError::Rejected`], and means the same if an earlier *call* was unsure.
    /// A 200 that carries validation errors and no id is [`ClientError::InvalidInvoice`].
    pub async fn submit_invoice(
        &self,
        call: &Call<'_>,
        invoice: &InvoiceRequest,
    ) -> Result<SubmittedInvoice, ClientError> {
        let operation = Operation::on(self, call, &operations::SUBMIT_INVOICE, &[])?;
        let answer: InvoiceAnswer = self.fetch(operation.with_body(invoice)?).await?;
        let mut errors = answer.validation_errors.unwrap_or_default();
        errors.truncate(VALIDATION_ERRORS_MAX);
        match answer.invoice_id {
            Some(invoice_id) => Ok(SubmittedInvoice { invoice_id, test: answer.test.unwrap_or(false) }),
            None if errors.is_empty() => Err(ClientError::Unreadable),
            None => Err(ClientError::InvalidInvoice(errors)),
        }
    }

    /// Get Invoice (spec A.15). [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is read again.
    /// Fails once the installation is gone.
    pub async fn get_invoice(&self, call: &Call<'_>, invoice: &InvoiceId) -> Result<Invoice, ClientError> {
        self.fetch(Operation::on(self, call, &operations::GET_INVOICE, &[invoice.as_str()])?).await
    }

    /// Refund (spec A.16). [`Never`](super::RetryClass::Never) repeated: nothing tells two refunds apart, so after a
    /// lost answer ([`ClientError::NoAnswer`]) read the invoice and compare `refundTotal` first. A 409 says that one is
    /// under way already.
    pub async fn refund_invoice(
        &self,
        call: &Call<'_>,
        invoice: &InvoiceId,
        refund: &Refund,
    ) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::REFUND_INVOICE, &[invoice.as_str()])?;
        self.send(operation.with_body(refund)?).await
    }

    /// Submit Prepayment Balances (spec A.17). [`Repeatable`](super::RetryClass::Repeatable): after a lost answer they
    /// are sent again; the latest `timestamp` wins.
    pub async fn submit_balances(&self, call: &Call<'_>, balances: &Balances) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::SUBMIT_BALANCES, &[])?;
        self.send(operation.with_body(balances)?).await
    }
}
