//! Reading an invoice (A.15) and booking what it says.
//!
//! It is read because a webhook told of it, or because we asked for a refund: if the webhook of that never comes, or
//! names another amount, the invoice says what became of it. It is read until the refund is over; if that is not so
//! after [`REFUND_TAKES_MAX`], a person settles it (`invoice.settle`, `effect.settle`).

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Invoice, InvoiceState};
use tradepost_store::{Stored, Write};

use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::invoice::seen::compare;
use crate::invoice::{Hint, Seen, book};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{InvoicePhase, InvoiceRecord, RefundPhase};

/// How often an invoice is looked for that Vercel told of and that we do not have: after a restore its period is
/// closed anew, and it comes to be under the same number. Until then the event waits, or a partner system gives it up.
const MISSING_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// For how long a refund that a webhook tells of may not be in the invoice; then what is read is believed.
const NOT_VISIBLE_FOR: SignedDuration = SignedDuration::from_hours(24);

/// When to look again for a refund that Vercel has yet to take.
const REFUND_NOT_ASKED_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How often an invoice is read for a refund that is not over.
const REFUND_AGAIN: SignedDuration = SignedDuration::from_hours(6);
/// How long after it was asked for a refund may not be over: a card's bank may take ten working days.
const REFUND_TAKES_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Why an invoice is read.
#[derive(Clone, Copy)]
pub(super) enum Why<'a> {
    /// A webhook told of it, then.
    Told(&'a Hint, Timestamp),
    /// We asked for a refund.
    FollowsRefund,
    /// Nobody said.
    Unsaid,
}

impl<'a> Why<'a> {
    pub(super) fn of(hint: Option<&'a Hint>, follows_refund: bool, heard_at: Timestamp) -> Self {
        match hint {
            Some(hint) => Self::Told(hint, heard_at),
            None if follows_refund => Self::FollowsRefund,
            None => Self::Unsaid,
        }
    }

    const fn hint(self) -> Option<&'a Hint> {
        match self {
            Self::Told(hint, _) => Some(hint),
            Self::FollowsRefund | Self::Unsaid => None,
        }
    }
}

pub(super) async fn deliver(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    why: Why<'_>,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let Some(mut stored) = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await? else {
        return Ok(Outcome::Wait { reason: Reason::NoSuchInvoice, after: MISSING_WAIT, writes: Vec::new() });
    };
    if matches!(why, Why::FollowsRefund) {
        match stored.refund_under_way().map(|refund| refund.phase) {
            Some(RefundPhase::Requested) => {}
            Some(_) => return Ok(refund_waits(REFUND_NOT_ASKED_WAIT, Vec::new())),
            None => return Ok(Outcome::nothing()),
        }
    }
    let Some(vercel_id) = stored.vercel_id.clone().or_else(|| why.hint().map(|hint| hint.vercel_id.clone())) else {
        return Ok(Outcome::dead(Reason::NoVercelId));
    };
    let installation = installed::installation(provider, id).await?;
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let seen = match provider.vercel()?.get_invoice(&token.call(), &vercel_id).await {
        Ok(invoice) => match seen(&invoice, &stored, why, provider.clock.now())? {
            Ok(seen) => seen,
            Err(outcome) => return Ok(outcome),
        },
        Err(error) if is_gone(&error) => match why.hint() {
            // The installation is finalized: its invoices cannot be read any more, the signed event can.
            Some(hint) => Seen::of_hint(hint, &stored),
            None if installation.is_active() => return Ok(Outcome::of(&error)),
            None => return Ok(Outcome::dead(Reason::said(error))),
        },
        Err(error) => return Ok(Outcome::of(&error)),
    };
    stored.item.vercel_id.get_or_insert(vercel_id);
    let now = provider.clock.now();
    let mut writes = book(&mut stored.item, seen, now)?;
    writes.push(Write::replace(&stored.item, stored.version)?);
    Ok(match stored.refund_under_way().filter(|_| matches!(why, Why::FollowsRefund)) {
        Some(refund) if now.duration_since(refund.asked_at) < REFUND_TAKES_MAX => refund_waits(REFUND_AGAIN, writes),
        Some(_) => {
            tracing::error!(invoice.id = %stored.external_id, "Vercel does not say what became of a refund");
            Outcome::Dead { reason: Reason::RefundUnclear, writes }
        }
        None => Outcome::Done(writes),
    })
}

fn refund_waits(after: SignedDuration, writes: Vec<Write>) -> Outcome {
    Outcome::Wait { reason: Reason::RefundNotVisibleYet, after, writes }
}

/// What the invoice says, with what the webhook said; the inner error is why nothing is booked of it.
fn seen(
    invoice: &Invoice,
    stored: &Stored<InvoiceRecord>,
    why: Why<'_>,
    now: Timestamp,
) -> Result<Result<Seen, Outcome>, ApiError> {
    let shown = why.hint().map_or(Shown::Yes, |hint| shows(invoice, hint));
    if let (Shown::NotYet, _) | (Shown::No, true) = (shown, is_young(why, now)) {
        // The event is ahead of what is read: what it says must not be lost.
        return Ok(Err(Outcome::later(Reason::RefundNotVisibleYet)));
    }
    if let Err(reason) = compare(invoice, stored) {
        tracing::error!(invoice.id = %stored.external_id, reason = %reason, "an invoice differs from ours");
        return Ok(Err(Outcome::dead(reason)));
    }
    let seen = Seen::of_invoice(invoice, stored)?;
    if matches!(shown, Shown::No | Shown::NeverSent) {
        let message = "Vercel told of a refund that its invoice does not show";
        tracing::error!(invoice.id = %stored.external_id, "{message}");
    }
    Ok(match (shown, why.hint()) {
        // It is kept for a person.
        (Shown::No, _) => Err(Outcome::dead(Reason::RefundNotVisibleYet)),
        (Shown::Yes, Some(hint)) => Ok(seen.and_hint(hint, stored)),
        (Shown::NeverSent | Shown::NotYet | Shown::Yes, _) => Ok(seen),
    })
}

/// Whether an invoice shows what a webhook says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    /// A refund is under way.
    NotYet,
    /// The webhook tells of a refund; of that it says nothing.
    No,
    /// Nor can it: who was never sent an invoice gets nothing back.
    NeverSent,
}

fn shows(invoice: &Invoice, hint: &Hint) -> Shown {
    use InvoiceState::{Draft, Invoiced, NotPaid, Overdue, Paid, Pending, RefundRequested, Refunded, Scheduled};
    if hint.phase != InvoicePhase::Refunded {
        return Shown::Yes;
    }
    match invoice.state {
        RefundRequested => Shown::NotYet,
        Invoiced | Paid | NotPaid | Overdue => Shown::No,
        Draft | Pending | Scheduled => Shown::NeverSent,
        Refunded | InvoiceState::Other(_) => Shown::Yes,
    }
}

/// Whether the webhook may still be ahead of the invoice: a refund is not seen at once.
fn is_young(why: Why<'_>, now: Timestamp) -> bool {
    matches!(why, Why::Told(_, heard_at) if now.duration_since(heard_at) < NOT_VISIBLE_FOR)
}

/// Whether the token is dead: 410, or the 401, 403 and 404 seen in its place (spec A, "The SDK has no…").
fn is_gone(error: &ClientError) -> bool {
    matches!(error, ClientError::Gone) || matches!(error.status(), Some(401 | 403 | 404))
}
