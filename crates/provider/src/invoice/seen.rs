//! What is known of an invoice at Vercel: read (A.15), or told by a webhook (spec E).
//!
//! Two things that Vercel says of money can be read in two ways, and nobody outside knows which is meant:
//!
//! - `total` may contain the tax that Vercel adds, or not. So an invoice is ours by its `externalId` and its lines; a
//!   total above ours is noted ([`compare`]), one below ours is an alarm.
//! - `refundTotal` may be all that was refunded, or the last refund, or be missing; it and a webhook's `amount` may
//!   contain the tax. So it never decides by itself: what *we asked for* does ([`OurRefund`]). A refund that somebody
//!   else asked for is booked by the `amount` of its webhook.

use jiff::Timestamp;
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::{Invoice, InvoiceState};
use tradepost_pricing::period::CLOCKS_APART;

use super::Hint;
use crate::edge::ApiError;
use crate::outbox::Reason;
use crate::state::{InvoicePhase, InvoiceRecord};

/// What is known of an invoice at Vercel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Its state as our phase; none for one we do not know.
    pub(crate) phase: Option<InvoicePhase>,
    /// Whether it was ever paid.
    pub(crate) paid: bool,
    /// What became of the refund that we asked for, if one is under way.
    pub(crate) ours: OurRefund,
    /// The refund that a webhook tells of.
    pub(crate) told: Option<Money>,
    /// When Vercel last refunded, by its own clock.
    pub(crate) refunded_at: Option<Timestamp>,
    /// Whether a total of refunds was shown.
    pub(crate) shows_refunds: bool,
    /// By how much Vercel's total is above ours.
    pub(crate) above: Option<Money>,
    /// Whether the invoice itself was read: then what it does not say is not so.
    pub(crate) is_read: bool,
}

/// What an invoice says of the refund that we asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OurRefund {
    /// Vercel has given the money back.
    Done,
    /// It has not.
    NotDone,
    /// Either is possible: to ask again might refund twice, to take it for done might refund nothing.
    Unclear,
}

impl Seen {
    /// Nothing more than this.
    pub(crate) const fn of_phase(phase: Option<InvoicePhase>) -> Self {
        Self {
            phase,
            paid: false,
            ours: OurRefund::NotDone,
            told: None,
            refunded_at: None,
            shows_refunds: false,
            above: None,
            is_read: false,
        }
    }

    /// From the invoice as it was read. An amount that is not in whole cents is an error: nothing is booked then.
    pub(crate) fn of_invoice(invoice: &Invoice, record: &InvoiceRecord) -> Result<Self, ApiError> {
        let phase = phase(&invoice.state);
        let paid = phase == Some(InvoicePhase::Paid) || invoice.paid_at.is_some();
        let ours = our_refund(invoice, record)?;
        let total = invoice.total.money().map_err(ApiError::internal)?;
        let above = (total > record.total).then(|| total - record.total);
        let (refunded_at, shows_refunds) = (invoice.refunded_at, invoice.refund_total.is_some());
        Ok(Self { phase, paid, ours, told: None, refunded_at, shows_refunds, above, is_read: true })
    }

    /// With what the webhook says, too: it must not be lost, whatever is read. `paidAt` is optional (A.15), the event
    /// is not.
    pub(crate) fn and_hint(self, hint: &Hint, record: &InvoiceRecord) -> Self {
        // Told of another amount, and shown none: it may be that one alone.
        let is_others =
            record.refund_under_way().zip(hint.refunded).is_some_and(|(ours, told)| !record.is_meant(ours.total, told));
        let is_doubtful = self.ours == OurRefund::Done && is_others && !self.shows_refunds;
        let ours = if is_doubtful { OurRefund::Unclear } else { self.ours };
        Self { paid: self.paid || hint.phase == InvoicePhase::Paid, told: hint.refunded, ours, ..self }
    }

    /// From the webhook alone, where the invoice can no longer be read.
    pub(crate) fn of_hint(hint: &Hint, record: &InvoiceRecord) -> Self {
        // Webhooks come in any order: one that is late moves nothing back.
        let settled = record.booked_paid || record.booked_refunds > Money::ZERO;
        let early = !matches!(hint.phase, InvoicePhase::Paid | InvoicePhase::Refunded);
        let late = (settled && early) || (record.phase == InvoicePhase::Refunded && hint.phase == InvoicePhase::Paid);
        Self::of_phase((!late).then_some(hint.phase)).and_hint(hint, record)
    }
}

fn phase(state: &InvoiceState) -> Option<InvoicePhase> {
    match state {
        InvoiceState::Draft | InvoiceState::Pending | InvoiceState::Scheduled => Some(InvoicePhase::Submitted),
        InvoiceState::Invoiced => Some(InvoicePhase::Invoiced),
        InvoiceState::Paid => Some(InvoicePhase::Paid),
        InvoiceState::NotPaid => Some(InvoicePhase::NotPaid),
        InvoiceState::Overdue => Some(InvoicePhase::Overdue),
        InvoiceState::RefundRequested => Some(InvoicePhase::RefundRequested),
        InvoiceState::Refunded => Some(InvoicePhase::Refunded),
        InvoiceState::Other(_) => None,
    }
}

