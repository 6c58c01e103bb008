//! Invoices, their lines and refunds, and the ledger, as they are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{ExternalInvoiceId, InstallationId, InvoiceId};
use tradepost_marketplace::money::Money;
use tradepost_store::{Key, Record};

use super::keys;
use super::signed::SignedMoney;
use tradepost_pricing::ledger::Entry;

/// Where an invoice is, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoicePhase {
    /// To be submitted; the effect is in the money lane.
    Submitting,
    /// Submitted, but the answer said no more than "already there" (409).
    Unknown,
    /// Vercel has it.
    Submitted,
    /// Sent to the customer.
    Invoiced,
    /// Paid.
    Paid,
    /// A payment failed; Vercel tries again.
    NotPaid,
    /// The payment window is over.
    Overdue,
    /// A refund is on its way.
    RefundRequested,
    /// Refunded, in full or in part.
    Refunded,
    /// Vercel refused it for good: a person must act.
    Rejected,
    /// Given up by a partner system, and written off. Should Vercel turn out to have it, it counts again.
    Abandoned,
}

/// Where a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundPhase {
    /// The effect is in the money lane.
    Requesting,
    /// Vercel has taken it.
    Requested,
    /// The money went back.
    Refunded,
    /// Vercel refused it for good.
    Rejected,
}

/// A refund of an invoice. One at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRecord {
    /// In US dollars; at most the invoice less what was refunded before.
    pub total: Money,
    /// Why, as the customer will read it.
    pub reason: String,
    /// How far it has come.
    pub phase: RefundPhase,
    /// What had been refunded before: for who reads it, and for the release before.
    pub refunded_before: Money,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When Vercel was first asked, noted before it was. What Vercel refunded before is somebody else's.
    #[serde(default = "perhaps_long_ago")]
    pub tried_at: Option<Timestamp>,
}

/// What an earlier release asked for, it may have asked Vercel for.
#[expect(clippy::unnecessary_wraps, reason = "the type of the field that it stands for")]
fn perhaps_long_ago() -> Option<Timestamp> {
    Some(Timestamp::UNIX_EPOCH)
}

/// That Vercel refuses an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The first refusal.
    pub since: Timestamp,
    /// How often.
    pub times: u32,
    /// Whether its lines were put under other plans for it.
    pub is_revised: bool,
}

/// The lines of an invoice, by their content: another try at a close with other lines does not touch them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSet {
    /// The beginning of the SHA-256 of all of them.
    pub digest: String,
    /// Items that they lie in.
    pub chunks: u32,
}

