//! Booking: what Vercel says of an invoice becomes its phase and entries in the ledger, each once.

use jiff::Timestamp;
use tradepost_marketplace::money::Money;
use tradepost_store::Write;

use super::entry_write;
use super::seen::{OurRefund, Seen};
use crate::edge::ApiError;
use crate::state::{InvoicePhase, InvoiceRecord, RefundPhase};
use tradepost_pricing::ledger::{Entry, LedgerError};

/// How many refunds may be booked whose webhook has not come.
const UNTOLD_MAX: usize = 16;

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
    if let Some(above) = seen.above.filter(|above| record.above != Some(*above)) {
        let message = "Vercel's total is above ours: tax, most likely";
        tracing::info!(invoice.id = %record.external_id, invoice.above = %above, "{message}");
        record.above = Some(above);
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
    for amount in refunds(record, &seen) {
        let before = record.booked_refunds;
        // Vercel's amounts may contain tax; in the books no more goes back than was invoiced.
        let amount = amount.min(record.total - before);
        record.booked_refunds = before + amount;
        entries.push(enter(Entry::refunded(&record.external_id, now, amount, before, record.booked_paid))?);
    }
    // While ours is in doubt, what came beside it must not make it look undone.
    if seen.ours != OurRefund::Unclear && seen.refunded_at > record.refunded_at {
        record.refunded_at = seen.refunded_at;
    }
    if let Some(phase) = seen.phase {
        move_on(record, &seen, phase);
    }
    let id = record.installation.clone();
    entries.into_iter().filter_map(|entry| entry_write(&id, entry).transpose()).collect()
}

/// The phase, and what it says of the refund that we asked for.
fn move_on(record: &mut InvoiceRecord, seen: &Seen, phase: InvoicePhase) {
    match record.refund.as_mut() {
        Some(refund)
            if refund.phase == RefundPhase::Requested
                && seen.is_read
                && seen.ours == OurRefund::NotDone
                && shows_no_refund_under_way(phase) =>
        {
            // Vercel could not give it back: the next refund may be asked for.
            tracing::error!(invoice.id = %record.external_id, "a refund was not carried out");
            refund.phase = RefundPhase::Rejected;
        }
        Some(refund) if refund.phase == RefundPhase::Requesting && phase == InvoicePhase::RefundRequested => {
            refund.phase = RefundPhase::Requested;
        }
        _ => {}
    }
    record.phase = phase;
}

/// The refunds that are to be booked now, each once, although most are heard of twice: ours by reading the invoice and
/// by its webhook, in either order; somebody else's by its webhook alone.
fn refunds(record: &mut InvoiceRecord, seen: &Seen) -> Vec<Money> {
    let mut booked = Vec::new();
    let mut ours = record.refund_under_way().map(|refund| refund.total);
    if let Some(amount) = ours.filter(|_| seen.ours == OurRefund::Done) {
        booked.push(amount);
        record.untold_refunds.push(amount);
        let extra = record.untold_refunds.len().saturating_sub(UNTOLD_MAX);
        record.untold_refunds.drain(..extra);
        refunded(record);
        ours = None;
    }
    let Some(told) = seen.told else { return booked };
    let all = record.booked_refunds + booked.iter().copied().sum::<Money>();
    // To the cent first, then with the tax on it.
    let whose = of_whom(record, all, ours, |ours| ours == told)
        .or_else(|| of_whom(record, all, ours, |ours| record.is_meant(ours, told)));
    if let Some(Whose::Known(index)) = whose {
        record.untold_refunds.remove(index);
    } else if record.is_booked_by_an_earlier_release(told) {
        tracing::info!(invoice.id = %record.external_id, refund.amount = %told, "a refund that is booked already");
    } else if let Some(Whose::Ours(amount)) = whose {
        booked.push(amount);
        refunded(record);
    } else {
        let message = "Vercel refunded what nobody here asked for";
        tracing::warn!(invoice.id = %record.external_id, refund.amount = %told, "{message}");
        booked.push(told);
    }
    booked
}

