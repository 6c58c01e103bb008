//! The key of an item. Layouts of keys belong to the flows; this crate only checks DynamoDB's limits.

use std::fmt;

use crate::error::StoreError;

/// The longest partition key, in bytes (DynamoDB's limit).
pub const PK_BYTES_MAX: usize = 2048;
/// The longest sort key, in bytes (DynamoDB's limit, for indexes too).
pub const SK_BYTES_MAX: usize = 1024;

/// Partition and sort key of one item; neither may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The item collection, 1 to [`PK_BYTES_MAX`] bytes.
    pub pk: String,
    /// The place in the collection, 1 to [`SK_BYTES_MAX`] bytes.
    pub sk: String,
}

impl Key {
    /// A key of two parts.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        within("bytes of a partition key", self.pk.len(), PK_BYTES_MAX)?;
        within("bytes of a sort key", self.sk.len(), SK_BYTES_MAX)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.pk, self.sk)
    }
}

/// Refuses an empty or oversized key attribute before DynamoDB does.
pub(crate) fn within(what: &'static str, size: usize, limit: usize) -> Result<(), StoreError> {
    if size == 0 {
        return Err(StoreError::Invalid { why: format!("no {what}") });
    }
    if size > limit { Err(StoreError::TooLarge { what, size, limit }) } else { Ok(()) }
}
