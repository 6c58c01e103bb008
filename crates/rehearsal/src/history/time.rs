//! The two clocks by hand, and waiting that does not wait.
//!
//! Business time is the simulator's; each process of the provider sees it up to two seconds off. Lease time goes with
//! it, and on by what is waited for and by what calls without an answer cost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::doors::{Clock, Sleeper};

use super::lock;

/// How far a clock may be off.
pub(super) const SKEW_MAX_MS: i64 = 2_000;

/// The simulator's clock, off by some milliseconds.
pub(super) struct Skewed {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) by: SignedDuration,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.by).unwrap_or(now)
    }
}

/// Lease time: never goes back.
pub(super) struct Lease {
    clock: Arc<dyn Clock>,
    ahead: Mutex<SignedDuration>,
}

impl Lease {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, ahead: Mutex::default() })
    }

    /// Lets time pass that business does not notice.
    pub(super) fn pass(&self, long: Duration) {
        let mut ahead = lock(&self.ahead);
        *ahead = SignedDuration::try_from(long).map_or(*ahead, |long| ahead.saturating_add(long));
    }
}

impl Clock for Lease {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(*lock(&self.ahead)).unwrap_or(now)
    }
}

/// Whoever waits goes on after everybody else, later by what it waited for.
pub(super) struct Waits(pub(super) Arc<Lease>);

impl Sleeper for Waits {
    fn sleep(&self, delay: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        self.0.pass(delay);
        Box::pin(tokio::task::yield_now())
    }
}
