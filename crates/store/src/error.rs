//! What a caller of the store has to deal with, after the store's own retries.
//!
//! No message carries a value of an item: items hold personal data and messages reach the log.

use crate::connect::IdentityError;
use crate::format::UnknownFormat;
use crate::key::Key;
use crate::seal::UnwrapError;

/// Why the store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The table is over its throughput, also after the retries.
    #[error("DynamoDB throttles the table; the retries are used up")]
    Throttled,
    /// No answer in time, also after the retries.
    #[error("DynamoDB did not answer in time; the retries are used up")]
    Timeout {
        /// Whether a write may have happened all the same. Read before trying again.
        maybe_done: bool,
    },
    /// Another transaction held the items, also after the retries.
    #[error("another transaction holds the items; the retries are used up")]
    Conflict,
    /// Over a limit of DynamoDB's or ours; nothing was sent.
    #[error("{size} {what}, the limit is {limit}")]
    TooLarge {
        /// What there is too much of: `bytes of an item`.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// A slice has more pages than the caller allows.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of: `pages of a slice`.
        what: &'static str,
        /// The most allowed.
        limit: usize,
    },
    /// A stored item is not what its reader expects.
    #[error("the item {key} is corrupt: {why}")]
    Corrupt {
        /// The item.
        key: Key,
        /// What is wrong with it; never a value of it.
        why: String,
    },
    /// A stored item has a format that this release does not read, so it neither reads nor replaces it.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The call itself is wrong: an empty key, one key twice in a transaction, a record that does not encode.
    #[error("the store was called wrongly: {why}")]
    Invalid {
        /// What is wrong; never a value of an item.
        why: String,
    },
    /// There are no credentials to call DynamoDB with.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key of the ring is wrapped and could not be unwrapped.
    #[error("a key of the ring cannot be unwrapped: {0}")]
    Unwrap(#[from] UnwrapError),
    /// Anything else that DynamoDB or the connection to it reports.
    #[error("DynamoDB: {0}")]
    Backend(String),
}

impl StoreError {
    /// Whether the same call may succeed a moment later. After `Timeout { maybe_done: true }` read first.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Timeout { .. } | Self::Conflict | Self::Identity(IdentityError::NoAnswer)
        ) || matches!(self, Self::Unwrap(error) if error.is_retryable())
    }
}

/// Why a commit did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Guards did not hold: somebody else wrote first. Read again and decide again.
    ///
    /// All indexes are named when DynamoDB reports the transaction as already committed with other bytes
    /// (`IdempotentParameterMismatch`). After a lost answer of a single replace, `Condition` can also mean
    /// that ours happened and was replaced since; a decision taken afresh from the item is right in both cases.
    #[error("the guards of writes {failed:?} did not hold")]
    Condition {
        /// The indexes of the writes whose guard failed, ascending.
        failed: Vec<usize>,
    },
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// Whether the same call may succeed a moment later. A failed guard is not retryable: read again first.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }
}
