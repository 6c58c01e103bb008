//! The door: the five calls by which the store reaches DynamoDB, one try each.
//!
//! [`crate::DynamoBackend`] is the way through; [`crate::Faulty`] stands in it during tests. Retries, limits
//! and lost answers are the business of [`crate::Store`], so that they are tested through any backend.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::connect::IdentityError;
use crate::format::UnknownFormat;
use crate::key::Key;
use crate::write::Write;

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// One page of a slice of one item collection, in order of the sort key; always a consistent read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceQuery {
    /// The collection.
    pub pk: String,
    /// Only sort keys that begin with this; empty for all.
    pub sk_prefix: String,
    /// Only sort keys after this one, which must begin with the prefix too.
    pub after: Option<String>,
    /// The most items; DynamoDB stops at 1 MB anyway.
    pub limit: Option<usize>,
}

/// Which index, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRange {
    /// The due index: entries of one kind of work below a bound.
    Due {
        /// The partition.
        work: String,
        /// Entries below this text.
        below: String,
    },
    /// The shard index: members of one shard.
    Shard {
        /// The partition, `000` to `255`.
        shard: String,
        /// Only partition keys after this one.
        after: Option<String>,
    },
}

/// One page of an index, in order of its sort key. Indexes are eventually consistent.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexQuery {
    /// Which part.
    pub range: IndexRange,
    /// Where the page before ended.
    pub start: Option<Item>,
    /// The most entries.
    pub limit: usize,
}

/// A page of items.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The items; from an index, key attributes only.
    pub items: Vec<Item>,
    /// Where the next page starts, if there is one.
    pub next: Option<Item>,
}

/// How one call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Over the throughput; nothing happened.
    #[error("throttled")]
    Throttled,
    /// Another transaction held an item; nothing happened.
    #[error("in conflict with another transaction")]
    Conflict,
    /// No answer, or one that says nothing about what happened.
    #[error("no answer")]
    Timeout {
        /// Whether the call may have happened.
        maybe_done: bool,
    },
    /// Guards did not hold; nothing happened.
    #[error("the guards of writes {failed:?} did not hold")]
    Condition {
        /// The indexes of the writes, ascending.
        failed: Vec<usize>,
    },
    /// A write met an item that a newer release wrote; nothing happened.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The token was used for a transaction with other bytes.
    #[error("the request token was used for another transaction")]
    TokenMismatch,
    /// There are no credentials to call with; nothing happened.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Anything else; nothing happened.
    #[error("{0}")]
    Other(String),
}

/// The door to DynamoDB. Every method is one try of one call.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Reads one item, consistently.
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError>;

    /// Reads one page of a slice, consistently.
    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError>;

    /// Reads one page of an index.
    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError>;

    /// One put or delete with its condition. A check is not accepted here.
    async fn write(&self, write: &Write) -> Result<(), BackendError>;

    /// All writes or none. The same token with the same writes is the same transaction for ten minutes.
    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError>;
}
