//! Settling what is stopped because of a doubtful answer of Vercel's, on the word of a partner system:
//! `resource.settle` for a resource that Vercel says it does not know, `installation.settle` for an installation that
//! Vercel says is gone.
//!
//! Until then nothing of the resource is billed and nothing of it is destroyed; of the installation nothing is pushed
//! and what is owed to Vercel is held. What fails: there is nothing to be settled (409), there is no such thing (404).

use async_trait::async_trait;
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_store::{Key, Stored, Write};

use crate::caller::PartnerCall;
use crate::command::{Change, Command, Judged, Reply};
use crate::edge::error::ApiError;
use crate::effects::{Effect, What, refuse_repeat};
use crate::installed;
use crate::operation::OPERATION_SECONDS;
use crate::outbox::{LaneName, Owed};
use crate::provider::Provider;
use crate::state::{Installation, Resource};
use crate::uninstall::uninstall;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    /// Vercel has it.
    Known,
    /// Vercel does not have it: its create is undone.
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettleResource {
    resource_id: ResourceId,
    outcome: Verdict,
}

/// `resource.settle`.
pub(super) struct OfResource<'a> {
    pub(super) call: &'a PartnerCall,
    pub(super) command: SettleResource,
}

#[async_trait]
impl Command for OfResource<'_> {
    type State = Option<Stored<Resource>>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        // Also of a customer who leaves: what is denied is on the last invoice.
        installed::installation(provider, &self.call.installation).await?;
        let key = Resource::key_of(&self.call.installation, &self.command.resource_id);
        Ok(provider.store.get::<Resource>(&key).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged, ApiError> {
        let mut stored = stored.ok_or_else(|| ApiError::not_found("resource"))?;
        if !stored.life.is_denied() {
            return Err(ApiError::conflict("Vercel does not deny this resource: there is nothing to settle"));
        }
        let resource = stored.id.clone();
        let mut writes = Vec::new();
        let owed = match self.command.outcome {
            Verdict::Known => {
                stored.item.life = stored.life.known();
                None
            }
            Verdict::Unknown if stored.operation.is_some() => return Err(ApiError::busy(OPERATION_SECONDS)),
            Verdict::Unknown => {
                writes.extend(refuse_repeat(provider, create_of(provider, &stored).await?.as_ref()).await?);
                stored.item.life = stored.life.taken_back(provider.clock.now());
                // Whatever became of the one that asked: this one has the provisioner delete it.
                Some(What::ConfirmResource { resource: resource.clone(), answers: None })
            }
        };
        tracing::info!(resource = %resource, outcome = ?self.command.outcome, "a resource was settled by hand");
        writes.push(Write::replace(&stored.item, stored.version)?);
        Ok(Judged::Change(Change::accepted().writing(writes).owing(owed)))
    }
}

/// The record of the command that made a resource, as the effect has it that asks about it.
async fn create_of(provider: &Provider, resource: &Resource) -> Result<Option<Key>, ApiError> {
    let asks = What::ConfirmResource { resource: resource.id.clone(), answers: None };
    let (class, installation) = (asks.class(), resource.installation.clone());
    let lane = LaneName { installation, class, resource: Some(resource.id.clone()) };
    let waiting = provider.store.get::<Effect>(&Effect::key_of(&lane, &asks.slot(), false)).await?;
    Ok(match waiting.map(|effect| effect.item.what) {
        Some(What::ConfirmResource { answers, .. }) => answers,
        _ => None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Presence {
    /// Vercel has it after all: everything goes on.
    There,
    /// Its customer uninstalled, and we were not told: what follows is what follows an uninstall.
    Uninstalled,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettleInstallation {
    outcome: Presence,
}

/// `installation.settle`.
pub(super) struct OfInstallation<'a> {
    pub(super) call: &'a PartnerCall,
    pub(super) command: SettleInstallation,
}

#[async_trait]
impl Command for OfInstallation<'_> {
    type State = Stored<Installation>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        installed::active(provider, &self.call.installation).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged, ApiError> {
        if stored.gone_since.is_none() {
            return Err(ApiError::conflict(
                "Vercel does not say that this installation is gone: there is nothing to settle",
            ));
        }
        let outcome = self.command.outcome;
        tracing::info!(installation = %stored.id, ?outcome, "an installation was settled by hand");
        if outcome == Presence::Uninstalled {
            return uninstall(&stored, provider.clock.now(), None, Reply::Accepted).map(Judged::Change);
        }
        stored.item.gone_since = None;
        let write = Write::replace(&stored.item, stored.version)?;
        Ok(Judged::Change(Change::accepted().writing([write])))
    }
}
