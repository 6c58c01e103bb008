//! Refunds (A.16): one at a time, never above what was invoiced less refunded.
//!
//! Refund has no dedupe key at Vercel: before every try the invoice is read, and a refund that is already
//! requested, or already in `refundTotal`, is not asked for again.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::{InvoiceState, Refund};
use tradepost_store::{Stored, Write};

use super::book::{Seen, book};
use super::command::find;
use crate::caller;
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Code, Problem};
use crate::flows::{self, OpenToken, RACES_MAX, committed};
use crate::idempotency::{self, Answer, Known};
use crate::outbox::{self, Outcome, What};
use crate::provider::{Deadline, Provider};
use crate::signing::Scope;
use crate::state::{InstallationStatus, InvoicePhase, InvoiceRecord, RefundPhase, RefundRecord};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// How long a lost answer is waited out before the invoice is looked at again: longer than any call takes.
const LOST_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// How long a refusal that may pass is tried again.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(24);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Command {
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
    let command: Command = call.read()?;
    if command.invoice_id != path {
        return Err(ApiError::invalid("data.invoiceId is not the path's").into());
    }
    if command.reason.trim().is_empty() || command.reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::invalid(format!("reason must have 1 to {REASON_CHARS_MAX} characters")).into());
    }
    for _ in 0..RACES_MAX {
        let stored = find(&provider, &call.installation, &command.invoice_id).await;
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
        let mut stored = stored?;
        let number = stored.number;
        stored.item.refund = Some(check(&stored, &command, provider.clock.now())?);
        let owed = outbox::enqueue(&provider, &call.installation, vec![What::RefundInvoice { number }]).await?;
        let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": owed.ids }))?;
        let mut writes = vec![Write::replace(&stored.item, stored.version)?];
        writes.extend(owed.writes);
        writes.extend(call.identity.remember(&answer, provider.clock.now())?);
        if committed(&provider, writes).await? {
            outbox::deliver_all(&provider, owed.holds, call.deadline).await;
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

/// What may be refunded (spec F): an invoice that Vercel has sent, and no more than is left of it.
fn check(invoice: &InvoiceRecord, command: &Command, now: Timestamp) -> Result<RefundRecord, ApiError> {
    use InvoicePhase::{Invoiced, NotPaid, Overdue, Paid, RefundRequested, Refunded};
    if invoice.is_test {
        return Err(ApiError::conflict("a test invoice is not refunded"));
    }
    if invoice
        .refund
        .as_ref()
        .is_some_and(|refund| matches!(refund.phase, RefundPhase::Requesting | RefundPhase::Requested))
    {
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
    })
}

pub(crate) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let Some(stored) = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await? else {
        return Ok(Outcome::nothing());
    };
    let Some(refund) = stored.refund.clone().filter(|refund| refund.phase == RefundPhase::Requesting) else {
        return Ok(Outcome::nothing());
    };
    let Some(vercel_id) = stored.vercel_id.clone() else {
        return Ok(Outcome::Dead { reason: "no_vercel_id".to_owned(), writes: Vec::new() });
    };
    let installation = flows::installation(provider, id).await?;
    if installation.status == InstallationStatus::Finalized {
        return rejected(stored, "the installation is finalized: only Vercel's support can refund");
    }
    let refused_for_long = provider.clock.now().duration_since(refund.asked_at) > REFUSED_FOR;
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let invoice = match provider.vercel()?.get_invoice(&token.call(), &vercel_id).await {
        Ok(invoice) => invoice,
        Err(error) => {
            return match Outcome::of(&error) {
                Outcome::Dead { reason, .. } => rejected(stored, &reason),
                later => Ok(later),
            };
        }
    };
    let seen = Seen::of_invoice(&invoice)?;
    if invoice.state == InvoiceState::RefundRequested || seen.refunded > refund.refunded_before {
        return requested(provider, stored, seen);
    }
    let body = Refund::new(refund.total, refund.reason).map_err(ApiError::internal)?;
    match provider.vercel()?.refund_invoice(&token.call(), &vercel_id, &body).await {
        Ok(()) => requested(provider, stored, Seen { phase: Some(InvoicePhase::RefundRequested), ..seen }),
        // 409: one is under way, perhaps ours whose answer was lost. The next look says.
        Err(error)
            if error.maybe_done()
                || error.is_retryable()
                || (!refused_for_long && matches!(error.status(), Some(401 | 403 | 409))) =>
        {
            Ok(Outcome::Later { reason: error.to_string(), after: Some(LOST_WAIT), writes: Vec::new() })
        }
        Err(error) => rejected(stored, &error.to_string()),
    }
}

/// Nothing was refunded: the invoice is as it was, and the next refund may be asked for.
fn rejected(stored: Stored<InvoiceRecord>, reason: &str) -> Result<Outcome, ApiError> {
    let mut record = stored.item;
    if let Some(refund) = &mut record.refund {
        refund.phase = RefundPhase::Rejected;
    }
    tracing::error!(invoice.id = %record.external_id, error.cause = reason, "a refund was refused");
    Ok(Outcome::Done(vec![Write::replace(&record, stored.version)?]))
}

fn requested(provider: &Provider, mut stored: Stored<InvoiceRecord>, seen: Seen) -> Result<Outcome, ApiError> {
    let mut writes = book(&mut stored.item, seen, provider.clock.now())?;
    writes.push(Write::replace(&stored.item, stored.version)?);
    Ok(Outcome::Done(writes))
}
