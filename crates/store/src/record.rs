//! Typed items, and how they lie in the table.
//!
//! An item has `pk`, `sk`, `kind` (S), `fmt` (N, its format), `v` (N, its version), `w` (S, the id of the write that
//! made it), `data` (M, the record's own fields), and where the record asks for them `work` and `due` (the due
//! index), `shard` (the shard index) and `ttl` (N, epoch seconds). The record's fields lie in `data` so that none can
//! collide with ours.

use std::fmt;
use std::ops::Deref;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::Item;
use crate::error::StoreError;
use crate::format;
use crate::key::{Key, SK_BYTES_MAX, within};
use crate::table::attribute;

/// A type that is stored as one item.
///
/// Only what `serde_dynamo` carries may be in it: no `RawValue`, so no `Quantity` of the marketplace; amounts are
/// strings.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Names the type in the item. Checked on read: another kind is [`StoreError::Corrupt`].
    const KIND: &'static str;

    /// Where the item lies.
    fn key(&self) -> Key;

    /// When work on the item is due. `None` keeps it out of the due index.
    fn due(&self) -> Option<Due> {
        None
    }

    /// The shard the item belongs to. `None` keeps it out of the shard index.
    fn shard(&self) -> Option<Shard> {
        None
    }

    /// When DynamoDB may remove the item. Cleanup only: our own clock judges expiry.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

/// An entry of the due index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The kind of work, the index's partition. One partition takes 1,000 writes a second.
    pub work: String,
    /// When it is due; the index keeps milliseconds, rounded down.
    pub at: Timestamp,
}

/// One of 256 shards, stored in the item, so that changing the number of workers rewrites nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

impl Shard {
    /// How it is stored: `000` to `255`.
    pub fn text(self) -> String {
        format!("{:03}", self.0)
    }
}

/// A record as it was read, with the version that a commit has to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// The record.
    pub item: T,
    /// Its version when it was read; 1 after a create.
    pub version: u64,
}

impl<T> Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

/// An item whose type the reader has still to choose, by `kind` or by key. `Debug` leaves its data out.
#[derive(Clone, PartialEq)]
pub struct Raw {
    /// Where it lies.
    pub key: Key,
    /// Its [`Record::KIND`].
    pub kind: String,
    /// Its version.
    pub version: u64,
    pub(crate) write_id: Option<String>,
    data: AttributeValue,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, kind, version, write_id: _, data: _ } = self;
        write!(f, "Raw({key}, {kind}, version {version})")
    }
}

impl Raw {
    /// Reads the item as a record of type `T`.
    pub fn decode<T: Record>(&self) -> Result<Stored<T>, StoreError> {
        self.clone().into_record()
    }

    /// Reads the item as a record of type `T`, without a copy.
    pub fn into_record<T: Record>(self) -> Result<Stored<T>, StoreError> {
        let corrupt = |key: Key, why: String| Err(StoreError::Corrupt { key, why });
        if self.kind != T::KIND {
            return corrupt(self.key, format!("expected kind {}, found {}", T::KIND, self.kind));
        }
        match serde_dynamo::aws_sdk_dynamodb_1::from_attribute_value(self.data) {
            Ok(item) => Ok(Stored { item, version: self.version }),
            Err(error) => corrupt(self.key, format!("it does not read as {}{}", T::KIND, safe(&error.to_string()))),
        }
    }

    pub(crate) fn read(mut item: Item) -> Result<Self, StoreError> {
        let key = key_of(&item)?;
        let missing =
            |name: &str| StoreError::Corrupt { key: key.clone(), why: format!("attribute {name} is missing") };
        let kind = take_text(&mut item, attribute::KIND).ok_or_else(|| missing(attribute::KIND))?;
        let format = format::of(&item).ok_or_else(|| StoreError::Corrupt {
            key: key.clone(),
            why: format!("attribute {} is no number", attribute::FORMAT),
        })?;
        // Before anything else of it is looked at: a newer release may have moved the rest.
        format::check(&key, &kind, format)?;
        let version = match item.get(attribute::VERSION) {
            Some(AttributeValue::N(digits)) => digits.parse().ok(),
            _ => None,
        };
        let version = version.ok_or_else(|| missing(attribute::VERSION))?;
        let write_id = take_text(&mut item, attribute::WRITE_ID);
        let data = item.remove(attribute::DATA).ok_or_else(|| missing(attribute::DATA))?;
        Ok(Self { key, kind, version, write_id, data })
    }
}

