//! The doors: the only ways by which this code reaches time, chance and the network.
//!
//! Each is handed down explicitly and `clippy.toml` forbids the side entrances, so that a test or a
//! simulation owns all of them. Two kinds of time are kept apart on purpose: business time (what a
//! period, a token or a signature is judged by) may be simulated; lease time (what a lease, a timeout or
//! a retry is judged by) is real, or moved by hand in a test. Advancing a month must expire no lease.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A source of the current instant.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// Business time: periods, due dates, expiry of tokens and signatures.
#[derive(Clone)]
pub struct BusinessClock(pub Arc<dyn Clock>);

/// An instant of lease time. A type of its own: it is compared with nothing of business time, and a compiler says so.
/// Stored as the instant's text (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseTime(Timestamp);

impl LeaseTime {
    /// The instant that a clock of lease time shows, or that somebody outside named: when credentials expire.
    pub const fn of(instant: Timestamp) -> Self {
        Self(instant)
    }

    /// As an instant of the wall's clock, to be compared with what others say of it.
    pub const fn instant(self) -> Timestamp {
        self.0
    }

    /// Later by `length`, or earlier if it is negative; at most what can be written.
    #[must_use]
    pub fn after(self, length: SignedDuration) -> Self {
        let bound = if length.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        Self(self.0.checked_add(length).unwrap_or(bound))
    }

    /// The time from `earlier` to this; negative if it is the other way round.
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }
}

/// Lease time: leases, timeouts, deadlines and the delays between tries.
#[derive(Clone)]
pub struct LeaseClock(pub Arc<dyn Clock>);

impl BusinessClock {
    /// The current instant of business time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl LeaseClock {
    /// The current instant of lease time.
    pub fn now(&self) -> LeaseTime {
        LeaseTime(self.0.now())
    }
}

impl fmt::Debug for BusinessClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusinessClock")
    }
}

impl fmt::Debug for LeaseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseClock")
    }
}

/// Waiting, in lease time.
pub trait Sleeper: Send + Sync {
    /// Completes after `delay`.
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()>;
}

/// Randomness good enough for secrets.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);

    /// A uniformly drawn number, for jitter.
    fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Environment variables.
pub trait Environment: Send + Sync {
    /// The variable's value, if it is set and not empty.
    fn var(&self, name: &str) -> Option<String>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The async runtime's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSleeper;

impl Sleeper for SystemSleeper {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
}

/// The crypto provider's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    #[allow(clippy::expect_used, reason = "aws-lc aborts or succeeds; there is no safe way on without randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives randomness");
    }
}

/// The process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}
