//! Delivering what is owed, lane by lane: right after the commit that owes it, and by the sweeper.
//!
//! Knows no effect by name: an effect is whatever can [`Deliver`] itself. What fails is due again in
//! 1 min × 2ⁿ, at most [`BACKOFF_MINUTES_MAX`]; what fails for good is a dead letter ([`crate::outbox`]).

mod lane;
mod nothing;
mod outcome;
mod sweep;

pub use lane::{deliver, deliver_all};
pub use nothing::Nothing;
pub use outcome::{Deliver, Outcome};
pub use sweep::{Sweep, sweep};

/// The longest wait between two tries.
pub const BACKOFF_MINUTES_MAX: i64 = 60;
