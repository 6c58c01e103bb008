//! The store that the flows use: typed reads, and commits (in `commit.rs`), with bounded retries.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tradepost_marketplace::doors::{Entropy, Sleeper};

use crate::backend::{Backend, BackendError, IndexQuery, IndexRange, SliceQuery};
use crate::error::StoreError;
use crate::key::{Key, PK_BYTES_MAX, SK_BYTES_MAX, within};
use crate::record::{Raw, Record, Shard, Stored, due_bound, key_of};
use crate::retry::Retries;

/// The most items that one read of a page or an index returns.
pub const LIMIT_MAX: usize = 1_000;

/// Typed items on one table. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) sleeper: Arc<dyn Sleeper>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ttl: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Store {
    /// A store on a backend; `sleeper` and `entropy` are for the retries and for the ids of writes.
    pub fn new(backend: Arc<dyn Backend>, sleeper: Arc<dyn Sleeper>, entropy: Arc<dyn Entropy>) -> Self {
        Self { backend, sleeper, entropy, ttl: true }
    }

    /// The same behind another door, made of its own: where calls are counted or traced.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Self {
        Self { backend: wrap(self.backend), ..self }
    }

    /// Writes no TTL attribute: DynamoDB judges it by the wall clock, so simulated time must not meet it.
    #[must_use]
    pub fn without_ttl(self) -> Self {
        Self { ttl: false, ..self }
    }

    /// Reads one item, consistently.
    pub async fn get<T: Record>(&self, key: &Key) -> Result<Option<Stored<T>>, StoreError> {
        self.get_raw(key).await?.map(Raw::into_record).transpose()
    }

    /// Reads one item whose type is not known yet, consistently.
    pub async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        key.check()?;
        let mut retries = Retries::default();
        loop {
            match self.backend.get(key).await {
                Ok(item) => return item.map(Raw::read).transpose(),
                Err(error) => self.pause(&mut retries, error).await.map_err(read_failed)?,
            }
        }
    }

    /// Reads the whole slice of a collection whose sort keys begin with `sk_prefix` (empty: all), consistently and
    /// in order. A page is up to 1 MB; a slice of more than `pages_max` pages is [`StoreError::TooMany`].
    ///
    /// Each page is consistent by itself; between pages others may write.
    pub async fn query(&self, pk: &str, sk_prefix: &str, pages_max: usize) -> Result<Vec<Raw>, StoreError> {
        let mut query = slice(pk, sk_prefix, None, None)?;
        let mut found = Vec::new();
        for _ in 0..pages_max {
            let next = self.page(&query, &mut found).await?;
            let Some(next) = next else { return Ok(found) };
            query.after = Some(next);
        }
        Err(StoreError::TooMany { what: "pages of a slice", limit: pages_max })
    }

    /// Reads at most `limit` (up to [`LIMIT_MAX`]) items of a slice after the sort key `after`, which must begin
    /// with the prefix too. Fewer than `limit` means that the slice ends there.
    pub async fn query_after(
        &self,
        pk: &str,
        sk_prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Raw>, StoreError> {
        check_limit(limit)?;
        if after.is_some_and(|after| !after.starts_with(sk_prefix)) {
            return Err(StoreError::Invalid { why: "a page that starts outside its slice".to_owned() });
        }
        let mut query = slice(pk, sk_prefix, after, Some(limit))?;
        let mut found = Vec::new();
        loop {
            let next = self.page(&query, &mut found).await?;
            let Some(next) = next.filter(|_| found.len() < limit) else { return Ok(found) };
            query.after = Some(next);
            query.limit = Some(limit - found.len());
        }
    }

    /// Finds at most `limit` (up to [`LIMIT_MAX`]) items whose `work` is due at `until` or before, oldest first.
    ///
    /// The index is eventually consistent: it may miss the last writes and name items that are no longer due.
    pub async fn due(&self, work: &str, until: Timestamp, limit: usize) -> Result<Vec<Key>, StoreError> {
        self.find(IndexRange::Due { work: work.to_owned(), below: due_bound(until) }, limit).await
    }

    /// Finds at most `limit` (up to [`LIMIT_MAX`]) members of a shard, ordered by partition key, after the
    /// partition key `after`. Eventually consistent, as [`Store::due`].
    pub async fn shard_members(&self, shard: u8, after: Option<&str>, limit: usize) -> Result<Vec<Key>, StoreError> {
        let after = after.map(str::to_owned);
        self.find(IndexRange::Shard { shard: Shard(shard).text(), after }, limit).await
    }

    async fn find(&self, range: IndexRange, limit: usize) -> Result<Vec<Key>, StoreError> {
        check_limit(limit)?;
        let mut query = IndexQuery { range, start: None, limit };
        let mut found = Vec::new();
        let mut retries = Retries::default();
        loop {
            match self.backend.query_index(&query).await {
                Ok(page) => {
                    for entry in &page.items {
                        found.push(key_of(entry)?);
                    }
                    if page.next.is_none() || found.len() >= limit {
                        return Ok(found);
                    }
                    query.start = page.next;
                    query.limit = limit - found.len();
                }
                Err(error) => self.pause(&mut retries, error).await.map_err(read_failed)?,
            }
        }
    }

    /// Reads one page into `found`; gives the sort key after which the next begins.
    async fn page(&self, query: &SliceQuery, found: &mut Vec<Raw>) -> Result<Option<String>, StoreError> {
        let mut retries = Retries::default();
        let page = loop {
            match self.backend.query(query).await {
                Ok(page) => break page,
                Err(error) => self.pause(&mut retries, error).await.map_err(read_failed)?,
            }
        };
        for item in page.items {
            found.push(Raw::read(item)?);
        }
        page.next.map(|next| key_of(&next).map(|key| key.sk)).transpose()
    }

    /// Waits for the retry that is due, or gives the error back when it is final.
    pub(crate) async fn pause(&self, retries: &mut Retries, error: BackendError) -> Result<(), BackendError> {
        let Some((policy, n)) = retries.next(&error) else { return Err(error) };
        let delay = policy.delay(n, self.entropy.draw());
        tracing::debug!(store.retry.policy = policy.name, store.retry.number = n + 1, "store call tried again");
        self.sleeper.sleep(delay).await;
        Ok(())
    }
}

