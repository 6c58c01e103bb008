//! Why a call to Vercel gave no result.

use std::time::Duration;

/// Why a call failed. The distinction that matters to money is [`ClientError::maybe_done`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No try left this machine: nothing happened.
    #[error("Vercel could not be reached; nothing was sent")]
    NotSent,
    /// A try left and its answer did not come: it may have been carried out.
    #[error("Vercel's answer was lost; the call may have been carried out")]
    NoAnswer,
    /// 410: the installation is removed or finalized. Stop sending for it.
    #[error("the installation is gone (410)")]
    Gone,
    /// 429: refused before it was carried out.
    #[error("Vercel limits the rate of this call")]
    RateLimited {
        /// How long Vercel asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// Another refusal: it was not carried out, and a repeat would be refused the same way.
    #[error("Vercel refused: {0}")]
    Rejected(Box<Refusal>),
    /// 5xx or 408: it may have been carried out.
    #[error("Vercel failed: {0}")]
    Server(Box<Refusal>),
    /// An answer without Vercel's error envelope (spec G): a gateway's page, a redirect, an empty body. It says nothing
    /// of the call: an outage, in which the call may have been carried out.
    #[error("something else than Vercel's API answered ({0})")]
    Foreign(u16),
    /// A try's answer was lost, and the repeat was refused as one would be whose first was carried out.
    /// Find out by reading, or from a webhook; another repeat tells nothing new.
    #[error("Vercel refused a repeat whose first answer was lost: {0}")]
    MaybeDuplicate(Box<Refusal>),
    /// A 200 that carries validation errors instead of an invoice (spec A.14).
    #[error("Vercel found {} error(s) in the invoice", .0.len())]
    InvalidInvoice(Vec<String>),
    /// It was carried out and the answer cannot be understood.
    #[error("Vercel's answer cannot be read")]
    Unreadable,
    /// The request could not be written, for example for a negative amount; nothing was sent.
    #[error("the request cannot be written: {0}")]
    Unwritable(String),
    /// The deadline passed before anything was sent.
    #[error("the deadline passed before the call was sent")]
    Deadline,
}

impl ClientError {
    /// Whether the same call may succeed later. A call of class [`super::RetryClass::Never`] needs a look at
    /// the state first where [`ClientError::maybe_done`] holds too.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotSent
                | Self::NoAnswer
                | Self::RateLimited { .. }
                | Self::Server(_)
                | Self::Foreign(_)
                | Self::Deadline
        )
    }

    /// Whether Vercel may have carried the call out.
    pub const fn maybe_done(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Server(_) | Self::Foreign(_) | Self::MaybeDuplicate(_) | Self::Unreadable)
    }

    /// How long to wait before another call, where Vercel said so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => *retry_after,
            Self::Server(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Vercel's answer, if the failure is one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Rejected(refusal) | Self::Server(refusal) | Self::MaybeDuplicate(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The status of Vercel's answer, if the failure is one. None for [`ClientError::Foreign`]: it is not Vercel's.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Gone => Some(410),
            Self::RateLimited { .. } => Some(429),
            other => other.refusal().map(|refusal| refusal.status),
        }
    }
}

/// A refusal by Vercel, kept as data. Texts are cut to [`super::REFUSAL_TEXT_CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Vercel's code, such as `bad_request`; empty if there is none.
    pub code: String,
    /// Vercel's message; withheld for requests that carried secrets, as it may quote them.
    pub message: String,
    /// Vercel's id of the request, `x-vercel-id`.
    pub vercel_id: Option<String>,
    /// How long Vercel asks to wait, if it says so (`retry-after-ms`, `retry-after`).
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}