/// Only what names a field: serde's other messages quote the value they stumble over.
fn safe(message: &str) -> String {
    if message.starts_with("missing field") { format!(": {message}") } else { String::new() }
}

/// The key attributes of an item, or of an entry of an index.
pub(crate) fn key_of(item: &Item) -> Result<Key, StoreError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    match (text(attribute::PK), text(attribute::SK)) {
        (Some(pk), Some(sk)) => Ok(Key { pk, sk }),
        _ => Err(StoreError::Backend("an item came back without its key".to_owned())),
    }
}

fn take_text(item: &mut Item, name: &str) -> Option<String> {
    match item.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}

/// Everything of the item but `w`, which the commit adds.
pub(crate) fn encode<T: Record>(record: &T, version: u64) -> Result<(Key, Item), StoreError> {
    let key = record.key();
    key.check()?;
    let data = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(record)
        .map_err(|_| StoreError::Invalid { why: format!("a {} does not encode", T::KIND) })?;
    let mut item = Item::from([
        (attribute::PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (attribute::SK.to_owned(), AttributeValue::S(key.sk.clone())),
        (attribute::KIND.to_owned(), AttributeValue::S(T::KIND.to_owned())),
        (attribute::FORMAT.to_owned(), format::stored()),
        (attribute::VERSION.to_owned(), AttributeValue::N(version.to_string())),
        (attribute::DATA.to_owned(), data),
    ]);
    if let Some(due) = record.due() {
        within("bytes of a name of work", due.work.len(), SK_BYTES_MAX)?;
        let at = due_text(due.at, &key);
        within("bytes of a due entry", at.len(), SK_BYTES_MAX)?;
        item.insert(attribute::WORK.to_owned(), AttributeValue::S(due.work));
        item.insert(attribute::DUE.to_owned(), AttributeValue::S(at));
    }
    if let Some(shard) = record.shard() {
        within("bytes of the partition key of a sharded item", key.pk.len(), SK_BYTES_MAX)?;
        item.insert(attribute::SHARD.to_owned(), AttributeValue::S(shard.text()));
    }
    if let Some(at) = record.expires_at() {
        item.insert(attribute::TTL.to_owned(), AttributeValue::N(at.as_second().to_string()));
    }
    Ok((key, item))
}

/// Fixed width, so that text order is time order; the key behind it makes the order of ties the same every time.
fn due_text(at: Timestamp, key: &Key) -> String {
    format!("{at:.3}#{}#{}", key.pk, key.sk)
}

/// Comes after every entry due at or before `until`, and before every later one.
pub(crate) fn due_bound(until: Timestamp) -> String {
    // `$` is the character after `#`.
    format!("{until:.3}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_order_of_due_entries_is_time_order() {
        let key = Key::new("p", "s");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut seen =
            ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.001Z", "2027-01-01T00:00:00.5Z", "2027-01-01T00:00:01Z"]
                .map(|text| (due_text(at(text), &key), due_bound(at(text))));
        for pair in seen.windows(2) {
            assert!(pair[0].0 < pair[0].1 && pair[0].1 < pair[1].0, "{pair:?}");
        }
        seen.reverse();
        assert_eq!(due_text(at("2027-01-01T00:00:00.0019Z"), &key), "2027-01-01T00:00:00.001Z#p#s");
    }

    #[test]
    fn a_message_never_quotes_a_value() {
        assert_eq!(safe("invalid type: string \"hush\", expected u64"), "");
        assert_eq!(safe("missing field `name`"), ": missing field `name`");
    }
}
