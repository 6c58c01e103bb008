//! A backend for tests that fails as real DynamoDB does and the emulator does not, and that counts commits.
//!
//! Deterministic: every n-th call of the matching kind meets the fault, counted per [`Faulty`]. The store's own
//! retries are calls too.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::backend::{Backend, BackendError, IndexQuery, IndexRange, Item, Page, SliceQuery};
use crate::key::Key;
use crate::record::key_of;
use crate::table::{DUE_INDEX, Index, SHARD_INDEX, attribute};
use crate::write::Write;

/// How many of the last written items a stale index has not caught up with: in a quiet hour few are written, and one
/// that is hidden for half a day shows no fault that DynamoDB has.
pub const STALE_ITEMS: usize = 16;
/// How many request tokens are remembered, so that a recognised retry is not counted as another commit.
const TOKENS_REMEMBERED: usize = 64;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultKind {
    /// Nothing; commits are counted all the same.
    #[default]
    None,
    /// A write meets another transaction.
    Conflict,
    /// Any call is throttled.
    Throttled,
    /// Any call has no answer, and never arrived.
    TimeoutBefore,
    /// A write happens and its answer is lost.
    TimeoutAfter,
    /// An index shows the last [`STALE_ITEMS`] written items as they were before.
    StaleIndex,
}

/// A fault, and how often it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultPlan {
    /// What goes wrong.
    pub kind: FaultKind,
    /// At every n-th matching call, from the n-th on; 0 is never.
    pub every: u32,
}

/// What a call is, as far as faults are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Index,
    Write,
}

/// Wraps a backend, injects one kind of fault and counts what is committed. Clones share everything.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<FaultPlan>,
    matching_calls: AtomicU32,
    injected: AtomicU64,
    calls: AtomicU64,
    committed: AtomicU64,
    halt_after: Mutex<Option<u64>>,
    tokens: Mutex<VecDeque<String>>,
    stale: Mutex<VecDeque<(Key, Option<Item>)>>,
}

impl Faulty {
    /// Faults by `plan` in front of `inner`.
    pub fn new(inner: Arc<dyn Backend>, plan: FaultPlan) -> Self {
        let faulty = Self { inner, shared: Arc::default() };
        faulty.set_plan(plan);
        faulty
    }

    /// No faults, only the counters.
    pub fn counting(inner: Arc<dyn Backend>) -> Self {
        Self::new(inner, FaultPlan::default())
    }

    /// Changes the plan and starts counting matching calls anew.
    pub fn set_plan(&self, plan: FaultPlan) {
        *lock(&self.shared.plan) = plan;
        self.shared.matching_calls.store(0, Ordering::SeqCst);
        lock(&self.shared.stale).clear();
    }

