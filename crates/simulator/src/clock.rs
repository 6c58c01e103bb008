//! The simulated clock: what Vercel's side, and the provider under test, call now.
//!
//! Frozen, it stands still between calls and moves only by `/_sim/clock`; running, it goes at wall speed
//! from its start and can still be moved forward. It never goes back, except by a reset.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::doors::{Clock, SystemClock};

/// How the simulated time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    /// Stands still; only `/_sim/clock` moves it.
    Frozen {
        /// The first instant.
        start: Timestamp,
    },
    /// Goes at wall speed, plus the jumps of `/_sim/clock`.
    Running {
        /// The first instant.
        start: Timestamp,
    },
}

/// 2027-01-01T00:00:00Z, in seconds since the epoch (formats.md, "Simulated time").
pub const DEFAULT_START_SECONDS: i64 = 1_798_761_600;

impl Default for ClockMode {
    /// Frozen at 2027-01-01T00:00:00Z.
    fn default() -> Self {
        Self::Frozen { start: Timestamp::from_second(DEFAULT_START_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH) }
    }
}

impl ClockMode {
    pub(crate) fn start(self) -> Timestamp {
        match self {
            Self::Frozen { start } | Self::Running { start } => start,
        }
    }

    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

struct Hand {
    /// The simulated instant at `wall`.
    at: Timestamp,
    /// The wall's instant when `at` was set.
    wall: Timestamp,
}

/// The business clock of the simulator and of whoever is given it.
pub(crate) struct SimulatedClock {
    mode: ClockMode,
    hand: Mutex<Hand>,
}

impl SimulatedClock {
    pub(crate) fn new(mode: ClockMode, at: Timestamp) -> Self {
        Self { mode, hand: Mutex::new(Hand { at, wall: SystemClock.now() }) }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, hand: &Hand) -> Timestamp {
        if !self.mode.is_running() {
            return hand.at;
        }
        let passed = hand.wall.duration_until(SystemClock.now()).max(SignedDuration::ZERO);
        hand.at.checked_add(passed).unwrap_or(hand.at)
    }

    /// Moves forward to `to`; does nothing if it is past already.
    pub(crate) fn move_to(&self, to: Timestamp) {
        let mut hand = self.hand();
        if to > self.read(&hand) {
            *hand = Hand { at: to, wall: SystemClock.now() };
        }
    }

    /// Starts again, at `at`.
    pub(crate) fn restart(&self, at: Timestamp) {
        *self.hand() = Hand { at, wall: SystemClock.now() };
    }

    pub(crate) fn is_running(&self) -> bool {
        self.mode.is_running()
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.mode.start()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.read(&self.hand())
    }
}

/// `at + duration`, or the end of time.
pub(crate) fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_forward_and_only_when_told() {
        let clock = SimulatedClock::new(ClockMode::default(), ClockMode::default().start());
        assert_eq!(clock.now().to_string(), "2027-01-01T00:00:00Z");
        let hour = later(clock.now(), SignedDuration::from_hours(1));
        clock.move_to(hour);
        assert_eq!(clock.now(), hour);
        clock.move_to(clock.start());
        assert_eq!(clock.now(), hour);
        clock.restart(clock.start());
        assert_eq!(clock.now(), clock.start());
    }

    #[test]
    fn a_running_clock_goes_on_and_jumps() {
        let start = ClockMode::default().start();
        let clock = SimulatedClock::new(ClockMode::Running { start }, start);
        assert!(clock.now() >= start);
        let day = later(start, SignedDuration::from_hours(24));
        clock.move_to(day);
        assert!(clock.now() >= day);
    }
}
