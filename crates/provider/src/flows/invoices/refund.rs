//! Refunds: one at a time, never above what was invoiced less refunded. Vercel is asked for it (A.16) by the effect
//! `refund_invoice`; `read_invoice` looks what becomes of it, for its webhook may never come; and if Vercel does not
//! say, a partner system does (`invoice.settle`).

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use tradepost_marketplace::money::Money;
use tradepost_store::{Stored, Write};

use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::delivery::Nothing;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Code, Problem};
use crate::effects::What;
use crate::invoice::{OurRefund, Seen, book, find};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::{InvoicePhase, InvoiceRecord, RefundPhase, RefundRecord};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refund {
    invoice_id: String,
    total: Money,
    reason: String,
}

/// `POST /partner/invoices/{invoice}/refund`.
pub(super) async fn handle(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = caller::partner(&provider, request, &[("invoice.refund", Scope::Refunds)], BODY_BYTES_MAX).await?;
    let command: Refund = call.read()?;
    if command.invoice_id != path {
        return Err(ApiError::invalid("data.invoiceId is not the path's").into());
    }
    if command.reason.trim().is_empty() || command.reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::invalid(format!("reason must have 1 to {REASON_CHARS_MAX} characters")).into());
    }
    Ok(command::answer(&provider, Call::of_partner(&call), &Ask { call: &call, command }).await?)
}

struct Ask<'a> {
    call: &'a PartnerCall,
    command: Refund,
}

#[async_trait]
impl Command for Ask<'_> {
    type State = Stored<InvoiceRecord>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        find(provider, &self.call.installation, &self.command.invoice_id).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged, ApiError> {
        stored.item.refund = Some(check(&stored, &self.command, provider.clock.now())?);
        let write = Write::replace(&stored.item, stored.version)?;
        let number = stored.number;
        let owed = [What::RefundInvoice { number }, What::follow_refund(number)];
        Ok(Judged::Change(Change::accepted().writing([write]).owing(owed)))
    }
}

/// `invoice.settle` of a refund that Vercel took: what became of it, if Vercel does not say.
pub(super) struct Settle<'a> {
    pub(super) call: &'a PartnerCall,
    pub(super) invoice: String,
    /// Whether the money went back.
    pub(super) is_refunded: bool,
}

#[async_trait]
impl Command for Settle<'_> {
    type State = Stored<InvoiceRecord>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        find(provider, &self.call.installation, &self.invoice).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        if stored.refund_under_way().is_none_or(|refund| refund.phase != RefundPhase::Requested) {
            return Err(ApiError::conflict("no refund of this invoice waits for Vercel's word"));
        }
        let outcome = if self.is_refunded { "refunded" } else { "not refunded" };
        tracing::info!(invoice.id = %stored.external_id, outcome, "a refund was settled by hand");
        let mut writes = Vec::new();
        if self.is_refunded {
            // Its webhook, should it come, tells nothing new.
            let seen = Seen { ours: OurRefund::Done, ..Seen::of_phase(Some(InvoicePhase::Refunded)) };
            writes = book(&mut stored.item, seen, provider.clock.now())?;
        } else {
            book::not_refunded(&mut stored.item, RefundPhase::Requested);
        }
        writes.push(Write::replace(&stored.item, stored.version)?);
        Ok(Judged::Change(Change::accepted().writing(writes)))
    }
}

/// What may be refunded (spec F): an invoice that Vercel has sent, and no more than is left of it.
fn check(invoice: &InvoiceRecord, command: &Refund, now: Timestamp) -> Result<RefundRecord, ApiError> {
    use InvoicePhase::{Invoiced, NotPaid, Overdue, Paid, RefundRequested, Refunded};
    if invoice.is_test {
        return Err(ApiError::conflict("a test invoice is not refunded"));
    }
    if invoice.refund_under_way().is_some() {
        return Err(ApiError::conflict("a refund of this invoice is in progress"));
    }
    match invoice.phase {
        // Only a refund under way blocks another (spec F); what is left says how much it may be.
        Invoiced | Paid | NotPaid | Overdue | Refunded => {}
        RefundRequested => return Err(ApiError::conflict("a refund of this invoice is in progress")),
        _ => return Err(ApiError::conflict("Vercel has not sent this invoice yet")),
    }
    let left = invoice.total - invoice.booked_refunds;
    if command.total == Money::ZERO || command.total > left {
        let text = format!("total must be above 0.00 and at most {left}, what was invoiced less refunded");
        return Err(ApiError::new(Code::Unprocessable, text));
    }
    Ok(RefundRecord {
        total: command.total,
        reason: command.reason.clone(),
        phase: RefundPhase::Requesting,
        refunded_before: invoice.booked_refunds,
        asked_at: now,
        tried_at: None,
    })
}