    /// How many faults were injected so far: calls that failed, and pages of a stale index that differ from the fresh one.
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::SeqCst)
    }

    /// How many calls of any kind came through so far, retries and faults included.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// How many writes and transactions with a change in them were committed so far. Refused ones, checks alone and
    /// recognised retries do not count.
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::SeqCst)
    }

    /// After `count` further commits every call fails, as if the process had died there; `None` lets it live.
    pub fn halt_after(&self, count: Option<u64>) {
        *lock(&self.shared.halt_after) = count.map(|count| self.committed() + count);
    }

    /// Counts the call; the fault that it meets, if any.
    fn meet(&self, call: Call) -> Result<FaultKind, BackendError> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if lock(&self.shared.halt_after).is_some_and(|last| self.committed() >= last) {
            return Err(BackendError::Other("halted by the test".to_owned()));
        }
        let FaultPlan { kind, every } = *lock(&self.shared.plan);
        let matches = match kind {
            FaultKind::None => false,
            FaultKind::Conflict | FaultKind::TimeoutAfter => call == Call::Write,
            FaultKind::Throttled | FaultKind::TimeoutBefore => true,
            FaultKind::StaleIndex => call == Call::Index,
        };
        if !matches || every == 0 {
            return Ok(FaultKind::None);
        }
        let n = self.shared.matching_calls.fetch_add(1, Ordering::SeqCst) + 1;
        if !n.is_multiple_of(every) {
            return Ok(FaultKind::None);
        }
        let refused = match kind {
            FaultKind::Conflict => BackendError::Conflict,
            FaultKind::Throttled => BackendError::Throttled,
            // Nobody outside can tell that a lost write never arrived.
            FaultKind::TimeoutBefore => BackendError::Timeout { maybe_done: call == Call::Write },
            FaultKind::None | FaultKind::TimeoutAfter | FaultKind::StaleIndex => return Ok(kind),
        };
        self.inject();
        Err(refused)
    }

    fn inject(&self) {
        self.shared.injected.fetch_add(1, Ordering::SeqCst);
    }

    /// The answer to a write that happened. A refused write has no answer to lose.
    fn answer(&self, fault: FaultKind) -> Result<(), BackendError> {
        if fault != FaultKind::TimeoutAfter {
            return Ok(());
        }
        self.inject();
        Err(BackendError::Timeout { maybe_done: true })
    }

    /// What the items are before the write, if a stale index has to show it later.
    async fn before(&self, writes: &[Write]) -> Result<Vec<(Key, Option<Item>)>, BackendError> {
        if lock(&self.shared.plan).kind != FaultKind::StaleIndex {
            return Ok(Vec::new());
        }
        let mut before = Vec::new();
        for write in writes.iter().filter(|write| write.is_change()) {
            before.push((write.key.clone(), self.inner.get(&write.key).await?));
        }
        Ok(before)
    }

    fn remember(&self, before: Vec<(Key, Option<Item>)>) {
        let mut stale = lock(&self.shared.stale);
        stale.extend(before);
        let excess = stale.len().saturating_sub(STALE_ITEMS);
        stale.drain(..excess);
    }

    fn count(&self, token: Option<&str>) {
        if let Some(token) = token {
            let mut tokens = lock(&self.shared.tokens);
            if tokens.iter().any(|known| known == token) {
                return;
            }
            tokens.push_back(token.to_owned());
            if tokens.len() > TOKENS_REMEMBERED {
                tokens.pop_front();
            }
        }
        self.shared.committed.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Backend for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        self.meet(Call::Read)?;
        self.inner.get(key).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        self.meet(Call::Read)?;
        self.inner.query(query).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        let fault = self.meet(Call::Index)?;
        let page = self.inner.query_index(query).await?;
        if fault != FaultKind::StaleIndex {
            return Ok(page);
        }
        // The earliest state remembered for each item is what the index still shows.
        let mut old: HashMap<Key, Option<Item>> = HashMap::new();
        for (key, item) in lock(&self.shared.stale).iter() {
            old.entry(key.clone()).or_insert_with(|| item.clone());
        }
        let shown = places(&page);
        let page = as_before(query, page, old);
        // It struck only if the reader is shown something else than there is.
        if places(&page) != shown {
            self.inject();
        }
        Ok(page)
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        let fault = self.meet(Call::Write)?;
        let before = self.before(std::slice::from_ref(write)).await?;
        self.inner.write(write).await?;
        self.remember(before);
        self.count(None);
        self.answer(fault)
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        let fault = self.meet(Call::Write)?;
        let before = self.before(writes).await?;
        self.inner.transact(writes, token).await?;
        self.remember(before);
        if writes.iter().any(Write::is_change) {
            self.count(Some(token));
        }
        self.answer(fault)
    }
}

/// What a page shows, where: which items, by which sort keys.
fn places(page: &Page) -> BTreeSet<(Option<Key>, Option<String>, Option<String>)> {
    let sort = |item: &Item, index: Index| text(item, index.sort).map(str::to_owned);
    page.items.iter().map(|item| (key_of(item).ok(), sort(item, DUE_INDEX), sort(item, SHARD_INDEX))).collect()
}

/// The page as an index shows it that has not seen the last writes: `old` is what it still believes.
fn as_before(query: &IndexQuery, page: Page, old: HashMap<Key, Option<Item>>) -> Page {
    let (index, partition) = match &query.range {
        IndexRange::Due { work, .. } => (DUE_INDEX, work),
        IndexRange::Shard { shard, .. } => (SHARD_INDEX, shard),
    };
    let in_range = |item: &Item| {
        let Some(sort) = text(item, index.sort) else { return false };
        text(item, index.partition) == Some(partition.as_str())
            && match &query.range {
                IndexRange::Due { below, .. } => sort < below.as_str(),
                IndexRange::Shard { after, .. } => after.as_ref().is_none_or(|after| sort > after.as_str()),
            }
    };
    let place = |item: &Item| text(item, index.sort).map(str::to_owned);
    let first = query.start.as_ref().and_then(place);
    let last = page.next.as_ref().and_then(place);
    let mut items: Vec<Item> =
        page.items.into_iter().filter(|item| key_of(item).is_ok_and(|key| !old.contains_key(&key))).collect();
    for item in old.into_values().flatten().filter(in_range) {
        let sort = place(&item);
        if first.as_ref().is_none_or(|_| sort > first) && last.as_ref().is_none_or(|_| sort <= last) {
            items.push(entry(item, index));
        }
    }
    items.sort_by_key(place);
    items.truncate(query.limit);
    Page { items, next: page.next }
}

/// What an index keeps of an item.
fn entry(mut item: Item, index: Index) -> Item {
    item.retain(|name, _| [attribute::PK, attribute::SK, index.partition, index.sort].contains(&name.as_str()));
    item
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value: &AttributeValue| value.as_s().ok()).map(String::as_str)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
