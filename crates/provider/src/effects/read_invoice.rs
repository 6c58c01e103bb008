//! Reading an invoice (A.15) and booking what it says.

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Invoice, InvoiceState};
use tradepost_store::Write;

use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::invoice::seen::compare;
use crate::invoice::{Hint, Seen, book};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{InvoicePhase, InvoiceRecord};

/// How often an invoice is looked for that Vercel told of and that we do not have: after a restore its period is
/// closed anew, and it comes to be under the same number. Until then the event waits, or a partner system gives it up.
const MISSING_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// For how long a refund that a webhook tells of may not be in the invoice; then what is read is believed.
const NOT_VISIBLE_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    hint: Option<&Hint>,
    heard_at: Timestamp,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let Some(mut stored) = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await? else {
        return Ok(Outcome::Wait { reason: Reason::NoSuchInvoice, after: MISSING_WAIT, writes: Vec::new() });
    };
    let Some(vercel_id) = stored.vercel_id.clone().or_else(|| hint.map(|hint| hint.vercel_id.clone())) else {
        return Ok(Outcome::dead(Reason::NoVercelId));
    };
    let installation = installed::installation(provider, id).await?;
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let seen = match provider.vercel()?.get_invoice(&token.call(), &vercel_id).await {
        // The event is ahead of what is read: what it says must not be lost.
        Ok(invoice) if hint.is_some_and(|hint| is_ahead(hint, &invoice, provider.clock.now(), heard_at)) => {
            return Ok(Outcome::later(Reason::RefundNotVisibleYet));
        }
        Ok(invoice) => {
            if let Err(reason) = compare(&invoice, &stored) {
                tracing::error!(invoice.id = %stored.external_id, reason = %reason, "an invoice differs from ours");
                return Ok(Outcome::dead(reason));
            }
            let seen = Seen::of_invoice(&invoice, &stored)?;
            match hint {
                Some(hint)
                    if hint.phase == InvoicePhase::Refunded
                        && seen.phase.is_some_and(|phase| phase != InvoicePhase::Refunded) =>
                {
                    let message = "Vercel told of a refund that its invoice does not show";
                    tracing::error!(invoice.id = %stored.external_id, "{message}");
                    // One that was never sent has nothing to give back; of any other it is kept for a person.
                    if seen.phase != Some(InvoicePhase::Submitted) {
                        return Ok(Outcome::dead(Reason::RefundNotVisibleYet));
                    }
                    seen
                }
                Some(hint) => seen.and_hint(hint, &stored),
                None => seen,
            }
        }
        Err(error) if is_gone(&error) => match hint {
            // The installation is finalized: its invoices cannot be read any more, the signed event can.
            Some(hint) => Seen::of_hint(hint, &stored),
            None if installation.is_active() => return Ok(Outcome::of(&error)),
            None => return Ok(Outcome::dead(Reason::said(error))),
        },
        Err(error) => return Ok(Outcome::of(&error)),
    };
    stored.item.vercel_id.get_or_insert(vercel_id);
    let mut writes = book(&mut stored.item, seen, provider.clock.now())?;
    writes.push(Write::replace(&stored.item, stored.version)?);
    Ok(Outcome::Done(writes))
}

/// Whether the event may be ahead of what is read: a refund of an invoice that was sent is not seen at once.
fn is_ahead(hint: &Hint, invoice: &Invoice, now: Timestamp, heard_at: Timestamp) -> bool {
    use InvoiceState::{Invoiced, NotPaid, Overdue, Paid, RefundRequested};
    let may_come = match invoice.state {
        RefundRequested => true,
        Invoiced | Paid | NotPaid | Overdue => now.duration_since(heard_at) < NOT_VISIBLE_FOR,
        _ => false,
    };
    hint.phase == InvoicePhase::Refunded && may_come
}

/// Whether the token is dead: 410, or the 401, 403 and 404 seen in its place (spec A, "The SDK has no…").
fn is_gone(error: &ClientError) -> bool {
    matches!(error, ClientError::Gone) || matches!(error.status(), Some(401 | 403 | 404))
}
