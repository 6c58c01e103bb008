//! What flows and effects share of invoices: their lines, what is known of them at Vercel, and booking it.

pub(crate) mod book;
pub(crate) mod late;
pub(crate) mod lines;
pub(crate) mod seen;

pub(crate) use book::book;
pub(crate) use seen::{OurRefund, Seen};

use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{InstallationId, InvoiceId};
use tradepost_marketplace::money::Money;
use tradepost_pricing::ledger::Entry;
use tradepost_store::{Stored, Write};

use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::{InvoicePhase, InvoiceRecord, LedgerEntry, keys};

/// What carried small amounts are called on the next invoice.
pub(crate) const CARRIED_NAME: &str = "Carried over from earlier periods";

/// What Vercel's webhook said of an invoice: used only where the invoice can no longer be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The state the event stands for.
    pub phase: InvoicePhase,
    /// What was refunded, if that is the event.
    pub refunded: Option<Money>,
    /// Vercel's id of the invoice.
    pub vercel_id: InvoiceId,
    /// The digest of the event's id: of refunds each event counts, also two over the same amount.
    #[serde(default)]
    pub event: Option<String>,
}

/// An invoice by our id; one of another installation is not found.
pub(crate) async fn find(
    provider: &Provider,
    id: &InstallationId,
    invoice: &str,
) -> Result<Stored<InvoiceRecord>, ApiError> {
    let parsed = keys::parse_invoice_id(invoice).filter(|(home, _)| home == id);
    let (_, number) = parsed.ok_or_else(|| ApiError::not_found("invoice"))?;
    let stored = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await?;
    stored.ok_or_else(|| ApiError::not_found("invoice"))
}

/// The write of a ledger entry, if there is anything to enter.
pub(crate) fn entry_write(id: &InstallationId, entry: Option<Entry>) -> Result<Option<Write>, ApiError> {
    let record = entry.map(|entry| LedgerEntry { installation: id.clone(), entry });
    Ok(record.map(|record| Write::create(&record)).transpose()?)
}
