//! A typed client of the part of Vercel's API that a provider calls (spec A).
//!
//! Used by whoever delivers to Vercel. One method an operation, all through one loop (`send`): build the
//! request once, try it within the deadline, classify the answer, wait as [`RetrySchedule`] says. What fails
//! is one enum, [`ClientError`], whose main question is whether the operation may have been carried out.
//!
//! [`OPERATIONS`] lists them all. Every operation has a [`RetryClass`], and says what happens when its answer is lost.
//! Neither a token nor a body is ever logged; each answer's `x-vercel-id` is.

mod billing;
mod config;
mod credential;
mod deployment;
mod error;
mod experiment;
mod installation;
mod operations;
mod refusal;
mod resource;
pub mod retry;
mod send;
mod sso;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use billing::SubmittedInvoice;
pub use config::{ConfigHead, ConfigPath, ConfigRead, ConfigWrite};
pub use error::{ClientError, Refusal};
pub use operations::{OPERATIONS, OperationInfo};
pub use refusal::REFUSAL_TEXT_CHARS_MAX;
pub use resource::Removal;
pub use retry::{RetryClass, RetrySchedule};

use crate::doors::{Entropy, LeaseClock, LeaseTime, Sleeper};
use crate::endpoint::Endpoint;
use crate::http_door::HttpDoor;
use crate::ids::InstallationId;

/// The longest one try may take; the deadline may leave less.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one Vercel. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: HttpDoor,
    base: Endpoint,
    lease: LeaseClock,
    sleeper: Arc<dyn Sleeper>,
    entropy: Arc<dyn Entropy>,
    schedule: RetrySchedule,
}

impl Client {
    /// A client of the API at `base` with [`RetrySchedule::default`].
    pub fn new(
        http: HttpDoor,
        base: Endpoint,
        lease: LeaseClock,
        sleeper: Arc<dyn Sleeper>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { http, base, lease, sleeper, entropy, schedule: RetrySchedule::default() }
    }

    /// The same behind another door, made of its own: where calls are counted or traced.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(HttpDoor) -> HttpDoor) -> Self {
        Self { http: wrap(self.http), ..self }
    }

    /// The same with another schedule.
    #[must_use]
    pub fn with_schedule(self, schedule: RetrySchedule) -> Self {
        Self { schedule, ..self }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

/// On whose behalf, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The installation's access token (spec B.2).
    pub token: &'a SecretString,
    /// The installation.
    pub installation: &'a InstallationId,
    /// When to give up: no try starts after it, none runs past it.
    pub deadline: LeaseTime,
}
