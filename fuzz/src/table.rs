//! A table in memory, and no more of DynamoDB than a flow needs: guards, slices in order. Put back in an instant.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tradepost_store::table::attribute::VERSION;
use tradepost_store::{Backend, BackendError, Guard, IndexQuery, Item, Key, Page, SliceQuery, Write};

/// What is in the table.
pub type Items = BTreeMap<Key, Item>;

/// The table.
#[derive(Default)]
pub struct Table(Mutex<Items>);

impl Table {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub fn copy(&self) -> Items {
        self.items().clone()
    }

    /// Puts everything back as it was.
    pub fn restore(&self, items: &Items) {
        self.items().clone_from(items);
    }
}

fn holds(items: &Items, write: &Write) -> bool {
    let stored = items.get(write.key());
    match write.guard() {
        Guard::Any => true,
        Guard::Absent => stored.is_none(),
        Guard::Version(seen) => {
            stored.and_then(|item| item.get(VERSION)).and_then(|version| version.as_n().ok()) == Some(&seen.to_string())
        }
    }
}

#[async_trait]
impl Backend for Table {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        Ok(self.items().get(key).cloned())
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        let first = query.after.clone().unwrap_or_else(|| query.sk_prefix.clone());
        let items = self.items();
        let from = items.range(Key::new(&query.pk, first)..);
        let slice = from
            .take_while(|(key, _)| key.pk == query.pk && key.sk.starts_with(&query.sk_prefix))
            .filter(|(key, _)| query.after.as_ref().is_none_or(|after| key.sk > *after));
        let limit = query.limit.unwrap_or(usize::MAX);
        let found: Vec<Item> = slice.map(|(_, item)| item.clone()).take(limit).collect();
        let next = (found.len() == limit).then(|| found.last().cloned()).flatten();
        Ok(Page { items: found, next })
    }

    /// What is scheduled is not run here.
    async fn query_index(&self, _: &IndexQuery) -> Result<Page, BackendError> {
        Ok(Page::default())
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        self.transact(std::slice::from_ref(write), "").await
    }

    async fn transact(&self, writes: &[Write], _: &str) -> Result<(), BackendError> {
        let mut items = self.items();
        let failed: Vec<usize> = (0..writes.len()).filter(|index| !holds(&items, &writes[*index])).collect();
        if !failed.is_empty() {
            return Err(BackendError::Condition { failed });
        }
        for write in writes.iter().filter(|write| write.is_change()) {
            match write.item() {
                Some(item) => drop(items.insert(write.key().clone(), item.clone())),
                None => drop(items.remove(write.key())),
            }
        }
        Ok(())
    }
}
