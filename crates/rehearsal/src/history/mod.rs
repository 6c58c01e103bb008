//! Seeded histories, each a few customers' month or two on the whole system in one thread, with
//! faults at every door, judged by what the history itself knows.
//!
//! A history is drawn from its seed: what customers and partner systems do (`script`), what goes wrong at the doors
//! (`doors`), when processes of the provider die and what their clocks show (`fleet`), when the scheduler comes,
//! twice or not at all. No socket, no sleep, no wall clock: the AWS SDK ends in a function call, the simulator and the
//! provisioner are routers. Invariants are looked at after every step (`check`) and, after a calm in which
//! everything owed must be delivered, all over again (`audit`). The same seed gives the same trace to the byte.
//! What fails: a violation is a sentence in [`History::violations`]; an error is trouble of the stage's own.

mod acts;
mod audit;
mod bill;
mod check;
mod dice;
mod doors;
mod fate;
mod fleet;
mod life;
mod model;
mod play;
mod sabotage;
mod script;
mod stage;
mod time;
mod unknowns;

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

pub use fate::Counts;
pub use sabotage::Sabotage;

/// Where everybody lives.
const VERCEL: &str = "https://vercel.example";
const PROVIDER: &str = "https://provider.example";
const PROVISIONER: &str = "https://provisioner.example";

/// What is sold.
const PRODUCT: &str = "ledgerbase";
const FREE: &str = "ledgerbase-free-1";
const TEAM: &str = "ledgerbase-team-1";
const SCALE: &str = "ledgerbase-scale-1";

/// What came of a history.
#[derive(Debug, Clone)]
pub struct History {
    /// What it was drawn from.
    pub seed: u64,
    /// What does not hold; empty if all is well.
    pub violations: Vec<String>,
    /// What it contained.
    pub counts: Counts,
    /// What happened, a line each.
    pub trace: String,
    /// Sixteen digits of the trace's SHA-256.
    pub digest: String,
}

/// Plays one history, in this thread.
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> anyhow::Result<History> {
    // No I/O: nothing here may touch a socket.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(play::history(seed, sabotage)).with_context(|| format!("seed {seed}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
