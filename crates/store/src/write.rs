//! One guarded write. A list of them is one transaction ([`crate::Store::commit`]).

use std::fmt;

use crate::backend::Item;
use crate::error::StoreError;
use crate::key::Key;
use crate::record::{Record, encode};

/// What must be true of the stored item for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// There is no item.
    Absent,
    /// The item is there, at this version.
    Version(u64),
    /// Nothing: the last writer wins.
    Any,
}

/// What a write does once its guard holds.
#[derive(Clone, PartialEq)]
pub(crate) enum Action {
    /// Puts the whole item.
    Put(Item),
    /// Removes it.
    Delete,
    /// Only checks.
    Check,
}

/// One guarded write of one item. `Debug` leaves the item's data out.
#[derive(Clone, PartialEq)]
pub struct Write {
    pub(crate) key: Key,
    pub(crate) guard: Guard,
    pub(crate) action: Action,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Put(_) => "put",
            Action::Delete => "delete",
            Action::Check => "check",
        };
        write!(f, "Write({action} {}, {:?})", self.key, self.guard)
    }
}

impl Write {
    /// Puts a new item at version 1, if there is none.
    ///
    /// A key that is deleted and created again starts at 1 again, so a stale reader of the first life can
    /// pass the guard in the second: such items need a fence of their own.
    pub fn create<T: Record>(item: &T) -> Result<Self, StoreError> {
        Self::put(item, 1, Guard::Absent)
    }

    /// Replaces the item that was read at version `seen`; it gets version `seen + 1`.
    pub fn replace<T: Record>(item: &T, seen: u64) -> Result<Self, StoreError> {
        Self::put(item, seen.saturating_add(1), Guard::Version(seen))
    }

    /// Puts the item whatever is there. A retry after a lost answer may overwrite a later write.
    pub fn overwrite<T: Record>(item: &T, version: u64) -> Result<Self, StoreError> {
        Self::put(item, version, Guard::Any)
    }

    /// Removes the item that was read at version `seen`.
    pub fn delete(key: Key, seen: u64) -> Self {
        Self { key, guard: Guard::Version(seen), action: Action::Delete }
    }

    /// Removes the item, if there is one.
    pub fn delete_any(key: Key) -> Self {
        Self { key, guard: Guard::Any, action: Action::Delete }
    }

    /// Writes nothing; the commit fails unless the item is still at version `seen`.
    pub fn check(key: Key, seen: u64) -> Self {
        Self { key, guard: Guard::Version(seen), action: Action::Check }
    }

    /// Writes nothing; the commit fails unless there is no item.
    pub fn check_absent(key: Key) -> Self {
        Self { key, guard: Guard::Absent, action: Action::Check }
    }

    /// The item it is about.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What must be true for it to happen.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// The DynamoDB action that it is, alone or in a transaction: what a policy must allow.
    pub fn call(&self) -> &'static str {
        match self.action {
            Action::Put(_) => "PutItem",
            Action::Delete => "DeleteItem",
            Action::Check => "ConditionCheckItem",
        }
    }

    /// The item as it will be, if it puts one: for a door that keeps items itself.
    pub fn item(&self) -> Option<&Item> {
        match &self.action {
            Action::Put(item) => Some(item),
            Action::Delete | Action::Check => None,
        }
    }

    /// Whether it can change anything: all but the checks.
    pub fn is_change(&self) -> bool {
        self.action != Action::Check
    }

    fn put<T: Record>(record: &T, version: u64, guard: Guard) -> Result<Self, StoreError> {
        let (key, item) = encode(record, version)?;
        Ok(Self { key, guard, action: Action::Put(item) })
    }
}
