//! The door between each function and the table: lets through what the function's policy in `template.yaml` allows, and
//! writes down what was done. What is denied fails as it would on AWS, and fails the test that closes the world.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tradepost_provider::Provider;
use tradepost_provider::settings::{Concern, Function};
use tradepost_store::backend::{IndexQuery, IndexRange, Page, SliceQuery};
use tradepost_store::{Backend, BackendError, Faulty, Item, Key, Write};

use super::World;
use super::template::{Call, Policies};

/// What is allowed, and what was done.
pub struct Watch {
    pub policies: Policies,
    denies: bool,
    done: Mutex<BTreeSet<(&'static str, Call)>>,
    denied: Mutex<BTreeSet<String>>,
    providers: Mutex<Vec<(Function, Provider)>>,
}

impl Watch {
    /// By the template's policies, which are held against what is done if it `denies`.
    pub fn by_the_template(denies: bool) -> Self {
        Self {
            policies: World::policies(),
            denies,
            done: Mutex::default(),
            denied: Mutex::default(),
            providers: Mutex::default(),
        }
    }

    /// A function's door.
    pub fn of(self: &Arc<Self>, function: &'static str, behind: Faulty) -> Watched {
        Watched { function, watch: self.clone(), behind }
    }

    /// Keeps a function's provider, to be asked what it was used for.
    pub fn keep(&self, function: Function, provider: Provider) {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner).push((function, provider));
    }

    /// The concerns of configuration that each function made use of.
    pub fn used(&self) -> BTreeSet<(Function, Concern)> {
        let providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        let used = |(function, provider): &(Function, Provider)| {
            let function = *function;
            provider.used_by(function).into_iter().map(move |concern| (function, concern))
        };
        providers.iter().flat_map(used).collect()
    }

    /// Every call that a function made.
    pub fn done(&self) -> BTreeSet<(&'static str, Call)> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was denied.
    pub fn denied(&self) -> Vec<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn ask(&self, function: &'static str, action: &str, index: Option<&str>, key: &str) -> Result<(), BackendError> {
        let call = Call { action: action.to_owned(), index: index.map(str::to_owned), key: key.to_owned() };
        let allowed = !self.denies || self.policies.allow(function, &call);
        if !allowed {
            let denied = format!("{function}: {action} on {} of {key}", index.unwrap_or("the table"));
            self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(denied);
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert((function, call));
        if allowed { Ok(()) } else { Err(BackendError::Other(format!("AccessDeniedException: {action} on {key}"))) }
    }
}

/// A function's way to the table.
pub struct Watched {
    function: &'static str,
    watch: Arc<Watch>,
    behind: Faulty,
}

impl Watched {
    fn ask(&self, action: &str, index: Option<&str>, key: &str) -> Result<(), BackendError> {
        self.watch.ask(self.function, action, index, key)
    }
}

#[async_trait]
impl Backend for Watched {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        self.ask("GetItem", None, &key.pk)?;
        self.behind.get(key).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        self.ask("Query", None, &query.pk)?;
        self.behind.query(query).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        let (index, key) = match &query.range {
            IndexRange::Due { work, .. } => ("due", work),
            IndexRange::Shard { shard, .. } => ("shard", shard),
        };
        self.ask("Query", Some(index), key)?;
        self.behind.query_index(query).await
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        self.ask(write.call(), None, &write.key().pk)?;
        self.behind.write(write).await
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        for write in writes {
            self.ask(write.call(), None, &write.key().pk)?;
        }
        self.behind.transact(writes, token).await
    }
}