/// Judges by the amount, which must be what we asked for or that and all before, and by the time, which must be after
/// our asking and after what was refunded before. Without a time the amount must tell the two apart.
fn our_refund(invoice: &Invoice, record: &InvoiceRecord) -> Result<OurRefund, ApiError> {
    let Some(asked) = record.refund_under_way() else { return Ok(OurRefund::NotDone) };
    // What nobody has asked Vercel for is not done.
    let Some(tried_at) = asked.tried_at.filter(|_| invoice.state == InvoiceState::Refunded) else {
        return Ok(OurRefund::NotDone);
    };
    let asked_at = asked.asked_at.max(tried_at);
    let before = record.booked_refunds;
    let shown = invoice.refund_total.as_ref().map(|total| total.money().map_err(ApiError::internal)).transpose()?;
    let fits = shown.map(|shown| [asked.total, before + asked.total].iter().any(|it| record.is_meant(*it, shown)));
    let is_as_before = shown.is_some_and(|shown| record.is_meant(before, shown));
    Ok(match (invoice.refunded_at, fits) {
        // An absent total never means all of the invoice: it says nothing.
        (Some(at), None | Some(true)) if is_since(at, record, asked_at) => OurRefund::Done,
        // Something else was refunded since: perhaps beside ours, perhaps instead. Its webhook tells.
        (Some(at), Some(false)) if is_since(at, record, asked_at) => OurRefund::Unclear,
        (Some(_), _) => OurRefund::NotDone,
        (None, Some(true)) if !is_as_before => OurRefund::Done,
        (None, Some(false)) if is_as_before => OurRefund::NotDone,
        (None, _) => OurRefund::Unclear,
    })
}

fn is_since(at: Timestamp, record: &InvoiceRecord, asked_at: Timestamp) -> bool {
    // Vercel's clock and ours.
    let asked_at = asked_at.saturating_sub(CLOCKS_APART).unwrap_or(asked_at);
    at >= asked_at && record.refunded_at.is_none_or(|before| at > before)
}

