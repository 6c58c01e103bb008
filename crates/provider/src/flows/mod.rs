//! One folder a flow, one router each.

pub mod billing;
pub mod events;
pub mod installations;
pub mod invoices;
pub mod outbox;
pub mod secrets;
pub(crate) mod slice;
pub mod sso;
pub mod usage;
pub mod webhooks;

use axum::Router;
use tradepost_marketplace::client::Call;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::{CommitError, Stored, Write};

use crate::edge::ApiError;
use crate::provider::{Deadline, Provider};
use crate::settings::Function;
use crate::state::Installation;
use crate::state::installation::TOKEN_FIELD;

/// Makes a flow's router.
pub type Make = fn(&Provider) -> Router;

/// What each function serves. (A function's own binary names its router itself, and links no other.)
pub const ROUTERS: [(Function, Make); 9] = [
    (Function::Installations, installations::router),
    (Function::Sso, sso::router),
    (Function::Webhooks, webhooks::router),
    (Function::Events, events::router),
    (Function::Usage, usage::router),
    (Function::Billing, billing::router),
    (Function::Invoices, invoices::router),
    (Function::Secrets, secrets::router),
    (Function::Outbox, outbox::router),
];

/// All flows in one router: the local server. Each works with no more than its function is configured for.
pub fn all(provider: &Provider) -> Router {
    let narrowed = ROUTERS.into_iter().map(|(function, router)| router(&provider.only(function)));
    narrowed.fold(Router::new(), Router::merge)
}

/// How often a flow reads and decides again when its guards fail.
pub(crate) const RACES_MAX: u32 = 10;

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

/// An installation that is there.
pub(crate) async fn installation(provider: &Provider, id: &InstallationId) -> Result<Stored<Installation>, ApiError> {
    let stored = provider.store.get::<Installation>(&Installation::key_of(id)).await?;
    stored.ok_or_else(|| ApiError::not_found("installation"))
}

/// An installation that its customer still uses.
pub(crate) async fn active(provider: &Provider, id: &InstallationId) -> Result<Stored<Installation>, ApiError> {
    let stored = installation(provider, id).await?;
    if stored.is_active() { Ok(stored) } else { Err(ApiError::conflict("the installation was uninstalled")) }
}

/// The token of an installation, opened for one call.
pub(crate) struct OpenToken {
    token: secrecy::SecretString,
    id: InstallationId,
    deadline: Deadline,
}

impl OpenToken {
    /// Opens it.
    pub(crate) async fn of(
        provider: &Provider,
        installation: &Installation,
        deadline: Deadline,
    ) -> Result<Self, ApiError> {
        let token = provider.keys()?.open(installation.id.as_str(), TOKEN_FIELD, &installation.token).await?;
        Ok(Self { token, id: installation.id.clone(), deadline })
    }

    /// As the client wants it.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { token: &self.token, installation: &self.id, deadline: self.deadline.0 }
    }
}
