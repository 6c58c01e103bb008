//! Committing what a flow decided, and the one rule for trying again.

use std::time::Duration;

use async_trait::async_trait;
use tradepost_store::{CommitError, Write};

use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::provider::Provider;

/// How often a flow reads and decides at most.
const TRIES_MAX: u32 = 10;
/// What is kept back of the deadline for one more try.
const TRY_SECONDS: i64 = 2;
/// The longest wait before the second try, in milliseconds; each further one may be longer by as much.
const JITTER_MS: u64 = 20;
/// When the caller of what lost every race should come back, in seconds.
const LOST_SECONDS: u32 = 1;

/// Commits; `false` if a guard failed and the flow should read again. Nothing to write is committed already.
pub(crate) async fn committed(provider: &Provider, writes: Vec<Write>) -> Result<bool, ApiError> {
    if writes.is_empty() {
        return Ok(true);
    }
    match provider.store.commit(writes).await {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { .. }) => Ok(false),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// What came of one try.
pub(crate) enum Tried<T> {
    /// It is committed.
    Through(T),
    /// A step on the way is committed: go on at once.
    Step,
    /// What was read has moved: somebody else was faster.
    Lost,
}

impl<T> Tried<T> {
    /// Through, or lost if there is nothing.
    pub(crate) fn or_lost(committed: Option<T>) -> Self {
        committed.map_or(Self::Lost, Self::Through)
    }
}

/// Something that reads, decides and commits, and may find that what it read has moved.
#[async_trait]
pub(crate) trait Attempt: Send {
    /// What it comes to.
    type Output;

    /// One try.
    async fn attempt(&mut self, provider: &Provider) -> Result<Tried<Self::Output>, ApiError>;
}

/// Tries until it is through, with a random wait after a lost race, so that those who met once do not meet again.
///
/// # Errors
/// 409 with `Retry-After` after [`TRIES_MAX`] tries, or if the deadline leaves no time for another.
pub(crate) async fn until_won<A: Attempt>(
    provider: &Provider,
    deadline: Deadline,
    attempt: &mut A,
) -> Result<A::Output, ApiError> {
    for tried in 1..=TRIES_MAX {
        match attempt.attempt(provider).await? {
            Tried::Through(output) => return Ok(output),
            Tried::Step => {}
            Tried::Lost if tried == TRIES_MAX || deadline.less(TRY_SECONDS).is_over(&provider.lease) => break,
            Tried::Lost => {
                let wait = provider.entropy.draw() % (u64::from(tried) * JITTER_MS + 1);
                provider.sleeper.sleep(Duration::from_millis(wait)).await;
            }
        }
    }
    Err(ApiError::busy(LOST_SECONDS).because("lost every race for the commit"))
}
