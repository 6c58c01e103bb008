//! What delivering an effect comes to.

use async_trait::async_trait;
use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_store::Write;

use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::outbox::{Effect, Owed, Reason};
use crate::provider::Provider;

/// An effect that knows how it is delivered.
#[async_trait]
pub trait Deliver: Owed {
    /// Tries one effect, once.
    async fn deliver(provider: &Provider, effect: &Effect<Self>, deadline: Deadline) -> Result<Outcome, ApiError>;
}

/// What came of a try.
#[derive(Debug)]
pub enum Outcome {
    /// Delivered, or no longer owed. The writes are committed together with its removal.
    Done(Vec<Write>),
    /// Not now.
    Later {
        /// For log and state.
        reason: Reason,
        /// When, in business time; the usual backoff if none.
        after: Option<SignedDuration>,
        /// Committed together.
        writes: Vec<Write>,
    },
    /// Not now, and something is to be remembered of it. Not a failure: attempts do not count.
    Wait {
        /// For log and state.
        reason: Reason,
        /// When, in business time.
        after: SignedDuration,
        /// Committed together.
        writes: Vec<Write>,
    },
    /// Never. A person must act.
    Dead {
        /// For log and state.
        reason: Reason,
        /// Committed together.
        writes: Vec<Write>,
    },
}

impl Outcome {
    /// What a failed call to Vercel means where the operation may be repeated at will.
    pub fn of(error: &ClientError) -> Self {
        if matches!(error, ClientError::Gone) {
            Self::later(Reason::AnsweredGone)
        } else if matches!(error.status(), Some(401 | 403)) {
            // A token that was just replaced, or trouble at Vercel: nothing is given up for it, a person is told.
            tracing::error!(error.cause = %error, "Vercel does not accept the installation's token");
            Self::later(Reason::said(error))
        } else if error.is_retryable() || error.maybe_done() {
            Self::later(Reason::said(error))
        } else {
            Self::dead(Reason::said(error))
        }
    }

    /// Not now, whatever Vercel said: it says nothing of what is owed.
    pub fn of_outage(error: &ClientError) -> Self {
        if matches!(error, ClientError::Gone) { Self::of(error) } else { Self::later(Reason::said(error)) }
    }

    /// Not now: the usual backoff.
    pub const fn later(reason: Reason) -> Self {
        Self::Later { reason, after: None, writes: Vec::new() }
    }

    /// Never, and there is nothing to write of it.
    pub const fn dead(reason: Reason) -> Self {
        Self::Dead { reason, writes: Vec::new() }
    }

    /// Nothing more to do.
    pub const fn nothing() -> Self {
        Self::Done(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradepost_marketplace::client::Refusal;

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_refused_is_dead() {
        let refusal = |status| {
            Box::new(Refusal {
                status,
                code: String::new(),
                message: String::new(),
                vercel_id: None,
                retry_after: None,
            })
        };
        let later = [
            ClientError::NotSent,
            ClientError::NoAnswer,
            ClientError::RateLimited { retry_after: None },
            ClientError::Server(refusal(500)),
            ClientError::MaybeDuplicate(refusal(409)),
            ClientError::Unreadable,
            ClientError::Deadline,
            ClientError::Rejected(refusal(401)),
            ClientError::Rejected(refusal(403)),
            // Whether the installation is gone another call must say.
            ClientError::Gone,
        ];
        for error in later {
            assert!(matches!(Outcome::of(&error), Outcome::Later { after: None, .. }), "{error:?}");
        }
        let dead = [
            ClientError::Rejected(refusal(400)),
            ClientError::Rejected(refusal(404)),
            ClientError::InvalidInvoice(Vec::new()),
            ClientError::Unwritable(String::new()),
        ];
        for error in dead {
            assert!(matches!(Outcome::of(&error), Outcome::Dead { .. }), "{error:?}");
        }
    }
}
