//! Secret rotation: asked for by a partner system here, by Vercel in `installations`; the old secrets'
//! scheduled expiry.
//!
//! Secrets never go backwards: Vercel is handed whatever is current when the call is made, and the old ones
//! are revoked only after Vercel has confirmed newer ones and the grace period (plus the longest time a call
//! may take) has passed since. What fails: Vercel is down (the new secrets wait in the lane, the old ones
//! stay good), a second rotation comes before the
//! first is done (each expires by itself).

pub(crate) mod deliver;
mod expire;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::money::{Number, Quantity};
use tradepost_marketplace::partner::{ROTATION_DELAY_HOURS_MAX, RotateSecrets};
use tradepost_marketplace::wire::Secret;

use crate::caller;
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::edge::layer;
use crate::operation::{self, Command, Plan, Planned, must_be_live};
use crate::provider::Provider;
use crate::provisioner::{self, Kind};
use crate::signing::Scope;
use crate::state::resource::SECRETS_FIELD;
use crate::state::{Credentials, Installation, Intent, Origin, Resource};

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/partner/resources/{resource}/secrets", post(rotate))
        .route("/cron/secrets", get(expire::handle).post(expire::handle));
    layer::wrap(provider, routes)
}

/// The current secrets of a resource, opened.
pub(crate) async fn held(
    provider: &Provider,
    installation: &InstallationId,
    resource: &ResourceId,
) -> Result<Option<Vec<Secret>>, ApiError> {
    let key = Credentials::key_of(installation, resource);
    let Some(held) = provider.store.get::<Credentials>(&key).await? else { return Ok(None) };
    let text = provider.keys()?.open(resource.as_str(), SECRETS_FIELD, &held.sealed).await?;
    provisioner::secrets_from_text(&text).map(Some).map_err(|_| ApiError::internal("sealed secrets do not parse"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RotateCommand {
    resource_id: ResourceId,
    reason: Option<String>,
    delay_hours: Option<Quantity>,
}

/// `POST /partner/resources/{resource}/secrets`.
async fn rotate(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let call = caller::partner(&provider, request, &[("secrets.rotate", Scope::Secrets)], BODY_BYTES_MAX).await?;
    let command: RotateCommand = call.read()?;
    if command.resource_id.as_str() != path {
        return Err(ApiError::invalid("data.resourceId is not the path's").into());
    }
    let hours = command.delay_hours.map(Number::from);
    let asked = RotateSecrets { reason: command.reason, delay_old_secrets_expiration_hours: hours };
    let delay =
        asked.delay().map_err(|_| ApiError::invalid(format!("delayHours is at most {ROTATION_DELAY_HOURS_MAX}")))?;
    let rotate = Rotate { origin: Origin::Partner, grace_seconds: delay.map(|delay| delay.as_secs()) };
    let (installation, resource) = (&call.installation, &command.resource_id);
    let command = Command { identity: &call.identity, installation, resource, deadline: call.deadline };
    let answer = operation::run(&provider, &command, &rotate).await?;
    Ok(respond(&provider, installation, answer).await?)
}

/// The plan of a rotation, whoever asks.
pub(crate) struct Rotate {
    /// Who.
    pub(crate) origin: Origin,
    /// How long the old secrets stay good.
    pub(crate) grace_seconds: Option<u64>,
}

impl Plan for Rotate {
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        if !installation.is_active() {
            return Err(ApiError::conflict("the installation was uninstalled"));
        }
        let resource = must_be_live(resource)?;
        let intent = Intent { grace_seconds: self.grace_seconds, ..Intent::of(Kind::Rotate, self.origin) };
        Ok(Planned::Go(Box::new(resource.clone()), intent))
    }
}
