//! An installation as flows and effects need it: found, in use, its token opened.

use secrecy::SecretString;
use tradepost_marketplace::client::Call;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::Stored;

use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::Installation;
use crate::state::installation::TOKEN_FIELD;

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
    token: SecretString,
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
        Call { token: &self.token, installation: &self.id, deadline: self.deadline.instant() }
    }
}