fn slice(pk: &str, sk_prefix: &str, after: Option<&str>, limit: Option<usize>) -> Result<SliceQuery, StoreError> {
    within("bytes of a partition key", pk.len(), PK_BYTES_MAX)?;
    if !sk_prefix.is_empty() {
        within("bytes of a sort key", sk_prefix.len(), SK_BYTES_MAX)?;
    }
    Ok(SliceQuery { pk: pk.to_owned(), sk_prefix: sk_prefix.to_owned(), after: after.map(str::to_owned), limit })
}

fn check_limit(limit: usize) -> Result<(), StoreError> {
    if limit == 0 || limit > LIMIT_MAX {
        return Err(StoreError::Invalid { why: format!("a limit of {limit}, outside 1 to {LIMIT_MAX}") });
    }
    Ok(())
}

/// What is left of a failed read: nothing was written, whatever happened.
pub(crate) fn read_failed(error: BackendError) -> StoreError {
    match error {
        BackendError::Throttled => StoreError::Throttled,
        BackendError::Conflict => StoreError::Conflict,
        BackendError::Timeout { .. } => StoreError::Timeout { maybe_done: false },
        BackendError::Condition { .. } | BackendError::TokenMismatch => {
            StoreError::Backend("a read was answered as a write".to_owned())
        }
        BackendError::Format(error) => StoreError::Format(error),
        BackendError::Identity(error) => StoreError::Identity(error),
        BackendError::Other(why) => StoreError::Backend(why),
    }
}
