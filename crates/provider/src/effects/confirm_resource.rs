//! A resource whose create was answered: does Vercel know it?
//!
//! The answer to a create may be lost, and the customer may not try again: then Vercel does not know the resource, and
//! every invoice that names it would be refused (spec A.14, rule 2). So an hour later Vercel is asked (A.9), unless it has named
//! the resource in a command meanwhile. If it does not know the resource, twice with [`AGAIN`] in between, the resource is taken back: marked void first, from when on nothing of
//! it counts, with a refusal as the answer to a late repeat of the create; then deleted at the provisioner and here. What
//! fails: Vercel or the provisioner does not answer, a command is in progress; then it is tried again.

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::ClientError;
use tradepost_store::{Key, Stored, Write};

use super::release_resources::release;
use super::what::Effect;
use crate::answer::Answer;
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::idempotency::Remembered;
use crate::installed::{self, OpenToken};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::state::{InstallationStatus, Life, Origin, Resource};

/// How long after the first time Vercel is asked again.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Asks. `answers` is the key of the create's idempotency record.
pub(super) async fn deliver(
    provider: &Provider,
    effect: &Effect,
    answers: Option<&Key>,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    let (id, Some(resource)) = (&effect.lane.installation, &effect.lane.resource) else {
        return Err(ApiError::internal("a resource is to be confirmed that is not named"));
    };
    let Some(mut stored) = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await? else {
        return Ok(Outcome::nothing());
    };
    if stored.life.is_void() {
        return end(provider, &stored, deadline).await;
    }
    let installation = installed::installation(provider, id).await?;
    if stored.life != (Life::Live { is_known: false }) || installation.status == InstallationStatus::Finalized {
        return Ok(Outcome::nothing());
    }
    let token = OpenToken::of(provider, &installation, deadline).await?;
    match provider.vercel()?.get_resource(&token.call(), resource).await {
        Ok(_) => {
            stored.item.life = stored.life.known();
            Ok(Outcome::Done(vec![Write::replace(&stored.item, stored.version)?]))
        }
        // Finalized at Vercel already: nothing of it can be invoiced any more.
        Err(ClientError::Gone) => Ok(Outcome::nothing()),
        Err(error) if error.status() == Some(404) => {
            if effect.last_failure == Some(Reason::NotKnownToVercel) {
                return take_back(provider, effect.not_before, stored, answers, deadline).await;
            }
            Ok(Outcome::Wait { reason: Reason::NotKnownToVercel, after: AGAIN, writes: Vec::new() })
        }
        Err(error) => Ok(Outcome::of(&error)),
    }
}

/// From this commit on nothing of the resource counts. It ended when Vercel was to be asked again, however late it was.
async fn take_back(
    provider: &Provider,
    ended_at: Timestamp,
    mut stored: Stored<Resource>,
    answers: Option<&Key>,
    deadline: Deadline,
) -> Result<Outcome, ApiError> {
    if stored.operation.is_some() {
        return Ok(Outcome::later(Reason::CommandInProgress));
    }
    stored.item.life = Life::TakenBack { ended_at };
    let mut writes = vec![Write::replace(&stored.item, stored.version)?];
    if let Some(key) = answers
        && let Some(mut record) = provider.store.get::<Remembered>(key).await?
    {
        let error = ApiError::conflict(
            "Vercel did not get the answer, and the resource was taken back; ask again with a new key",
        );
        record.item.answer = Some(Answer::refusal(&error, Origin::Vercel)?);
        writes.push(Write::replace(&record.item, record.version)?);
    }
    if !committed(provider, writes).await? {
        return Ok(Outcome::later(Reason::Moved));
    }
    tracing::warn!(resource = %stored.id, "Vercel does not know a resource: it is taken back");
    stored.version += 1;
    end(provider, &stored, deadline).await
}

/// Deletes what was taken back.
async fn end(provider: &Provider, stored: &Stored<Resource>, deadline: Deadline) -> Result<Outcome, ApiError> {
    if stored.life.is_deleted() {
        return Ok(Outcome::nothing());
    }
    Ok(match release(provider, stored, deadline).await? {
        Ok(()) => Outcome::nothing(),
        Err(reason) => Outcome::later(reason),
    })
}