/// An invoice of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each of its own event")]
pub struct InvoiceRecord {
    /// The customer's.
    pub installation: InstallationId,
    /// Counts from 1 in an installation.
    pub number: u32,
    /// The key that Vercel dedupes by.
    pub external_id: ExternalInvoiceId,
    /// Vercel's id, once known.
    pub vercel_id: Option<InvoiceId>,
    /// How far it has come, as far as we know.
    pub phase: InvoicePhase,
    /// `[start, end)`.
    pub period_start: Timestamp,
    /// `[start, end)`.
    pub period_end: Timestamp,
    /// Inside the period (spec A.14).
    pub invoice_date: Timestamp,
    /// Sum of lines less discounts.
    pub total: Money,
    /// What was carried into it; negative in the customer's favour.
    #[serde(rename = "carried_in_cents")]
    pub carried_in: SignedMoney,
    /// Whether it is the last (spec A.14 `final`).
    pub is_final: bool,
    /// For a rehearsal (spec A.14 `test`).
    pub is_test: bool,
    /// Which [`InvoiceLines`] hold its lines.
    pub lines: LineSet,
    /// What the ledger has of it: issued, paid, refunded so far.
    pub booked_issued: bool,
    /// Whether the payment is in the ledger.
    pub booked_paid: bool,
    /// What the ledger has refunded.
    pub booked_refunds: Money,
    /// The latest refund that we asked for.
    pub refund: Option<RefundRecord>,
    /// When Vercel last refunded, by its own clock, as it was last read.
    #[serde(default)]
    pub refunded_at: Option<Timestamp>,
    /// Refunds that are booked and whose webhook has yet to come: it must not book them again.
    #[serde(default)]
    pub untold_refunds: Vec<Money>,
    /// Whether they are noted: not of what an earlier release made.
    #[serde(default)]
    pub notes_untold: bool,
    /// By how much Vercel's total is above ours.
    #[serde(default)]
    pub above: Option<Money>,
    /// Why it was given up, while the ledger has it written off.
    #[serde(default)]
    pub abandoned: Option<String>,
    /// That Vercel refuses it.
    #[serde(default)]
    pub refused: Option<Refused>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl InvoiceRecord {
    /// Whether nothing more will come of it: it is paid, given back or given up, and no refund is under way.
    pub fn is_settled(&self) -> bool {
        use InvoicePhase::{Abandoned, Paid, Refunded};
        (self.is_test || matches!(self.phase, Paid | Refunded | Abandoned)) && self.refund_under_way().is_none()
    }

    /// The refund that we asked for and that is not over.
    pub fn refund_under_way(&self) -> Option<&RefundRecord> {
        let is_under_way = |it: &&RefundRecord| matches!(it.phase, RefundPhase::Requesting | RefundPhase::Requested);
        self.refund.as_ref().filter(is_under_way)
    }

    /// Whether Vercel means this amount of ours by what it says: it may put the tax on top, rounded as it pleases. How
    /// much tax there is, its total shows.
    pub fn is_meant(&self, ours: Money, said: Money) -> bool {
        let tax = self.above.map_or(0, Money::cents);
        let total = i128::from(self.total.cents());
        let with_tax = i128::from(ours.cents()) * (total + i128::from(tax));
        // One cent apart at most, compared in parts of the total.
        let is_taxed = (i128::from(said.cents()) * total - with_tax).abs() <= total;
        said == ours || (tax > 0 && total > 0 && is_taxed)
    }

    /// Whether a refund of this amount was booked by a release that did not note whose webhook had yet to come.
    pub fn is_booked_by_an_earlier_release(&self, amount: Money) -> bool {
        let booked = self.refund.as_ref().filter(|refund| refund.phase == RefundPhase::Refunded);
        !self.notes_untold && self.refunded_at.is_none() && booked.is_some_and(|refund| refund.total == amount)
    }

    /// Its key.
    pub fn key_of(installation: &InstallationId, number: u32) -> Key {
        keys::within(installation, format!("{}{number:08}", keys::INVOICES))
    }
}

impl Record for InvoiceRecord {
    const KIND: &'static str = "invoice";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, self.number)
    }
}

/// A part of an invoice's lines: an item holds 400 KB, an invoice may be larger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvoiceLines {
    /// The customer's.
    pub installation: InstallationId,
    /// Of which invoice.
    pub number: u32,
    /// Of which set.
    pub digest: String,
    /// Counts from 0.
    pub chunk: u32,
    /// Line items, as the JSON text that goes to Vercel.
    pub items: String,
    /// Discounts, likewise.
    pub discounts: String,
}

impl InvoiceLines {
    /// Its key.
    pub fn key_of(installation: &InstallationId, number: u32, digest: &str, chunk: u32) -> Key {
        keys::within(installation, format!("{}{number:08}#{digest}#{chunk:04}", keys::LINES))
    }
}

impl Record for InvoiceLines {
    const KIND: &'static str = "invoice_lines";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, self.number, &self.digest, self.chunk)
    }
}

/// An entry of the ledger, written once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The customer's.
    pub installation: InstallationId,
    /// Balanced, with an id that makes it unique.
    pub entry: Entry,
}

impl LedgerEntry {
    /// Its key.
    pub fn key_of(installation: &InstallationId, entry: &str) -> Key {
        keys::within(installation, format!("{}{entry}", keys::ENTRIES))
    }
}

impl Record for LedgerEntry {
    const KIND: &'static str = "ledger_entry";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.entry.id)
    }
}
