//! `POST …/secrets/rotate`: Vercel asks for new secrets (B.10). Always answered 202: the new secrets go by
//! Update Resource Secrets (A.18), delivered inline, and the old ones stay good for the delay.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use tradepost_marketplace::partner::RotateSecrets;

use super::read::resource_id;
use crate::answer::respond;
use crate::caller::{self, Rule};
use crate::edge::body;
use crate::edge::error::{ApiError, Envelope};
use crate::operation::{self, Rotate, Target};
use crate::provider::Provider;
use crate::state::Origin;

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path((path, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Envelope> {
    let route = format!("rotate#{resource}");
    let call = caller::vercel(&provider, request, Some(&path), Rule::AdminOrSystem, &route).await?;
    let (installation, resource) = (call.installation()?, resource_id(&resource)?);
    let request: RotateSecrets = body::parse_optional(&call.body)?;
    let delay = request.delay().map_err(|error| ApiError::invalid(error.to_string()))?;
    let rotate = Rotate { origin: Origin::Vercel, grace_seconds: delay.map(|delay| delay.as_secs()) };
    let deadline = call.deadline;
    let target = Target { identity: &call.identity, installation, resource: &resource, deadline };
    let answer = operation::run(&provider, &target, &rotate).await?;
    Ok(respond(&provider, installation, answer).await?)
}
