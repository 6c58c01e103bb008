//! An installation as flows and effects need it: found, in use, its token opened.

use jiff::Timestamp;
use secrecy::SecretString;
use tradepost_marketplace::client::Call;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::{Stored, Write};

use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::edge::error::Code;
use crate::edge::wide::{Field, count};
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

/// Notes that Vercel says of an installation in use that it is gone (410 to A.1, A.3 or A.13; to other calls a 410
/// speaks of something else). Alarms once. None if that is known, or nothing is stopped by it.
pub(crate) fn gone(stored: &Stored<Installation>, now: Timestamp) -> Result<Option<Write>, ApiError> {
    if !stored.is_active() || stored.gone_since.is_some() {
        return Ok(None);
    }
    count(Field::Held, 1);
    let message = "Vercel says that an installation is gone: its pushes and effects are held";
    tracing::error!(installation = %stored.id, "{message}");
    let held = Installation { gone_since: Some(now), ..stored.item.clone() };
    Ok(Some(Write::replace(&held, stored.version)?))
}

/// The token of an installation, opened for one call.
pub(crate) struct OpenToken {
    token: SecretString,
    id: InstallationId,
    deadline: Deadline,
}

impl OpenToken {
    /// Opens it.
    ///
    /// # Errors
    /// [`Code::InstallationHeld`] while Vercel says that the installation is gone: nothing is sent for it.
    pub(crate) async fn of(
        provider: &Provider,
        installation: &Installation,
        deadline: Deadline,
    ) -> Result<Self, ApiError> {
        if installation.gone_since.is_some() {
            return Err(ApiError::new(
                Code::InstallationHeld,
                "Vercel says that this installation is gone; settle that first",
            ));
        }
        let token = provider.keys()?.open(installation.id.as_str(), TOKEN_FIELD, &installation.token).await?;
        Ok(Self { token, id: installation.id.clone(), deadline })
    }

    /// As the client wants it.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { token: &self.token, installation: &self.id, deadline: self.deadline.instant() }
    }
}
