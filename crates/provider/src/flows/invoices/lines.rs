//! The lines of an invoice, in chunks: an item holds 400 KB, an invoice may be larger.

use serde::Serialize;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Discount, LineItem};
use tradepost_store::Write;

use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::InvoiceLines;

/// How many lines a chunk has: about 400 bytes each, 160 KB in all.
const CHUNK_LINES: usize = 400;

/// Writes the lines, overwriting those of an earlier try under the same number. Returns how many chunks.
pub(super) async fn write(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    items: &[LineItem],
    discounts: &[Discount],
) -> Result<u32, ApiError> {
    let count = items.len().max(discounts.len()).div_ceil(CHUNK_LINES).max(1);
    for chunk in 0..count {
        let part = |length: usize| (chunk * CHUNK_LINES).min(length)..((chunk + 1) * CHUNK_LINES).min(length);
        let record = InvoiceLines {
            installation: id.clone(),
            number,
            chunk: u32::try_from(chunk).map_err(ApiError::internal)?,
            items: text(&items[part(items.len())])?,
            discounts: text(&discounts[part(discounts.len())])?,
        };
        provider.store.commit(vec![Write::overwrite(&record, 1)?]).await?;
    }
    u32::try_from(count).map_err(ApiError::internal)
}

fn text<T: Serialize>(part: &[T]) -> Result<String, ApiError> {
    serde_json::to_string(part).map_err(ApiError::internal)
}

/// Reads them back.
pub(super) async fn read(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    chunks: u32,
) -> Result<(Vec<LineItem>, Vec<Discount>), ApiError> {
    let (mut items, mut discounts) = (Vec::new(), Vec::new());
    for chunk in 0..chunks {
        let record = provider.store.get::<InvoiceLines>(&InvoiceLines::key_of(id, number, chunk)).await?;
        let record = record.ok_or_else(|| ApiError::internal("lines of an invoice are missing"))?;
        items.extend(serde_json::from_str::<Vec<LineItem>>(&record.items).map_err(ApiError::internal)?);
        discounts.extend(serde_json::from_str::<Vec<Discount>>(&record.discounts).map_err(ApiError::internal)?);
    }
    Ok((items, discounts))
}