/// Whose refund a webhook tells of.
enum Whose {
    /// The one of this index, that is booked already.
    Known(usize),
    /// The one that we asked for, and that is not booked yet.
    Ours(Money),
}

/// Finds it by an amount, which may be that of all refunds, too; nothing if nobody here asked for it.
fn of_whom(record: &InvoiceRecord, all: Money, ours: Option<Money>, is: impl Fn(Money) -> bool) -> Option<Whose> {
    let known = record.untold_refunds.iter().position(|untold| is(*untold));
    let known = known.or_else(|| record.untold_refunds.len().checked_sub(1).filter(|_| is(all)));
    known.map(Whose::Known).or_else(|| ours.filter(|ours| is(*ours) || is(all + *ours)).map(Whose::Ours))
}

/// The refund that we asked for did not come to pass, if it is this far. Returns whether it is.
pub(crate) fn not_refunded(record: &mut InvoiceRecord, phase: RefundPhase) -> bool {
    let Some(refund) = record.refund.as_mut().filter(|refund| refund.phase == phase) else { return false };
    refund.phase = RefundPhase::Rejected;
    true
}

fn refunded(record: &mut InvoiceRecord) {
    if let Some(refund) = &mut record.refund {
        refund.phase = RefundPhase::Refunded;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::{LineSet, RefundRecord, SignedMoney};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    /// A paid invoice over 20.00.
    pub(crate) fn record() -> InvoiceRecord {
        InvoiceRecord {
            installation: "icfg_1".parse().unwrap(),
            number: 1,
            external_id: "icfg_1.i1".parse().unwrap(),
            vercel_id: None,
            phase: InvoicePhase::Paid,
            period_start: at(0),
            period_end: at(1),
            invoice_date: at(0),
            total: money("20.00"),
            carried_in: SignedMoney::ZERO,
            is_final: false,
            is_test: false,
            lines: LineSet::default(),
            booked_issued: true,
            booked_paid: true,
            booked_refunds: Money::ZERO,
            refund: None,
            refunded_at: None,
            untold_refunds: Vec::new(),
            notes_untold: true,
            above: None,
            abandoned: None,
            refused: None,
            created_at: at(0),
        }
    }

    /// What is done to a record, in a table.
    enum Step {
        /// We ask for a refund of this.
        Ask(&'static str),
        /// The invoice is read, and says this of our refund.
        Read(OurRefund),
        /// A webhook tells of a refund of this; the invoice that is read for it says this of ours.
        Told(&'static str, OurRefund),
        /// So does the webhook alone: the invoice cannot be read.
        OnlyTold(&'static str),
    }

    fn played(steps: &[Step]) -> (String, Vec<String>) {
        let mut it = record();
        for (hour, step) in (10..).zip(steps) {
            let read = |ours| Seen {
                ours,
                refunded_at: Some(at(hour)),
                is_read: true,
                ..Seen::of_phase(Some(InvoicePhase::Refunded))
            };
            let seen = match step {
                Step::Ask(total) => {
                    it.refund = Some(RefundRecord {
                        total: money(total),
                        reason: "outage".to_owned(),
                        phase: RefundPhase::Requested,
                        refunded_before: it.booked_refunds,
                        asked_at: at(hour),
                        tried_at: Some(at(hour)),
                    });
                    continue;
                }
                Step::Read(ours) => read(*ours),
                Step::Told(amount, ours) => Seen { told: Some(money(amount)), ..read(*ours) },
                Step::OnlyTold(amount) => {
                    Seen { told: Some(money(amount)), ..Seen::of_phase(Some(InvoicePhase::Refunded)) }
                }
            };
            book(&mut it, seen, at(hour)).unwrap();
        }
        (it.booked_refunds.to_string(), it.untold_refunds.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_refund_is_booked_once_whoever_tells_of_it_first() {
        use OurRefund::{Done, NotDone, Unclear};
        use Step::{Ask, OnlyTold, Read, Told};
        let nothing: [&str; 0] = [];
        for (what, steps, booked, untold) in [
            ("read, then told", vec![Ask("5.00"), Read(Done), Told("5.00", NotDone)], "5.00", &nothing[..]),
            ("read", vec![Ask("5.00"), Read(Done)], "5.00", &["5.00"]),
            ("told", vec![Ask("5.00"), Told("5.00", Done)], "5.00", &nothing),
            ("told, before it can be read", vec![Ask("5.00"), Told("5.00", NotDone), Read(NotDone)], "5.00", &nothing),
            ("told, and unclear", vec![Ask("5.00"), Read(Unclear), Told("5.00", Unclear)], "5.00", &nothing),
            ("only told", vec![Ask("5.00"), OnlyTold("5.00")], "5.00", &nothing),
            ("nobody asked", vec![Told("5.00", NotDone)], "5.00", &nothing),
            ("read, and nobody asked", vec![Read(NotDone)], "0.00", &nothing),
            ("theirs, beside ours", vec![Ask("5.00"), Told("3.00", Unclear), Told("5.00", Unclear)], "8.00", &nothing),
            (
                "theirs of the same amount",
                vec![Ask("5.00"), Told("5.00", Done), Told("5.00", NotDone)],
                "10.00",
                &nothing,
            ),
            (
                "two, and both told late",
                vec![Ask("5.00"), Read(Done), Ask("3.00"), Read(Done), Told("3.00", NotDone), Told("5.00", NotDone)],
                "8.00",
                &nothing,
            ),
            (
                "two, told as the sum of all",
                vec![Ask("5.00"), Told("5.00", Done), Ask("3.00"), Told("8.00", Done)],
                "8.00",
                &nothing,
            ),
            ("more than there is", vec![Told("23.80", NotDone)], "20.00", &nothing),
        ] {
            let (total, left) = played(&steps);
            assert_eq!(
                (total.as_str(), left.as_slice()),
                (booked, untold.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{what}"
            );
        }
    }

    /// With 19 % of tax in Vercel's total: an amount is ours with the tax on it; one that fits to the cent comes first.
    #[test]
    fn a_refund_is_told_by_its_amount_to_the_cent_or_with_its_tax() {
        let taxed = InvoiceRecord { above: Some(money("3.80")), ..record() };
        for (ours, said, is_meant) in [
            ("5.00", "5.00", true),
            ("5.00", "5.95", true),
            ("5.00", "5.96", true),
            ("5.00", "5.97", false),
            ("5.00", "5.90", false),
            ("20.00", "23.80", true),
        ] {
            assert_eq!(taxed.is_meant(money(ours), money(said)), is_meant, "{ours} {said}");
            assert_eq!(record().is_meant(money(ours), money(said)), ours == said, "{ours} {said}, without tax");
        }
        let untold = vec![money("5.00"), money("5.95")];
        let mut it = InvoiceRecord { booked_refunds: money("10.95"), untold_refunds: untold, ..taxed };
        let seen = Seen { told: Some(money("5.95")), is_read: true, ..Seen::of_phase(Some(InvoicePhase::Refunded)) };
        book(&mut it, seen, at(7)).unwrap();
        assert_eq!((it.booked_refunds, it.untold_refunds), (money("10.95"), vec![money("5.00")]));
    }

    /// It booked by reading, and did not note that the webhook had yet to come.
    #[test]
    fn what_an_earlier_release_booked_is_not_booked_again_by_its_webhook() {
        let refund = RefundRecord {
            total: money("5.00"),
            reason: "outage".to_owned(),
            phase: RefundPhase::Refunded,
            refunded_before: Money::ZERO,
            asked_at: at(5),
            tried_at: Some(at(5)),
        };
        let before = InvoiceRecord { notes_untold: false, ..record() };
        let mut it = InvoiceRecord { booked_refunds: money("5.00"), refund: Some(refund), ..before };
        let seen = Seen {
            told: Some(money("5.00")),
            refunded_at: Some(at(6)),
            is_read: true,
            ..Seen::of_phase(Some(InvoicePhase::Refunded))
        };
        book(&mut it, seen, at(7)).unwrap();
        assert_eq!(it.booked_refunds, money("5.00"));
        // From now on it is known when the last was.
        book(&mut it, seen, at(8)).unwrap();
        assert_eq!(it.booked_refunds, money("10.00"));
    }
}
