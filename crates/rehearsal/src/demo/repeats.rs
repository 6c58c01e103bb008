//! What a second send of the same request changes, and how it is answered: nothing and the same, or the demo does not
//! balance.
//!
//! Sent again are the requests *to* the provider: of Vercel, of the partner's systems, of the browser, of the scheduler.
//! The provider's own calls are repeated by faults instead (`vercel:reset_after`, `store:timeout_after`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tradepost_simulator::{RepeatHook, RepeatMoment};
use tradepost_store::Faulty;

/// The most repeats that are told by name.
const NAMED_MAX: usize = 20;

/// How many requests were sent again, and how many of those changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Second sends after which the store had more commits than before.
    pub changed: u64,
    /// Second sends that were answered otherwise than the first.
    pub differing: u64,
    /// Second sends.
    pub sent: u64,
}

struct Shared {
    faulty: Faulty,
    before: AtomicU64,
    sent: AtomicU64,
    changed: AtomicU64,
    differing: AtomicU64,
    named: Mutex<Vec<String>>,
}

/// Watches the store's commit counter around second sends. They are made one at a time.
#[derive(Clone)]
pub struct Repeats(Arc<Shared>);

impl Repeats {
    /// Watches the store behind this door.
    pub fn new(faulty: Faulty) -> Self {
        let zero = AtomicU64::default;
        let (before, sent, changed, differing, named) = (zero(), zero(), zero(), zero(), Mutex::default());
        Self(Arc::new(Shared { faulty, before, sent, changed, differing, named }))
    }

    /// Just before a second send.
    pub fn before(&self) {
        self.0.before.store(self.0.faulty.committed(), Ordering::SeqCst);
    }

    /// Just after it. `difference` is what is wrong with its answer, if anything.
    pub fn after(&self, method: &str, path: &str, difference: Option<String>) {
        self.0.sent.fetch_add(1, Ordering::SeqCst);
        let commits = self.0.faulty.committed() - self.0.before.load(Ordering::SeqCst);
        if commits > 0 {
            self.0.changed.fetch_add(1, Ordering::SeqCst);
            self.name(method, path, &format!("made {commits} commits"));
        }
        if let Some(difference) = difference {
            self.0.differing.fetch_add(1, Ordering::SeqCst);
            self.name(method, path, &difference);
        }
    }

    fn name(&self, method: &str, path: &str, what: &str) {
        let mut named = self.0.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMED_MAX {
            let path = path.split('?').next().unwrap_or_default();
            named.push(format!("{method} {path} sent again {what}"));
        }
    }

    /// As the simulator calls it.
    pub fn hook(&self) -> RepeatHook {
        let repeats = self.clone();
        Arc::new(move |repeat| match repeat.moment {
            RepeatMoment::Before => repeats.before(),
            RepeatMoment::After => {
                repeats.after(repeat.method, repeat.path, differing(repeat.first_status, repeat.status));
            }
        })
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Counts { changed: count(&self.0.changed), differing: count(&self.0.differing), sent: count(&self.0.sent) }
    }

    /// The first that changed something or were answered otherwise.
    pub fn named(&self) -> Vec<String> {
        self.0.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How the second answer's status differs from the first one's; `None` stands for no answer.
pub fn differing(first: Option<u16>, again: Option<u16>) -> Option<String> {
    let shown = |status: Option<u16>| status.map_or("nothing".to_owned(), |status| status.to_string());
    (first != again).then(|| format!("was answered {}, not {}", shown(again), shown(first)))
}
