//! Sizes as DynamoDB counts them, and the digest of a list of writes.

use aws_lc_rs::digest::{Context, SHA256};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::backend::Item;
use crate::error::StoreError;
use crate::write::{Action, Guard, Write};

/// The largest item, in bytes: DynamoDB's 400 KB.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// The most writes in a transaction (DynamoDB's limit).
pub const TRANSACTION_WRITES_MAX: usize = 100;
/// The largest transaction, in bytes: DynamoDB's 4 MB.
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The bytes of a write id or request token before Base64; 22 characters after.
const DIGEST_BYTES: usize = 16;

/// Refuses what DynamoDB would refuse, before anything is sent.
pub(crate) fn check(writes: &[Write]) -> Result<(), StoreError> {
    let too_large = |what, size, limit| Err(StoreError::TooLarge { what, size, limit });
    if writes.len() > TRANSACTION_WRITES_MAX {
        return too_large("writes in a transaction", writes.len(), TRANSACTION_WRITES_MAX);
    }
    let mut keys = std::collections::HashSet::with_capacity(writes.len());
    let mut total = 0;
    for write in writes {
        write.key.check()?;
        if !keys.insert(&write.key) {
            return Err(StoreError::Invalid { why: format!("{} twice in one transaction", write.key) });
        }
        let size = match &write.action {
            Action::Put(item) => item_bytes(item),
            Action::Delete | Action::Check => write.key.pk.len() + write.key.sk.len(),
        };
        if size > ITEM_BYTES_MAX {
            return too_large("bytes of an item", size, ITEM_BYTES_MAX);
        }
        total += size;
    }
    if total > TRANSACTION_BYTES_MAX {
        return too_large("bytes of a transaction", total, TRANSACTION_BYTES_MAX);
    }
    Ok(())
}

/// The size of an item as DynamoDB counts it; numbers are rounded up.
pub(crate) fn item_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    const CONTAINER: usize = 3;
    const ELEMENT: usize = 1;
    let number = |digits: &String| digits.len().div_ceil(2) + 2;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number(digits),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(number).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(list) => CONTAINER + list.iter().map(|value| ELEMENT + value_bytes(value)).sum::<usize>(),
        AttributeValue::M(map) => {
            CONTAINER + map.iter().map(|(name, value)| ELEMENT + name.len() + value_bytes(value)).sum::<usize>()
        }
        _ => 1,
    }
}

/// A name for exactly this list of writes in this commit: 22 characters, good as a request token too.
///
/// The salt is drawn once a commit. Without it two commits with the same content would be one: creating,
/// deleting and creating a lease again within ten minutes would silently skip the second create, and of
/// two racing creates of equal items both would believe that they won.
pub(crate) fn digest(writes: &[Write], salt: u64) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&salt.to_be_bytes());
    for write in writes {
        text(&mut context, &write.key.pk);
        text(&mut context, &write.key.sk);
        match write.guard {
            Guard::Absent => context.update(b"a"),
            Guard::Any => context.update(b"*"),
            Guard::Version(version) => {
                context.update(b"v");
                context.update(&version.to_be_bytes());
            }
        }
        match &write.action {
            Action::Delete => context.update(b"d"),
            Action::Check => context.update(b"c"),
            Action::Put(item) => map(&mut context, item),
        }
    }
    let digest = context.finish();
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..DIGEST_BYTES).unwrap_or_default())
}

fn length(context: &mut Context, length: usize) {
    context.update(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

fn bytes(context: &mut Context, bytes: &[u8]) {
    length(context, bytes.len());
    context.update(bytes);
}

fn text(context: &mut Context, text: &str) {
    bytes(context, text.as_bytes());
}

fn map(context: &mut Context, item: &Item) {
    context.update(b"M");
    length(context, item.len());
    let mut names: Vec<_> = item.iter().collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    for (name, element) in names {
        text(context, name);
        value(context, element);
    }
}

fn value(context: &mut Context, value_: &AttributeValue) {
    match value_ {
        AttributeValue::S(string) => {
            context.update(b"S");
            text(context, string);
        }
        AttributeValue::N(digits) => {
            context.update(b"N");
            text(context, digits);
        }
        AttributeValue::B(blob) => {
            context.update(b"B");
            bytes(context, blob.as_ref());
        }
        AttributeValue::Bool(true) => context.update(b"1"),
        AttributeValue::Bool(false) => context.update(b"0"),
        AttributeValue::L(list) => {
            context.update(b"L");
            length(context, list.len());
            for element in list {
                value(context, element);
            }
        }
        AttributeValue::M(item) => map(context, item),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
            context.update(b"s");
            length(context, texts.len());
            for string in texts {
                text(context, string);
            }
        }
        AttributeValue::Bs(blobs) => {
            context.update(b"b");
            length(context, blobs.len());
            for blob in blobs {
                bytes(context, blob.as_ref());
            }
        }
        _ => context.update(b"_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn put(fields: &[(&str, AttributeValue)]) -> Write {
        let item = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Write { key: Key::new("p", "s"), guard: Guard::Absent, action: Action::Put(item) }
    }

    fn string(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn sizes_are_dynamodbs() {
        let nested = AttributeValue::M([("né".to_owned(), AttributeValue::L(vec![string("abc")]))].into());
        assert_eq!(value_bytes(&nested), 3 + 1 + 3 + (3 + 1 + 3));
        assert_eq!(value_bytes(&AttributeValue::Null(true)), 1);
        assert_eq!(value_bytes(&AttributeValue::N("12345".to_owned())), 5);
        assert_eq!(item_bytes(&Item::from([("pk".to_owned(), string("abcd"))])), 6);
    }

    #[test]
    fn every_difference_makes_another_digest() {
        let base = put(&[("a", string("1")), ("b", string("2"))]);
        let of = |write: &Write| digest(std::slice::from_ref(write), 7);
        assert_eq!(of(&base), of(&base.clone()));
        assert_eq!(of(&base).len(), 22);
        let others = [
            Write { guard: Guard::Any, ..base.clone() },
            Write { guard: Guard::Version(1), ..base.clone() },
            Write { key: Key::new("ps", ""), ..base.clone() },
            Write { action: Action::Delete, ..base.clone() },
            Write { action: Action::Check, ..base.clone() },
            put(&[("a", string("12")), ("b", string(""))]),
            put(&[("a", AttributeValue::N("1".to_owned())), ("b", string("2"))]),
            put(&[("a", AttributeValue::L(vec![string("1")])), ("b", string("2"))]),
        ];
        let mut all: Vec<_> = others.iter().map(of).collect();
        all.extend([of(&base), digest(std::slice::from_ref(&base), 8), digest(&[base.clone(), base], 7)]);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
