//! The doors that a test holds: lease time moved by hand, and waiting that does not wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tradepost_marketplace::doors::{Clock, Sleeper, SystemClock};

/// Lease time: stands still until it is moved.
pub struct Hand(Mutex<Timestamp>);

impl Hand {
    pub fn new() -> Self {
        Self(Mutex::new(SystemClock.now()))
    }

    /// Moves it to an instant, back too: a world that goes on where another ended.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    pub fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waits goes on at once, after everybody else; a test can watch for it.
pub struct Waits(watch::Sender<Vec<Duration>>);

impl Default for Waits {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Waits {
    /// Comes back once somebody has waited for exactly so long since the world began.
    pub async fn somebody_waits(&self, for_: Duration) {
        self.0.subscribe().wait_for(|waits| waits.contains(&for_)).await.unwrap();
    }

    /// Fails unless somebody has been asked to wait so long.
    #[track_caller]
    pub fn somebody_waited_at_least(&self, long: Duration) {
        assert!(self.0.borrow().iter().any(|wait| *wait >= long), "{:?}", *self.0.borrow());
    }
}

impl Sleeper for Waits {
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.0.send_modify(|waits| {
            if !waits.contains(&delay) {
                waits.push(delay);
            }
        });
        Box::pin(tokio::task::yield_now())
    }
}
