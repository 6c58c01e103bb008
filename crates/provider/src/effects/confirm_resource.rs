//! A resource whose create was answered: does Vercel know it?
//!
//! The answer to a create may be lost, and the customer may not try again: then Vercel does not know the resource, and
//! every invoice that names it would be refused (spec A.14, rule 2). So an hour later Vercel is asked (A.9).
//!
//! A database is not deleted on one doubtful answer. "No" is believed only if all of this holds, twice with [`AGAIN`] in
//! between:
//!
//! - it is Vercel's own `not_found`, in its envelope; a gateway's 404 is an outage, and asked again;
//! - the list of the installation's resources (A.8) says the same;
//! - the installation is in use: once it is leaving nobody is asked, and what was used is billed;
//! - nothing speaks for the resource ([`speaks_for`]): Vercel named it in a command or connected it to a project, it
//!   took secrets of it, or usage of it was reported. Then Vercel knows it, whatever it says.
//!
//! From the first "no" on nothing of the resource is billed ([`Life::DENIED`]), until Vercel says yes, something
//! speaks for it, or a partner system settles it (`resource.settle`); then all of it is billed, closed periods, too.
//! After the second we undo the create: the resource is marked void first, with a refusal as the answer to a late
//! repeat of the create; then it is deleted at the provisioner and here. What fails: Vercel or the provisioner does
//! not answer, a command is in progress; then it is tried again, and the age of the lane raises an alarm. If A.8
//! contradicts A.9 a person is alarmed.

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::ClientError;
use tradepost_store::{Key, Stored, Write};

use super::listed::is_listed;
use super::release_resources::release;
use super::what::Effect;
use crate::answer::Answer;
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::edge::wide::{Field, count};
use crate::idempotency::Remembered;
use crate::installed::{self, OpenToken};
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::slice;
use crate::state::{Credentials, Life, MeterTotal, Origin, Resource, keys};

/// Vercel's code of what it does not have.
const NOT_FOUND: &str = "not_found";
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
    let Some(stored) = provider.store.get::<Resource>(&Resource::key_of(id, resource)).await? else {
        return Ok(Outcome::nothing());
    };
    if stored.life.is_void() {
        return end(provider, &stored, deadline).await;
    }
    let installation = installed::installation(provider, id).await?;
    if !stored.life.is_in_question() || !installation.is_active() {
        return Ok(Outcome::nothing());
    }
    let token = OpenToken::of(provider, &installation, deadline).await?;
    let vercel = provider.vercel()?;
    match vercel.get_resource(&token.call(), resource).await {
        Ok(_) => known(stored),
        Err(ClientError::Rejected(refusal)) if refusal.status == 404 && refusal.code == NOT_FOUND => {
            if let Some(what) = speaks_for(provider, &stored).await? {
                tracing::info!(resource = %stored.id, what, "Vercel knows a resource that it says it does not know");
                return known(stored);
            }
            match is_listed(vercel, &token, resource).await {
                Ok(true) => {
                    if effect.last_failure != Some(Reason::Contradicted) {
                        count(Field::Held, 1);
                    }
                    tracing::error!(resource = %stored.id, "Vercel lists a resource that it says it does not know");
                    Ok(Outcome::Later { reason: Reason::Contradicted, after: None, writes: denied(stored)? })
                }
                Ok(false) if effect.last_failure == Some(Reason::NotKnownToVercel) => {
                    take_back(provider, effect.not_before, stored, answers, deadline).await
                }
                Ok(false) => {
                    let writes = denied(stored)?;
                    Ok(Outcome::Wait { reason: Reason::NotKnownToVercel, after: AGAIN, writes })
                }
                Err(error) => Ok(Outcome::Later { reason: Reason::said(error), after: None, writes: denied(stored)? }),
            }
        }
        // Any other refusal says nothing of the resource.
        Err(error) => Ok(Outcome::of_outage(&error)),
    }
}

/// It is known to Vercel: billed, and not asked for again.
fn known(mut stored: Stored<Resource>) -> Result<Outcome, ApiError> {
    stored.item.life = stored.life.known();
    Ok(Outcome::Done(vec![Write::replace(&stored.item, stored.version)?]))
}

/// Nothing of it is billed until it is settled.
fn denied(mut stored: Stored<Resource>) -> Result<Vec<Write>, ApiError> {
    if stored.life == Life::DENIED {
        return Ok(Vec::new());
    }
    stored.item.life = Life::DENIED;
    Ok(vec![Write::replace(&stored.item, stored.version)?])
}

/// What shows that Vercel knows the resource, if anything does. (A command or a webhook that names it marks it.)
async fn speaks_for(provider: &Provider, resource: &Resource) -> Result<Option<&'static str>, ApiError> {
    let key = Credentials::key_of(&resource.installation, &resource.id);
    let held = provider.store.get::<Credentials>(&key).await?;
    // The first went with the answer that may be lost; Vercel took any later one.
    if held.is_some_and(|held| held.confirmed_revision > 1) {
        return Ok(Some("it took the resource's secrets"));
    }
    let Some(slice) = slice::read(provider, &resource.installation).await? else { return Ok(None) };
    let mut is_used = slice.totals.iter().any(|total| total.resource == resource.id);
    // Also of periods that are closed.
    let pk = keys::collection(&resource.installation);
    for period in &slice.installation.closed_periods {
        let prefix = MeterTotal::closed_prefix_of(period.start, &resource.id);
        is_used = is_used || !provider.store.query_after(&pk, &prefix, None, 1).await?.is_empty();
    }
    Ok(is_used.then_some("usage of it was reported"))
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
    stored.item.life = stored.life.taken_back(ended_at);
    let mut writes = vec![Write::replace(&stored.item, stored.version)?];
    writes.extend(refuse_repeat(provider, answers).await?);
    if !committed(provider, writes).await? {
        return Ok(Outcome::later(Reason::Moved));
    }
    tracing::warn!(resource = %stored.id, "Vercel does not know a resource: it is taken back");
    stored.version += 1;
    end(provider, &stored, deadline).await
}

/// Refuses a repeat of the create that comes late: we undid it.
pub(crate) async fn refuse_repeat(provider: &Provider, answers: Option<&Key>) -> Result<Option<Write>, ApiError> {
    let Some(key) = answers else { return Ok(None) };
    let Some(mut record) = provider.store.get::<Remembered>(key).await? else { return Ok(None) };
    let error =
        ApiError::conflict("Vercel did not get the answer, and the resource was taken back; ask again with a new key");
    record.item.answer = Some(Answer::refusal(&error, Origin::Vercel)?);
    Ok(Some(Write::replace(&record.item, record.version)?))
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