/// Whether an invoice at Vercel is ours: by its `externalId` and its lines, not by its total, which may contain tax.
/// The error is why it is not.
pub(crate) fn compare(invoice: &Invoice, record: &InvoiceRecord) -> Result<(), Reason> {
    let differs = |theirs: String| Reason::TotalDiffers { ours: record.total, theirs };
    if invoice.external_id.as_ref().is_some_and(|external| *external != record.external_id) {
        return Err(Reason::AnotherInvoice);
    }
    let lines = invoice.items.iter().map(|line| line.total.money());
    let taken_off = invoice.discounts.iter().flatten().map(|it| it.amount.money().map(|amount| -amount));
    let of_lines: Result<Money, _> = lines.chain(taken_off).sum();
    // Without lines there is only the total.
    if !invoice.items.is_empty() && of_lines != Ok(record.total) {
        return Err(differs(of_lines.map_or_else(|error| error.to_string(), |sum| sum.to_string())));
    }
    match invoice.total.money() {
        Ok(total) if total >= record.total => Ok(()),
        _ => Err(differs(invoice.total.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::book::tests::record;
    use crate::state::{RefundPhase, RefundRecord};
    use serde_json::json;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn invoice(state: &str, refund_total: Option<&str>, refunded_at: Option<i64>) -> Invoice {
        let mut body = json!({ "invoiceId": "mi_1", "state": state, "invoiceDate": at(0), "total": "20.00",
                               "period": { "start": at(0), "end": at(1) }, "externalId": "icfg_1.i1" });
        if let Some(total) = refund_total {
            body["refundTotal"] = json!(total);
        }
        if let Some(hour) = refunded_at {
            body["refundedAt"] = json!(at(hour));
        }
        serde_json::from_str(&body.to_string()).unwrap()
    }

    /// 5.00 were asked for in hour 10; before that, `before` were refunded, in hour 5.
    fn asked(before: &str) -> InvoiceRecord {
        let (before, total) = (money(before), money("5.00"));
        let refund = RefundRecord {
            total,
            reason: "outage".to_owned(),
            phase: RefundPhase::Requested,
            refunded_before: before,
            asked_at: at(10),
            tried_at: Some(at(10)),
        };
        let refunded_at = (before > Money::ZERO).then(|| at(5));
        InvoiceRecord { refund: Some(refund), booked_refunds: before, refunded_at, ..record() }
    }

    #[test]
    fn what_we_asked_for_decides_whether_it_was_refunded() {
        use OurRefund::{Done, NotDone, Unclear};
        for (before, state, total, when, wanted) in [
            ("0.00", "refunded", Some("5.00"), Some(11), Done),
            ("0.00", "refunded", Some("5.00"), None, Done),
            ("0.00", "refunded", None, Some(11), Done),
            ("0.00", "refunded", None, None, Unclear),
            ("0.00", "paid", Some("5.00"), Some(11), NotDone),
            ("0.00", "refund_requested", Some("5.00"), Some(11), NotDone),
            // Somebody else's, before ours and since.
            ("0.00", "refunded", Some("5.00"), Some(9), NotDone),
            ("0.00", "refunded", Some("7.00"), Some(11), Unclear),
            ("0.00", "refunded", Some("7.00"), None, Unclear),
            // All of it, or the last.
            ("3.00", "refunded", Some("8.00"), Some(11), Done),
            ("3.00", "refunded", Some("5.00"), Some(11), Done),
            ("3.00", "refunded", Some("3.00"), Some(5), NotDone),
            ("3.00", "refunded", Some("8.00"), None, Done),
            ("3.00", "refunded", Some("5.00"), None, Done),
            ("3.00", "refunded", Some("3.00"), None, NotDone),
            // The one before was over the same amount: only the time tells.
            ("5.00", "refunded", Some("5.00"), Some(11), Done),
            ("5.00", "refunded", Some("5.00"), Some(5), NotDone),
            ("5.00", "refunded", Some("5.00"), None, Unclear),
            ("5.00", "refunded", Some("10.00"), None, Done),
        ] {
            let got = our_refund(&invoice(state, total, when), &asked(before)).unwrap();
            assert_eq!(got, wanted, "{before} {state} {total:?} {when:?}");
        }
        assert_eq!(
            our_refund(&invoice("refunded", Some("20.00"), Some(11)), &record()).unwrap(),
            NotDone,
            "nobody asked"
        );
    }

    /// The answer to ours was lost, and somebody else's fell beside it: ours is in doubt until its own webhook comes,
    /// however often the invoice is read. To ask again might refund twice.
    #[test]
    fn ours_stays_in_doubt_until_its_own_webhook_comes() {
        let hint = |refunded: &str| Hint {
            phase: InvoicePhase::Refunded,
            refunded: Some(money(refunded)),
            vercel_id: "mi_1".parse().unwrap(),
            event: None,
        };
        for shown in [Some("8.00"), Some("3.00"), None] {
            let mut it = asked("0.00");
            let read = invoice("refunded", shown, Some(11));
            if shown.is_some() {
                let seen = Seen::of_invoice(&read, &it).unwrap();
                crate::invoice::book(&mut it, seen, at(12)).unwrap();
            }
            let seen = Seen::of_invoice(&read, &it).unwrap().and_hint(&hint("3.00"), &it);
            assert_eq!(seen.ours, OurRefund::Unclear, "{shown:?}");
            crate::invoice::book(&mut it, seen, at(12)).unwrap();
            assert_eq!(it.booked_refunds, money("3.00"), "{shown:?}");
            let again = our_refund(&read, &it).unwrap();
            assert!(again != OurRefund::NotDone && it.refund_under_way().is_some(), "{shown:?} {again:?}");
            let seen = Seen::of_invoice(&read, &it).unwrap().and_hint(&hint("5.00"), &it);
            crate::invoice::book(&mut it, seen, at(13)).unwrap();
            assert_eq!((it.booked_refunds, it.refund_under_way()), (money("8.00"), None), "{shown:?}");
        }
    }

    #[test]
    fn an_invoice_is_ours_by_its_id_and_lines_and_its_total_may_have_tax() {
        let line = |total: &str| {
            json!([{ "billingPlanId": "team", "name": "Base", "price": total, "quantity": 1,
                                          "units": "month", "total": total, "resourceId": "icfg_1.r1" }])
        };
        let with = |external: Option<&str>, items: serde_json::Value, total: &str| {
            let mut body = serde_json::to_value(invoice("paid", None, None)).unwrap();
            body["externalId"] = json!(external);
            body["items"] = items;
            body["total"] = json!(total);
            compare(&serde_json::from_str(&body.to_string()).unwrap(), &record())
        };
        let differs = |theirs: &str| Err(Reason::TotalDiffers { ours: money("20.00"), theirs: theirs.to_owned() });
        for (external, items, total, wanted) in [
            (Some("icfg_1.i1"), line("20.00"), "20.00", Ok(())),
            (Some("icfg_1.i1"), line("20.00"), "23.80", Ok(())),
            (None, line("20.00"), "23.80", Ok(())),
            (Some("icfg_1.i1"), json!([]), "23.80", Ok(())),
            (Some("icfg_1.i1"), line("20.00"), "19.99", differs("19.99")),
            (Some("icfg_1.i1"), line("23.80"), "23.80", differs("23.80")),
            (Some("icfg_1.i2"), line("20.00"), "20.00", Err(Reason::AnotherInvoice)),
        ] {
            assert_eq!(with(external, items.clone(), total), wanted, "{external:?} {items} {total}");
        }
        let seen = Seen::of_invoice(&invoice("paid", None, None), &InvoiceRecord { total: money("16.20"), ..record() });
        assert_eq!(seen.unwrap().above, Some(money("3.80")));
    }
}
