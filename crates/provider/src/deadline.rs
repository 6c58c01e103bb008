//! When a request must have been answered.

use jiff::SignedDuration;
use tradepost_marketplace::doors::{LeaseClock, LeaseTime};

/// When a request must have been answered, in lease time. Opaque: it is compared with the lease clock and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(LeaseTime);

impl Deadline {
    /// At this instant of lease time.
    pub const fn at(instant: LeaseTime) -> Self {
        Self(instant)
    }

    /// The same deadline, earlier by `seconds`: what is kept back for the commit and the response.
    #[must_use]
    pub fn less(self, seconds: i64) -> Self {
        Self(self.0.after(-SignedDuration::from_secs(seconds)))
    }

    /// Whether it has passed.
    pub fn is_over(self, lease: &LeaseClock) -> bool {
        lease.now() >= self.0
    }

    /// The time until it passes; negative once it has.
    pub fn left(self, lease: &LeaseClock) -> SignedDuration {
        self.0.since(lease.now())
    }

    /// The instant, for a client that has no `Deadline` of ours.
    pub const fn instant(self) -> LeaseTime {
        self.0
    }
}
