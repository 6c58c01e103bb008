//! Secret rotation: asked for by a partner system here, by Vercel in `installations`; the old secrets'
//! scheduled expiry.
//!
//! Secrets never go backwards: Vercel is handed whatever is current when the call is made, and the old ones
//! are revoked only after Vercel has confirmed newer ones and the grace period (plus the longest time a call
//! may take) has passed since. What fails: Vercel is down (the new secrets wait in the lane, the old ones
//! stay good), a second rotation comes before the
//! first is done (each expires by itself).

mod expire;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::money::{Number, Quantity};
use tradepost_marketplace::partner::{ROTATION_DELAY_HOURS_MAX, RotateSecrets};

use crate::answer::respond;
use crate::caller;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::layer;
use crate::operation::{self, Rotate, Target};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::Origin;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/partner/resources/{resource}/secrets", post(rotate))
        .route("/cron/secrets", get(expire::handle).post(expire::handle));
    layer::wrap(provider, routes)
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
    let target = Target { identity: &call.identity, installation, resource, deadline: call.deadline };
    let answer = operation::run(&provider, &target, &rotate).await?;
    Ok(respond(&provider, installation, answer).await?)
}
