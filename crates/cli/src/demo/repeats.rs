//! Counting what a second send of the same request changes: nothing, or the demo does not balance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tradepost_simulator::{RepeatHook, RepeatMoment};
use tradepost_store::Faulty;

/// The most repeats that changed something that are told by name.
const NAMED_MAX: usize = 20;

/// How many requests were sent again, and how many of those changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Second sends after which the store had more commits than before.
    pub changed: u64,
    /// Second sends.
    pub sent: u64,
}

struct Shared {
    faulty: Faulty,
    before: AtomicU64,
    sent: AtomicU64,
    changed: AtomicU64,
    named: Mutex<Vec<String>>,
}

/// Watches the store's commit counter around second sends. They are made one at a time.
#[derive(Clone)]
pub struct Repeats(Arc<Shared>);

impl Repeats {
    /// Watches the store behind this door.
    pub fn new(faulty: Faulty) -> Self {
        let zero = AtomicU64::default;
        Self(Arc::new(Shared { faulty, before: zero(), sent: zero(), changed: zero(), named: Mutex::default() }))
    }

    /// Just before a second send.
    pub fn before(&self) {
        self.0.before.store(self.0.faulty.committed(), Ordering::SeqCst);
    }

    /// Just after it.
    pub fn after(&self, method: &str, path: &str) {
        self.0.sent.fetch_add(1, Ordering::SeqCst);
        let commits = self.0.faulty.committed() - self.0.before.load(Ordering::SeqCst);
        if commits == 0 {
            return;
        }
        self.0.changed.fetch_add(1, Ordering::SeqCst);
        let mut named = self.0.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMED_MAX {
            let path = path.split('?').next().unwrap_or_default();
            named.push(format!("{method} {path} sent again made {commits} commits"));
        }
    }

    /// As the simulator calls it.
    pub fn hook(&self) -> RepeatHook {
        let repeats = self.clone();
        Arc::new(move |repeat| match repeat.moment {
            RepeatMoment::Before => repeats.before(),
            RepeatMoment::After => repeats.after(repeat.method, repeat.path),
        })
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        Counts { changed: self.0.changed.load(Ordering::SeqCst), sent: self.0.sent.load(Ordering::SeqCst) }
    }

    /// The first that changed something.
    pub fn named(&self) -> Vec<String> {
        self.0.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
