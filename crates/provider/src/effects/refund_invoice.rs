//! Refunding an invoice (A.16).
//!
//! Refund has no dedupe key at Vercel: before every try the invoice is read, and a refund that is already
//! requested, or done, is not asked for again. Where the invoice does not say ([`OurRefund::Unclear`]), nothing is
//! asked: the webhook says, or a partner system gives the effect up.

use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{InvoiceState, Refund};
use tradepost_store::{Stored, Write};

use crate::commit::committed;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::invoice::{OurRefund, Seen, book};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{InstallationStatus, InvoicePhase, InvoiceRecord, RefundPhase};

/// How long a lost answer is waited out before the invoice is looked at again: longer than any call takes.
const LOST_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// How long a refusal that may pass is tried again.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn deliver(
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
        return Ok(Outcome::dead(Reason::NoVercelId));
    };
    let installation = installed::installation(provider, id).await?;
    if installation.status == InstallationStatus::Finalized {
        return rejected(stored, "the installation is finalized: only Vercel's support can refund");
    }
    let refused_for_long = provider.clock.now().duration_since(refund.asked_at) > REFUSED_FOR;
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let invoice = match provider.vercel()?.get_invoice(&token.call(), &vercel_id).await {
        Ok(invoice) => invoice,
        Err(error) => {
            return match Outcome::of(&error) {
                // What waits behind it ends the installation.
                _ if matches!(error, ClientError::Gone) && !installation.is_active() => {
                    rejected(stored, &error.to_string())
                }
                Outcome::Dead { reason, .. } => rejected(stored, &reason.to_string()),
                later => Ok(later),
            };
        }
    };
    let seen = Seen::of_invoice(&invoice, &stored)?;
    match seen.ours {
        OurRefund::Done => return requested(provider, stored, seen),
        _ if invoice.state == InvoiceState::RefundRequested && refund.tried_at.is_some() => {
            return requested(provider, stored, seen);
        }
        // Somebody else's is under way: ours comes after it.
        _ if invoice.state == InvoiceState::RefundRequested => {
            return Ok(Outcome::Later { reason: Reason::RefundUnclear, after: Some(LOST_WAIT), writes: Vec::new() });
        }
        OurRefund::Unclear => return Ok(Outcome::later(Reason::RefundUnclear)),
        OurRefund::NotDone => {}
    }
    let body = Refund::new(refund.total, refund.reason).map_err(ApiError::internal)?;
    let Some(stored) = tried(provider, stored).await? else { return Ok(Outcome::later(Reason::Moved)) };
    match provider.vercel()?.refund_invoice(&token.call(), &vercel_id, &body).await {
        Ok(()) => requested(provider, stored, Seen { phase: Some(InvoicePhase::RefundRequested), ..seen }),
        Err(ClientError::Gone) => Ok(Outcome::later(Reason::AnsweredGone)),
        // 409: one is under way, perhaps ours whose answer was lost. The next look says.
        Err(error)
            if error.maybe_done()
                || error.is_retryable()
                || (!refused_for_long && matches!(error.status(), Some(401 | 403 | 409))) =>
        {
            Ok(Outcome::Later { reason: Reason::said(error), after: Some(LOST_WAIT), writes: Vec::new() })
        }
        Err(error) => rejected(stored, &error.to_string()),
    }
}

/// Writes down that Vercel is asked from now on, before it is. None: the record moved.
async fn tried(
    provider: &Provider,
    mut stored: Stored<InvoiceRecord>,
) -> Result<Option<Stored<InvoiceRecord>>, ApiError> {
    let Some(refund) = stored.item.refund.as_mut().filter(|refund| refund.tried_at.is_none()) else {
        return Ok(Some(stored));
    };
    refund.tried_at = Some(provider.clock.now());
    let is_noted = committed(provider, vec![Write::replace(&stored.item, stored.version)?]).await?;
    stored.version += 1;
    Ok(is_noted.then_some(stored))
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
