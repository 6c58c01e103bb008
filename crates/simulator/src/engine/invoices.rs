//! The states of an invoice, moved by the clock (spec F; README, "Time").
//!
//! pending, 1 h, invoiced, 1 h, then as the customer pays. `notpaid` is tried again daily, nine times at
//! most, and becomes overdue 15 days after it was sent; a refund takes 1 h. An invoice under 0.50 USD is not
//! sent: it is settled after its first hour without a webhook, so that it holds nothing up.

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;
use crate::engine::finalize::finalize_if_over;
use crate::engine::webhooks::queue_invoice;
use crate::model::{Invoice, InvoiceState, Payment};
use crate::refusal::Refusal;
use crate::wire::Decimal;
use crate::world::World;

/// How long an invoice stays pending, then invoiced, and how long a refund takes.
pub(crate) const STEP: SignedDuration = SignedDuration::from_hours(1);
/// Below this an invoice is not sent to the customer, in cents (spec A.14).
pub(crate) const SENT_CENTS_MIN: i128 = 50;
/// How often collecting is tried (spec E: "up to 9").
const ATTEMPTS_MAX: u32 = 9;
const ATTEMPT_PAUSE: SignedDuration = SignedDuration::from_hours(24);
/// The payment window (spec E, `overdue`).
const PAYMENT_WINDOW: SignedDuration = SignedDuration::from_hours(24 * 15);

/// Moves an invoice that is due one state on.
pub(crate) fn step(world: &mut World, key: &str, now: Timestamp) -> Result<(), Refusal> {
    let Some(mut invoice) = world.invoices.get(key).cloned() else { return Ok(()) };
    let owner = world.installations.get(&invoice.installation_id);
    let payment = invoice.test_result.or(owner.map(|row| row.payment)).unwrap_or_default();
    invoice.due = None;
    invoice.updated = now;
    let happening = match invoice.state {
        InvoiceState::Pending => send(&mut invoice, now),
        InvoiceState::Invoiced | InvoiceState::NotPaid => Some(collect(&mut invoice, payment, now)),
        InvoiceState::Overdue if payment == Payment::Paid => Some(pay(&mut invoice, now)),
        InvoiceState::RefundRequested => Some("refunded"),
        InvoiceState::Overdue | InvoiceState::Paid | InvoiceState::Refunded => None,
    };
    if let Some(happening) = happening {
        queue_invoice(world, &invoice, happening, now)?;
    }
    if invoice.state == InvoiceState::RefundRequested {
        give_back(&mut invoice, now);
    }
    let installation_id = invoice.installation_id.clone();
    world.invoices.put(key, invoice);
    finalize_if_over(world, &installation_id, now);
    Ok(())
}

fn send(invoice: &mut Invoice, now: Timestamp) -> Option<&'static str> {
    if invoice.total.cents().unwrap_or_default() < SENT_CENTS_MIN {
        invoice.state = InvoiceState::Paid;
        invoice.paid_at = Some(now);
        return None;
    }
    invoice.state = InvoiceState::Invoiced;
    invoice.sent = true;
    invoice.invoiced_at = Some(now);
    invoice.due = Some(later(now, STEP));
    Some("created")
}

fn pay(invoice: &mut Invoice, now: Timestamp) -> &'static str {
    invoice.state = InvoiceState::Paid;
    invoice.paid_at = Some(now);
    "paid"
}

fn collect(invoice: &mut Invoice, payment: Payment, now: Timestamp) -> &'static str {
    let window_end = later(invoice.invoiced_at.unwrap_or(now), PAYMENT_WINDOW);
    match payment {
        Payment::Paid => pay(invoice, now),
        Payment::NotPaid if now < window_end => {
            invoice.state = InvoiceState::NotPaid;
            invoice.failed_attempts += 1;
            let again = invoice.failed_attempts < ATTEMPTS_MAX;
            let next = if again { later(now, ATTEMPT_PAUSE).min(window_end) } else { window_end };
            invoice.due = Some(next);
            "notpaid"
        }
        Payment::NotPaid | Payment::Overdue => {
            invoice.state = InvoiceState::Overdue;
            "overdue"
        }
    }
}

fn give_back(invoice: &mut Invoice, now: Timestamp) {
    let refunded = |amount: &Option<Decimal>| amount.as_ref().and_then(Decimal::cents).unwrap_or_default();
    let total = refunded(&invoice.refund_total) + refunded(&invoice.refund_requested);
    invoice.refund_total = Some(Decimal::from_cents(total));
    invoice.refund_last = invoice.refund_requested.take();
    invoice.refunded_at = Some(now);
    invoice.state = InvoiceState::Refunded;
}
