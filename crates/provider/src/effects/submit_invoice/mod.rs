//! Submitting an invoice (A.14).
//!
//! If the answer is lost, the client repeats with the same `externalId`; a 409 then says "already there" or
//! "already billed" and nothing of which: the invoice is unknown, the effect stays, and Vercel's webhook,
//! which carries our id, settles it, or a partner system does (`invoice.settle`). After a day it is an `error`.
//! What Vercel refuses is another matter: [`refused`].
//!
//! After an uninstall what is still to be invoiced, the final invoice and those of earlier periods before it, has 24 h:
//! while Vercel is down it is tried every ten minutes. Should Vercel have finalized the installation meanwhile, it is a
//! dead letter and an `error` that says what was lost.

use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{InvoiceRequest, Period, TestInvoice};
use tradepost_store::{Stored, Write};

mod refused;

use super::finalize_installation::is_gone;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::invoice::{Seen, book, lines};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{Installation, InvoicePhase, InvoiceRecord};

/// How often an unknown invoice is looked at.
const UNKNOWN_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How often an invoice is tried that does not get through after an uninstall.
const LEAVING_WAIT: SignedDuration = SignedDuration::from_mins(10);
/// How long after the uninstall Vercel takes one.
const LEAVING_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// After how long an unknown invoice is an error.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let key = InvoiceRecord::key_of(id, number);
    let Some(mut stored) = provider.store.get::<InvoiceRecord>(&key).await? else {
        return Err(ApiError::internal("an invoice that is to be submitted is not there"));
    };
    if stored.vercel_id.is_some() {
        return confirm(provider, stored);
    }
    if stored.phase == InvoicePhase::Abandoned {
        return Ok(Outcome::nothing());
    }
    if stored.phase == InvoicePhase::Unknown {
        return Ok(still_unknown(provider, &stored));
    }
    let installation = installed::installation(provider, id).await?;
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let request = request(provider, &stored).await?;
    if request.total() != stored.total {
        return Ok(Outcome::dead(Reason::LinesDifferFromTotal));
    }
    match provider.vercel()?.submit_invoice(&token.call(), &request).await {
        // A rehearsal that fails has said what it was asked for; it must not keep real invoices waiting.
        Err(error) if stored.is_test && !error.is_retryable() => {
            tracing::warn!(invoice.id = %stored.external_id, error.cause = %error, "a test invoice was refused");
            stored.item.phase = InvoicePhase::Rejected;
            Ok(Outcome::Done(vec![Write::replace(&stored.item, stored.version)?]))
        }
        Ok(submitted) => {
            stored.item.vercel_id = Some(submitted.invoice_id);
            confirm(provider, stored)
        }
        Err(ClientError::MaybeDuplicate(_)) => unknown(stored),
        // A first try of ours that is refused as a duplicate: an earlier life of this effect got through.
        Err(ClientError::Rejected(refusal)) if refusal.status == 409 => unknown(stored),
        Err(error) if is_too_late(provider, &installation, &token, &error).await? => {
            tracing::error!(invoice.id = %stored.external_id, invoice.total = %stored.total, "an invoice came too late: the installation is gone");
            stored.item.phase = InvoicePhase::Rejected;
            let writes = vec![Write::replace(&stored.item, stored.version)?];
            Ok(Outcome::Dead { reason: Reason::InstallationFinalized, writes })
        }
        // An outage; or a refusal that loses its envelope on the way, and would be lost so for as long as it is tried.
        Err(error @ ClientError::Foreign(400 | 422)) => refused::again(provider, &installation, stored, &error).await,
        Err(error) if error.is_retryable() || error.maybe_done() || matches!(error.status(), Some(401 | 403 | 410)) => {
            Ok(match Outcome::of(&error) {
                // Its 24 h are running.
                Outcome::Later { reason, .. } if installation.uninstalled_at.is_some() => {
                    Outcome::Later { reason, after: Some(LEAVING_WAIT), writes: Vec::new() }
                }
                outcome => outcome,
            })
        }
        Err(error) if matches!(error.status(), Some(400 | 422)) => {
            refused::again(provider, &installation, stored, &error).await
        }
        Err(error) => {
            let reason = match &error {
                ClientError::InvalidInvoice(errors) => Reason::Said(errors.join("; ")),
                other => Reason::said(other),
            };
            refused::rejected(stored, reason)
        }
    }
}

/// Whether Vercel has finalized the installation without this invoice: 24 h after the uninstall it does (spec F), and
/// then the token is good for nothing any more.
async fn is_too_late(
    provider: &Provider,
    installation: &Installation,
    token: &OpenToken,
    error: &ClientError,
) -> Result<bool, ApiError> {
    let now = provider.clock.now();
    let is_over = installation.uninstalled_at.is_some_and(|at| now.duration_since(at) >= LEAVING_WITHIN);
    let is_refused = matches!(error, ClientError::Gone) || matches!(error.status(), Some(401 | 403 | 404));
    Ok(is_over && is_refused && is_gone(provider, token).await?)
}

/// Vercel has it: booked as issued.
fn confirm(provider: &Provider, mut stored: Stored<InvoiceRecord>) -> Result<Outcome, ApiError> {
    use InvoicePhase::{Rejected, Submitting, Unknown};
    let early = matches!(stored.phase, Submitting | Unknown | Rejected);
    let seen = Seen::of_phase(early.then_some(InvoicePhase::Submitted));
    let mut writes = book(&mut stored.item, seen, provider.clock.now())?;
    writes.push(Write::replace(&stored.item, stored.version)?);
    Ok(Outcome::Done(writes))
}

/// Marked as unknown, in a write of its own, so that no further try is made.
fn unknown(mut stored: Stored<InvoiceRecord>) -> Result<Outcome, ApiError> {
    stored.item.phase = InvoicePhase::Unknown;
    let writes = vec![Write::replace(&stored.item, stored.version)?];
    Ok(Outcome::Wait { reason: Reason::Duplicate, after: UNKNOWN_WAIT, writes })
}

fn still_unknown(provider: &Provider, stored: &InvoiceRecord) -> Outcome {
    if provider.clock.now().duration_since(stored.created_at) > UNKNOWN_FOR {
        tracing::error!(invoice.id = %stored.external_id, "an invoice is unknown for more than a day");
    }
    Outcome::Wait { reason: Reason::Unknown, after: UNKNOWN_WAIT, writes: Vec::new() }
}

async fn request(provider: &Provider, invoice: &InvoiceRecord) -> Result<InvoiceRequest, ApiError> {
    let (items, discounts) = lines::read(provider, invoice).await?;
    let period = Period { start: invoice.period_start, end: invoice.period_end };
    let id = invoice.external_id.clone();
    let request = InvoiceRequest::new(id, period, invoice.invoice_date, items, discounts);
    let mut request = request.map_err(ApiError::internal)?;
    if invoice.is_final {
        request = request.as_final();
    }
    if invoice.is_test {
        request = request.as_test(TestInvoice { validate: Some(true), result: None });
    }
    Ok(request)
}
