//! The lines of an invoice, in chunks: an item holds 400 KB, an invoice may be larger.

use serde::Serialize;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Discount, LineItem};
use tradepost_store::Write;

use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::{InvoiceLines, InvoiceRecord, LineSet, keys};

/// How many lines a chunk has: about 400 bytes each, 160 KB in all.
const CHUNK_LINES: usize = 400;

/// Writes the lines under their own digest: a write of the same lines again changes nothing, and other lines
/// lie elsewhere.
pub(crate) async fn write(
    provider: &Provider,
    id: &InstallationId,
    number: u32,
    items: &[LineItem],
    discounts: &[Discount],
) -> Result<LineSet, ApiError> {
    let count = items.len().max(discounts.len()).div_ceil(CHUNK_LINES).max(1);
    let digest = keys::digest_of(&[text(items)?.as_bytes(), text(discounts)?.as_bytes()])[..16].to_owned();
    for chunk in 0..count {
        let part = |length: usize| (chunk * CHUNK_LINES).min(length)..((chunk + 1) * CHUNK_LINES).min(length);
        let record = InvoiceLines {
            installation: id.clone(),
            number,
            digest: digest.clone(),
            chunk: u32::try_from(chunk).map_err(ApiError::internal)?,
            items: text(&items[part(items.len())])?,
            discounts: text(&discounts[part(discounts.len())])?,
        };
        provider.store.commit(vec![Write::overwrite(&record, 1)?]).await?;
    }
    Ok(LineSet { digest, chunks: u32::try_from(count).map_err(ApiError::internal)? })
}

fn text<T: Serialize>(part: &[T]) -> Result<String, ApiError> {
    serde_json::to_string(part).map_err(ApiError::internal)
}

/// Reads them back.
pub(crate) async fn read(
    provider: &Provider,
    invoice: &InvoiceRecord,
) -> Result<(Vec<LineItem>, Vec<Discount>), ApiError> {
    let (mut items, mut discounts) = (Vec::new(), Vec::new());
    let LineSet { digest, chunks } = &invoice.lines;
    for chunk in 0..*chunks {
        let key = InvoiceLines::key_of(&invoice.installation, invoice.number, digest, chunk);
        let record = provider.store.get::<InvoiceLines>(&key).await?;
        let record = record.ok_or_else(|| ApiError::internal("lines of an invoice are missing"))?;
        items.extend(serde_json::from_str::<Vec<LineItem>>(&record.items).map_err(ApiError::internal)?);
        discounts.extend(serde_json::from_str::<Vec<Discount>>(&record.discounts).map_err(ApiError::internal)?);
    }
    Ok((items, discounts))
}
