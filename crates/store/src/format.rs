//! The number of an item's format: what keeps a release from misreading, or overwriting, what a newer one wrote.
//!
//! Every item carries the format of the release that wrote it ([`attribute::FORMAT`]). While a new release is
//! deployed, or after it was rolled back, the functions of two releases share the table. An older one that read a newer
//! item would drop the fields that it does not know, and write the rest back. So a read refuses such an item
//! (`check`), and every write that may replace an item has the condition that it is not newer (`dynamo`).
//!
//! To change how an item is stored: raise [`FORMAT`], and let serde's defaults read what the release before wrote.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::backend::Item;
use crate::key::Key;
use crate::table::attribute;

/// The format in which this release writes. Items without a number, from before there were any, have format 0.
pub const FORMAT: u64 = 1;

/// The formats that this release reads: its own and the one before.
pub const READS: RangeInclusive<u64> = FORMAT.saturating_sub(1)..=FORMAT;

/// An item whose format this release does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the item {key} ({kind}) has format {format}, this release reads formats {} to {}: {}",
    READS.start(),
    READS.end(),
    way_out(*format)
)]
pub struct UnknownFormat {
    /// The item.
    pub key: Key,
    /// Its [`crate::Record::KIND`].
    pub kind: String,
    /// The format number that the item carries.
    pub format: u64,
}

fn way_out(format: u64) -> &'static str {
    if is_newer(format) {
        "a newer release wrote it; deploy that one here too"
    } else {
        "it is too old; the release before this one reads it"
    }
}

/// Whether only a newer release may write over it.
fn is_newer(format: u64) -> bool {
    format > *READS.end()
}

/// Refuses a format that this release does not read.
pub(crate) fn check(key: &Key, kind: &str, format: u64) -> Result<(), UnknownFormat> {
    if READS.contains(&format) {
        return Ok(());
    }
    Err(UnknownFormat { key: key.clone(), kind: kind.to_owned(), format })
}

/// The number as it is stored.
pub(crate) fn stored() -> AttributeValue {
    AttributeValue::N(FORMAT.to_string())
}

/// The number of an item; 0 if it has none, and nothing if that is no number.
pub(crate) fn of(item: &Item) -> Option<u64> {
    match item.get(attribute::FORMAT) {
        None => Some(0),
        Some(AttributeValue::N(digits)) => digits.parse().ok(),
        Some(_) => None,
    }
}

/// What a failed guard has met, if that is an item which only a newer release may write over.
pub(crate) fn newer(key: &Key, met: Option<&Item>) -> Option<UnknownFormat> {
    let met = met?;
    let format = of(met).filter(|format| is_newer(*format))?;
    let kind = met.get(attribute::KIND).and_then(|kind| kind.as_s().ok()).map_or("of no kind", String::as_str);
    Some(UnknownFormat { key: key.clone(), kind: kind.to_owned(), format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_format_and_the_one_before_are_read_and_no_other() {
        let key = Key::new("p", "s");
        for format in [FORMAT - 1, FORMAT] {
            assert_eq!(check(&key, "task", format), Ok(()));
        }
        let refused = check(&key, "task", FORMAT + 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the item p / s (task) has format 2, this release reads formats 0 to 1: a newer release wrote it; deploy \
             that one here too"
        );
    }

    #[test]
    fn only_what_is_newer_is_kept_from_being_overwritten() {
        let item = |format: Option<AttributeValue>| {
            let mut item = Item::from([(attribute::KIND.to_owned(), AttributeValue::S("task".to_owned()))]);
            item.extend(format.map(|format| (attribute::FORMAT.to_owned(), format)));
            item
        };
        let number = |digits: &str| Some(AttributeValue::N(digits.to_owned()));
        let met = |format| newer(&Key::new("p", "s"), Some(&item(format))).map(|met| (met.kind, met.format));
        assert_eq!(met(None), None);
        assert_eq!(met(number("0")), None);
        assert_eq!(met(number("1")), None);
        assert_eq!(met(number("2")), Some(("task".to_owned(), 2)));
        assert_eq!(met(Some(AttributeValue::S("2".to_owned()))), None);
        assert_eq!(newer(&Key::new("p", "s"), None), None);
    }
}
