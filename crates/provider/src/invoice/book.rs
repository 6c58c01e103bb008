//! Booking: what Vercel says of an invoice becomes its phase and entries in the ledger, each once.

use jiff::Timestamp;
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::{Invoice, InvoiceState};
use tradepost_store::Write;

use super::{Hint, entry_write};
use crate::edge::ApiError;
use crate::state::{InvoicePhase, InvoiceRecord, RefundPhase};
use tradepost_pricing::ledger::{Entry, LedgerError};

/// What is known of an invoice at Vercel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Its state as our phase; none for one we do not know.
    pub(crate) phase: Option<InvoicePhase>,
    /// Whether it was ever paid.
    pub(crate) paid: bool,
    /// What was refunded in all.
    pub(crate) refunded: Money,
    /// Whether the invoice itself was read: then what it does not say is not so.
    pub(crate) is_read: bool,
}

impl Seen {
    /// From the invoice as it was read. An amount that is not in whole cents is an error: nothing is booked then.
    pub(crate) fn of_invoice(invoice: &Invoice) -> Result<Self, ApiError> {
        let phase = match invoice.state {
            InvoiceState::Draft | InvoiceState::Pending | InvoiceState::Scheduled => Some(InvoicePhase::Submitted),
            InvoiceState::Invoiced => Some(InvoicePhase::Invoiced),
            InvoiceState::Paid => Some(InvoicePhase::Paid),
            InvoiceState::NotPaid => Some(InvoicePhase::NotPaid),
            InvoiceState::Overdue => Some(InvoicePhase::Overdue),
            InvoiceState::RefundRequested => Some(InvoicePhase::RefundRequested),
            InvoiceState::Refunded => Some(InvoicePhase::Refunded),
            InvoiceState::Other(_) => None,
        };
        let paid = phase == Some(InvoicePhase::Paid) || invoice.paid_at.is_some();
        // `refundTotal` may already be there while the refund is only requested.
        let done = phase == Some(InvoicePhase::Refunded);
        let refunded = done.then(|| invoice.refund_total.as_ref().unwrap_or(&invoice.total).money());
        let refunded = refunded.transpose().map_err(ApiError::internal)?.unwrap_or(Money::ZERO);
        Ok(Self { phase, paid, refunded, is_read: true })
    }

    /// From the webhook, where the invoice can no longer be read.
    pub(crate) fn of_hint(hint: &Hint, record: &InvoiceRecord) -> Self {
        let paid = hint.phase == InvoicePhase::Paid || record.booked_paid;
        let before = record.refund.as_ref().map_or(Money::ZERO, |refund| refund.refunded_before);
        let refunded = hint.refunded.map_or(Money::ZERO, |amount| before + amount).max(record.booked_refunds);
        // Webhooks come in any order: one that is late moves nothing back.
        let settled = record.booked_paid || record.booked_refunds > Money::ZERO;
        let early = !matches!(hint.phase, InvoicePhase::Paid | InvoicePhase::Refunded);
        let late = (settled && early) || (record.phase == InvoicePhase::Refunded && hint.phase == InvoicePhase::Paid);
        Self { phase: (!late).then_some(hint.phase), paid, refunded, is_read: false }
    }
}

/// Whether an invoice in this phase has no refund under way.
const fn shows_no_refund_under_way(phase: InvoicePhase) -> bool {
    use InvoicePhase::{Invoiced, NotPaid, Overdue, Paid, Refunded};
    matches!(phase, Invoiced | Paid | NotPaid | Overdue | Refunded)
}

/// Writes off an invoice that Vercel does not have and will not get. The writes are the ledger's.
pub(crate) fn abandon(record: &mut InvoiceRecord, reason: &str, now: Timestamp) -> Result<Vec<Write>, ApiError> {
    record.phase = InvoicePhase::Abandoned;
    if record.is_test {
        return Ok(Vec::new());
    }
    let carried_in = record.carried_in.money();
    let issued = (!record.booked_issued)
        .then(|| Entry::invoice_issued(&record.external_id, now, record.total, carried_in))
        .transpose();
    let written_off = Entry::invoice_abandoned(&record.external_id, now, record.total, reason);
    record.booked_issued = true;
    record.abandoned = Some(reason.to_owned());
    let entries = [issued.map_err(ApiError::internal)?.flatten(), written_off.map_err(ApiError::internal)?];
    let id = record.installation.clone();
    entries.into_iter().filter_map(|entry| entry_write(&id, entry).transpose()).collect()
}

/// Brings a record up to what was seen. The writes are the ledger's; the record itself is the caller's.
pub(crate) fn book(record: &mut InvoiceRecord, seen: Seen, now: Timestamp) -> Result<Vec<Write>, ApiError> {
    let mut entries: Vec<Option<Entry>> = Vec::new();
    let enter = |entry: Result<Option<Entry>, LedgerError>| entry.map_err(ApiError::internal);
    if record.is_test {
        record.phase = seen.phase.unwrap_or(record.phase);
        return Ok(Vec::new());
    }
    if !record.booked_issued {
        record.booked_issued = true;
        let carried_in = record.carried_in.money();
        entries.push(enter(Entry::invoice_issued(&record.external_id, now, record.total, carried_in))?);
    }
    if record.abandoned.take().is_some() {
        tracing::error!(invoice.id = %record.external_id, "an invoice that was given up is at Vercel");
        entries.push(enter(Entry::invoice_reinstated(&record.external_id, now, record.total))?);
        record.phase = InvoicePhase::Submitted;
    }
    if seen.paid && !record.booked_paid {
        record.booked_paid = true;
        entries.push(enter(Entry::invoice_paid(&record.external_id, now, record.total))?);
    }
    if seen.refunded > record.booked_refunds {
        let (amount, before) = (seen.refunded - record.booked_refunds, record.booked_refunds);
        record.booked_refunds = seen.refunded;
        entries.push(enter(Entry::refunded(&record.external_id, now, amount, before, record.booked_paid))?);
        if let Some(refund) = &mut record.refund {
            refund.phase = RefundPhase::Refunded;
        }
    }
    if seen.is_read
        && seen.phase.is_some_and(shows_no_refund_under_way)
        && let Some(refund) = record.refund.as_mut().filter(|refund| refund.phase == RefundPhase::Requested)
        && seen.refunded <= refund.refunded_before
    {
        // Vercel could not give it back: the next refund may be asked for.
        tracing::error!(invoice.id = %record.external_id, "a refund was not carried out");
        refund.phase = RefundPhase::Rejected;
    }
    if let Some(phase) = seen.phase {
        if phase == InvoicePhase::RefundRequested
            && let Some(refund) = record.refund.as_mut().filter(|refund| refund.phase == RefundPhase::Requesting)
        {
            refund.phase = RefundPhase::Requested;
        }
        record.phase = phase;
    }
    let id = record.installation.clone();
    entries.into_iter().filter_map(|entry| entry_write(&id, entry).transpose()).collect()
}
