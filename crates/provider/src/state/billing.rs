//! Usage, invoices and the ledger, as they are kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::ids::{ExternalInvoiceId, InstallationId, InvoiceId, ResourceId};
use tradepost_marketplace::money::Money;
use tradepost_store::{Key, Record};

use super::keys;
use super::signed::SignedMoney;
use tradepost_pricing::ledger::Entry;
use tradepost_pricing::metering::Aggregate;

/// The running total of one meter of one resource in one plan segment of one period, with its last days.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeterTotal {
    /// Whose.
    pub installation: InstallationId,
    /// Start of the period.
    pub period_start: Timestamp,
    /// Of which resource.
    pub resource: ResourceId,
    /// In which of its segments.
    pub segment: u32,
    /// Of which meter.
    pub meter: String,
    /// Whether the period is closed: then it lies outside the slice.
    pub closed: bool,
    /// The figures.
    pub aggregate: Aggregate,
}

impl MeterTotal {
    /// Its key, in the slice while the period is open.
    pub fn key_of(
        installation: &InstallationId,
        closed: bool,
        period_start: Timestamp,
        resource: &ResourceId,
        segment: u32,
        meter: &str,
    ) -> Key {
        let prefix = if closed { keys::CLOSED_TOTAL } else { keys::OPEN_TOTAL };
        keys::within(installation, format!("{prefix}{period_start}#{resource}#{segment}#{meter}"))
    }

    /// Where those of a closed period lie.
    pub fn closed_prefix(period_start: Timestamp) -> String {
        format!("{}{period_start}#", keys::CLOSED_TOTAL)
    }

    /// Where those of one resource in a closed period lie.
    pub fn closed_prefix_of(period_start: Timestamp, resource: &ResourceId) -> String {
        format!("{}{period_start}#{resource}#", keys::CLOSED_TOTAL)
    }
}

impl Record for MeterTotal {
    const KIND: &'static str = "meter_total";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, self.closed, self.period_start, &self.resource, self.segment, &self.meter)
    }
}

/// A push that Vercel has not accepted; removed by the next success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushFailed {
    /// Whose.
    pub installation: InstallationId,
    /// Since when.
    pub since: Timestamp,
    /// When the last push before it was accepted, as far as the shard's checkpoint knows.
    #[serde(default)]
    pub accepted_at: Option<Timestamp>,
    /// How many pushes in a row.
    pub attempts: u32,
    /// Ends of usage days whose final figures are still owed.
    pub days_owed: Vec<Timestamp>,
    /// What the last one failed of: a code, never a body.
    pub reason: String,
}

impl PushFailed {
    /// When Vercel last accepted figures, as far as that is known.
    pub fn accepted(&self) -> Timestamp {
        self.accepted_at.unwrap_or(self.since)
    }

    /// Its key.
    pub fn key_of(installation: &InstallationId) -> Key {
        keys::within(installation, keys::PUSH_FAILED)
    }
}

impl Record for PushFailed {
    const KIND: &'static str = "push_failed";

    fn key(&self) -> Key {
        Self::key_of(&self.installation)
    }
}

/// An hour that is served in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Which hour.
    pub hour: Timestamp,
    /// When the first run of it began.
    pub began_at: Timestamp,
    /// The collection of the last installation that was served.
    pub after: String,
    /// The oldest figures that Vercel was left with so far.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
}

/// How far the hourly push of one shard has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardCheckpoint {
    /// 0 to 255.
    pub shard: u8,
    /// The last hour that was served completely.
    pub hour: Timestamp,
    /// When the run that served it began: what became final since then is still to be pushed.
    pub served_at: Timestamp,
    /// The oldest figures that the last complete run left Vercel with; none if every push was accepted.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// The hour being served, if a run had to stop in it.
    pub serving: Option<Serving>,
    /// Until when a run holds the shard.
    pub lease_until: Option<LeaseTime>,
}

impl ShardCheckpoint {
    /// The collection of all of them: one Query finds every shard that is not empty.
    pub const COLLECTION: &'static str = keys::CHECKPOINTS;

    /// Its key.
    pub fn key_of(shard: u8) -> Key {
        Key { pk: Self::COLLECTION.to_owned(), sk: format!("{shard:03}") }
    }
}

impl Record for ShardCheckpoint {
    const KIND: &'static str = "shard_checkpoint";

    fn key(&self) -> Key {
        Self::key_of(self.shard)
    }
}

/// How long a batch is remembered: longer than the late limit of 30 days, so that a late repeat of a
/// batch is still known as one.
pub const BATCH_MEMORY_DAYS: i64 = 45;

/// One batch of readings: the journal entry, and what its repeat is recognised by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsageBatch {
    /// Whose.
    pub installation: InstallationId,
    /// The partner's id of it.
    pub batch: String,
    /// SHA-256 of the canonical body.
    pub digest: String,
    /// When it was taken.
    pub at: Timestamp,
    /// The readings as they came, JSON text.
    pub readings: String,
    /// What was answered, JSON text.
    pub answer: String,
}

impl UsageBatch {
    /// Its key.
    pub fn key_of(installation: &InstallationId, batch: &str) -> Key {
        keys::within(installation, format!("{}{batch}", keys::BATCHES))
    }
}

impl Record for UsageBatch {
    const KIND: &'static str = "usage_batch";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.batch)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.at.checked_add(SignedDuration::from_hours(24 * BATCH_MEMORY_DAYS)).ok()
    }
}

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
    /// How much.
    pub total: Money,
    /// Why, as the customer will read it.
    pub reason: String,
    /// Where it is.
    pub phase: RefundPhase,
    /// What had been refunded before, by which a lost answer is recognised.
    pub refunded_before: Money,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// That Vercel refuses an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Since when.
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
    /// How many chunks.
    pub chunks: u32,
}

/// An invoice of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each of its own event")]
pub struct InvoiceRecord {
    /// Whose.
    pub installation: InstallationId,
    /// Counts from 1 in an installation.
    pub number: u32,
    /// The key that Vercel dedupes by.
    pub external_id: ExternalInvoiceId,
    /// Vercel's id, once known.
    pub vercel_id: Option<InvoiceId>,
    /// Where it is.
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

    /// Whether a refund of this amount was booked by a release that did not note whose webhook had yet to come.
    pub fn is_booked_by_an_earlier_release(&self, amount: Money) -> bool {
        let booked = self.refund.as_ref().filter(|refund| refund.phase == RefundPhase::Refunded);
        self.refunded_at.is_none() && booked.is_some_and(|refund| refund.total == amount)
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
    /// Whose.
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
    /// Whose.
    pub installation: InstallationId,
    /// The entry.
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
