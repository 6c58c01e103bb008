//! Every kind of effect, one file each, named as in the table of docs/architecture.md: what is owed, and how it is
//! delivered. [`What`] lists them; here they are registered for [`crate::delivery`], which knows none by name.

mod confirm_resource;
mod finalize_installation;
mod installation_updated;
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

pub use what::{Effect, News, Stuck, What};

use async_trait::async_trait;

use crate::deadline::Deadline;
use crate::delivery::{self, Deliver, Outcome, Sweep};
use crate::edge::ApiError;
use crate::outbox::Hold;
use crate::provider::Provider;

#[async_trait]
impl Deliver for What {
    async fn deliver(provider: &Provider, effect: &Effect, deadline: Deadline) -> Result<Outcome, ApiError> {
        let id = &effect.lane.installation;
        match &effect.what {
            Self::ResourceUpdated { resource, .. } => resource_updated::deliver(provider, id, resource, deadline).await,
            Self::ConfirmResource { answers, .. } => {
                confirm_resource::deliver(provider, effect, answers.as_ref(), deadline).await
            }
            Self::RemoveResource { resource } => remove_resource::deliver(provider, id, resource, deadline).await,
            Self::InstallationUpdated => installation_updated::deliver(provider, id, deadline).await,
            Self::PutSecrets { resource } => put_secrets::deliver(provider, id, resource, deadline).await,
            Self::RevokeSecrets { resource, keep_version } => {
                revoke_secrets::deliver(provider, id, resource, *keep_version, deadline).await
            }
            Self::ReadInvoice { number, hint } => {
                read_invoice::deliver(provider, id, *number, hint.as_ref(), deadline).await
            }
            Self::SubmitInvoice { number } => submit_invoice::deliver(provider, id, *number, deadline).await,
            Self::RefundInvoice { number } => refund_invoice::deliver(provider, id, *number, deadline).await,
            Self::FinalizeInstallation => finalize_installation::deliver(provider, id, deadline).await,
            Self::ReleaseResources => release_resources::deliver(provider, id, deadline).await,
        }
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
