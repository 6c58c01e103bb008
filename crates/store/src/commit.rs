//! Commits: limits first, then one call, then what a lost answer means.
//!
//! A transaction carries a request token, so that a retry of it is recognised by DynamoDB. A single put carries
//! its write id in the item, and after a lost answer the item tells whether it was ours that happened; a
//! single delete has happened when the item is gone.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::backend::BackendError;
use crate::error::{CommitError, StoreError};
use crate::retry::Retries;
use crate::size;
use crate::store::{Store, read_failed};
use crate::table::attribute;
use crate::write::{Action, Write};

impl Store {
    /// Does all writes or none. One put or delete is a single call, more (or a check) are a transaction.
    ///
    /// Limits are checked before anything is sent: 100 writes, 4 MB, 400 KB an item, each key once.
    pub async fn commit(&self, mut writes: Vec<Write>) -> Result<(), CommitError> {
        if writes.is_empty() {
            return Ok(());
        }
        let id = size::digest(&writes, self.entropy.draw());
        for write in &mut writes {
            if let Action::Put(item) = &mut write.action {
                item.insert(attribute::WRITE_ID.to_owned(), AttributeValue::S(id.clone()));
                if !self.ttl {
                    item.remove(attribute::TTL);
                }
            }
        }
        size::check(&writes)?;
        let mut retries = Retries::default();
        let mut answer_lost = false;
        loop {
            let error = match writes.as_slice() {
                [write] if write.is_change() => self.backend.write(write).await,
                _ => self.backend.transact(&writes, &id).await,
            };
            let Err(error) = error else { return Ok(()) };
            answer_lost |= matches!(error, BackendError::Timeout { maybe_done: true });
            if let Err(last) = self.pause(&mut retries, error).await {
                return self.settle(&writes, &id, last, answer_lost).await;
            }
        }
    }

    /// What the last failure means, given that an answer before it may have been lost.
    async fn settle(
        &self,
        writes: &[Write],
        id: &str,
        last: BackendError,
        answer_lost: bool,
    ) -> Result<(), CommitError> {
        match last {
            BackendError::Condition { failed } => match writes {
                [write] if answer_lost && write.is_change() && self.is_done(write, id).await? => Ok(()),
                _ => Err(CommitError::Condition { failed }),
            },
            BackendError::TokenMismatch => Err(CommitError::Condition { failed: (0..writes.len()).collect() }),
            // Even if an earlier try happened: there is nothing more that this release could find out or do.
            BackendError::Format(error) => Err(StoreError::Format(error).into()),
            // Whatever the last try says, an earlier one may have happened.
            _ if answer_lost => Err(StoreError::Timeout { maybe_done: true }.into()),
            other => Err(read_failed(other).into()),
        }
    }

    /// Whether the stored item shows that a single write happened although its answer was lost.
    async fn is_done(&self, write: &Write, id: &str) -> Result<bool, StoreError> {
        // Not knowing is not the same as not done.
        let unknown = |error: StoreError| {
            if error.is_retryable() { StoreError::Timeout { maybe_done: true } } else { error }
        };
        let found = self.get_raw(&write.key).await.map_err(unknown)?;
        Ok(match (&write.action, found) {
            (Action::Put(_), Some(raw)) => raw.write_id.as_deref() == Some(id),
            (Action::Delete, found) => found.is_none(),
            (Action::Put(_) | Action::Check, _) => false,
        })
    }
}
