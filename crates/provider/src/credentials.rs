//! The secrets of a resource: opened, sealed, and when those they replaced expire.

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::Secret;
use tradepost_store::Write;

use crate::edge::{ApiError, said};
use crate::provider::Provider;
use crate::state::resource::SECRETS_FIELD;
use crate::state::{Credentials, Resource, Rotation};

/// The longest a request already sent may still take effect somewhere: added to every grace period.
const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(60);

/// The current secrets of a resource, opened.
pub(crate) async fn held(
    provider: &Provider,
    installation: &InstallationId,
    resource: &ResourceId,
) -> Result<Option<Vec<Secret>>, ApiError> {
    let key = Credentials::key_of(installation, resource);
    let Some(held) = provider.store.get::<Credentials>(&key).await? else { return Ok(None) };
    let text = provider.keys()?.open(resource.as_str(), SECRETS_FIELD, &held.sealed).await?;
    said::secrets_from_text(&text).map(Some).map_err(|_| ApiError::internal("sealed secrets do not parse"))
}

/// The secrets that came, sealed, one revision up. `version` is what the provisioner calls them, if that
/// changes; `confirmed` says that the answer itself hands them to Vercel. Returns the revision, too.
pub(crate) async fn seal_credentials(
    provider: &Provider,
    resource: &Resource,
    secrets: &[Secret],
    version: Option<u64>,
    confirmed: bool,
) -> Result<(Write, u64), ApiError> {
    let key = Credentials::key_of(&resource.installation, &resource.id);
    let held = provider.store.get::<Credentials>(&key).await?;
    let revision = held.as_ref().map_or(0, |held| held.revision) + 1;
    let text = said::secrets_to_text(secrets).map_err(ApiError::internal)?;
    let record = Credentials {
        resource: resource.id.clone(),
        installation: resource.installation.clone(),
        secrets_version: version.or(held.as_ref().map(|held| held.secrets_version)).unwrap_or(1),
        revision,
        sealed: provider.keys()?.seal(resource.id.as_str(), SECRETS_FIELD, &text).await?,
        confirmed_revision: match &held {
            _ if confirmed => revision,
            Some(held) => held.confirmed_revision,
            None => 0,
        },
    };
    let write = match held {
        Some(held) => Write::replace(&record, held.version)?,
        None => Write::create(&record)?,
    };
    Ok((write, revision))
}

/// From now on the old secrets of a rotation stay good for its grace period and no longer: Vercel has the new ones.
pub(crate) fn grace_begins(rotation: &mut Rotation, now: Timestamp) -> Result<(), ApiError> {
    let grace = SignedDuration::from_secs(i64::try_from(rotation.grace_seconds).unwrap_or(i64::MAX));
    rotation.confirmed_at = Some(now);
    rotation.look_at = now.saturating_add(grace)?.saturating_add(LONGEST_CALL)?;
    Ok(())
}
