//! What delivering each kind of effect means: the flow that owes it knows.

use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_store::Write;

use super::effect::{Effect, What};
use crate::edge::ApiError;
use crate::flows::{events, installations, invoices, secrets};
use crate::provider::{Deadline, Provider};

/// What came of a try.
#[derive(Debug)]
pub enum Outcome {
    /// Delivered, or no longer owed. The writes are committed together with its removal.
    Done(Vec<Write>),
    /// Not now.
    Later {
        /// A code for log and state.
        reason: String,
        /// When, in business time; the usual backoff if none.
        after: Option<SignedDuration>,
        /// Committed together.
        writes: Vec<Write>,
    },
    /// Not now, and something is to be remembered of it. Not a failure: attempts do not count.
    Wait {
        /// A code for log and state.
        reason: String,
        /// When, in business time.
        after: SignedDuration,
        /// Committed together.
        writes: Vec<Write>,
    },
    /// Never. A person must act.
    Dead {
        /// A code for log and state.
        reason: String,
        /// Committed together.
        writes: Vec<Write>,
    },
}

impl Outcome {
    /// What a failed call to Vercel means where the operation may be repeated at will.
    pub fn of(error: &ClientError) -> Self {
        if matches!(error.status(), Some(401 | 403)) {
            // A token that was just replaced, or trouble at Vercel: nothing is given up for it, a person is told.
            tracing::error!(error.cause = %error, "Vercel does not accept the installation's token");
            Self::later(error.to_string())
        } else if error.is_retryable() || error.maybe_done() {
            Self::later(error.to_string())
        } else {
            Self::Dead { reason: error.to_string(), writes: Vec::new() }
        }
    }

    /// Not now: the usual backoff.
    pub const fn later(reason: String) -> Self {
        Self::Later { reason, after: None, writes: Vec::new() }
    }

    /// Nothing more to do.
    pub const fn nothing() -> Self {
        Self::Done(Vec::new())
    }
}

/// Tries one effect.
pub(super) async fn dispatch(provider: &Provider, effect: &Effect, deadline: Deadline) -> Result<Outcome, ApiError> {
    let installation = &effect.lane.installation;
    match &effect.what {
        What::ResourceUpdated { resource, .. } => {
            events::deliver::resource(provider, installation, resource, deadline).await
        }
        What::ConfirmResource { answers, .. } => {
            installations::confirm::deliver(provider, effect, answers.as_ref(), deadline).await
        }
        What::RemoveResource { resource } => events::deliver::removal(provider, installation, resource, deadline).await,
        What::InstallationUpdated => events::deliver::installation(provider, installation, deadline).await,
        What::PutSecrets { resource } => secrets::deliver::put(provider, installation, resource, deadline).await,
        What::RevokeSecrets { resource, keep_version } => {
            secrets::deliver::revoke(provider, installation, resource, *keep_version, deadline).await
        }
        What::ReadInvoice { number, hint } => {
            invoices::read::deliver(provider, installation, *number, hint.as_ref(), deadline).await
        }
        What::SubmitInvoice { number } => invoices::submit::deliver(provider, installation, *number, deadline).await,
        What::RefundInvoice { number } => invoices::refund::deliver(provider, installation, *number, deadline).await,
        What::FinalizeInstallation => invoices::finalize::deliver(provider, installation, deadline).await,
        What::ReleaseResources => installations::release::deliver(provider, installation, deadline).await,
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
        ];
        for error in later {
            assert!(matches!(Outcome::of(&error), Outcome::Later { after: None, .. }), "{error:?}");
        }
        let dead = [
            ClientError::Gone,
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
