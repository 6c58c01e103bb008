//! Every kind of effect, one file each, named as in the table of docs/architecture.md: what is owed, and how it is
//! delivered. [`What`] lists them; here they are registered for [`crate::delivery`], which knows none by name.

mod confirm_resource;
mod finalize_installation;
mod installation_updated;
mod listed;
mod put_secrets;
mod read_invoice;
mod refund_invoice;
mod release_resources;
mod remove_resource;
mod resource_updated;
mod revoke_secrets;
mod submit_invoice;
mod tell;
mod what;

pub(crate) use confirm_resource::refuse_repeat;
pub use what::{Effect, News, Stuck, What, When};

use async_trait::async_trait;
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::Write;

use crate::deadline::Deadline;
use crate::delivery::{self, Deliver, Outcome, Sweep};
use crate::edge::ApiError;
use crate::installed::{self, OpenToken};
use crate::outbox::{Hold, Reason};
use crate::provider::Provider;
use crate::state::PushFailed;

#[async_trait]
impl Deliver for What {
    async fn deliver(provider: &Provider, effect: &Effect, deadline: Deadline) -> Result<Outcome, ApiError> {
        let outcome = tried(provider, effect, deadline).await?;
        match outcome {
            Outcome::Later { reason: Reason::AnsweredGone, after, mut writes } => {
                writes.extend(ask_whether_gone(provider, &effect.lane.installation, deadline).await?);
                Ok(Outcome::Later { reason: Reason::AnsweredGone, after, writes })
            }
            other => Ok(other),
        }
    }
}

/// A 410 to most calls speaks of what they are about; whether the installation is gone, A.3 says.
async fn ask_whether_gone(
    provider: &Provider,
    id: &InstallationId,
    deadline: Deadline,
) -> Result<Vec<Write>, ApiError> {
    let stored = installed::installation(provider, id).await?;
    let token = OpenToken::of(provider, &stored, deadline).await?;
    let answer = provider.vercel()?.account(&token.call()).await;
    let now = provider.clock.now();
    let is_gone = matches!(answer, Err(ClientError::Gone));
    let Some(held) = (if is_gone { installed::gone(&stored, now)? } else { None }) else { return Ok(Vec::new()) };
    let mut writes = vec![held];
    // The days that end from now on are owed, once it is there again.
    if provider.store.get::<PushFailed>(&PushFailed::key_of(id)).await?.is_none() {
        writes.push(Write::create(&PushFailed::held(id, now))?);
    }
    Ok(writes)
}

async fn tried(provider: &Provider, effect: &Effect, deadline: Deadline) -> Result<Outcome, ApiError> {
    let id = &effect.lane.installation;
    match &effect.what {
        What::ResourceUpdated { resource, .. } => resource_updated::deliver(provider, id, resource, deadline).await,
        What::ConfirmResource { answers, .. } => {
            confirm_resource::deliver(provider, effect, answers.as_ref(), deadline).await
        }
        What::RemoveResource { resource } => remove_resource::deliver(provider, id, resource, deadline).await,
        What::InstallationUpdated => installation_updated::deliver(provider, id, deadline).await,
        What::PutSecrets { resource, .. } => put_secrets::deliver(provider, id, resource, deadline).await,
        What::RevokeSecrets { resource, keep_version } => {
            revoke_secrets::deliver(provider, id, resource, *keep_version, deadline).await
        }
        What::ReadInvoice { number, hint, follows_refund } => {
            let why = read_invoice::Why::of(hint.as_ref(), *follows_refund, effect.created_at);
            read_invoice::deliver(provider, id, *number, why, deadline).await
        }
        What::SubmitInvoice { number } => submit_invoice::deliver(provider, id, *number, deadline).await,
        What::RefundInvoice { number } => refund_invoice::deliver(provider, id, *number, deadline).await,
        What::FinalizeInstallation => finalize_installation::deliver(provider, id, deadline).await,
        What::ReleaseResources => release_resources::deliver(provider, id, deadline).await,
    }
}

/// Delivers every lane held, one after the other.
pub async fn deliver_all(provider: &Provider, holds: Vec<Hold>, deadline: Deadline) {
    delivery::deliver_all::<What>(provider, holds, deadline).await;
}

/// Delivers the lanes that are due.
pub async fn sweep(provider: &Provider, deadline: Deadline) -> Result<Sweep, ApiError> {
    delivery::sweep::<What>(provider, deadline).await
}
