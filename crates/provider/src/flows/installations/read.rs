//! What Vercel reads back: an installation (B.1), a resource (B.7).

use axum::Json;
use axum::extract::{Path, Request, State};
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::partner;

use crate::caller::{self, Rule, VercelCall};
use crate::edge::error::{ApiError, Envelope};
use crate::operation::resource_body;
use crate::provider::Provider;
use crate::state::{Installation, InstallationStatus, Resource};
use tradepost_pricing::catalog::{Catalog, Plan};

/// The resource of a path; a foreign or unknown one is 404 alike.
pub(super) fn resource_id(text: &str) -> Result<ResourceId, ApiError> {
    ResourceId::new(text).map_err(|_| ApiError::not_found("resource"))
}

/// The resource of a path, if the installation has it.
pub(super) async fn resource_there(provider: &Provider, call: &VercelCall, id: &str) -> Result<Resource, ApiError> {
    let key = Resource::key_of(call.installation()?, &resource_id(id)?);
    let stored = provider.store.get::<Resource>(&key).await?.filter(|stored| stored.life.is_there());
    stored.map(|stored| stored.item).ok_or_else(|| ApiError::not_found("resource"))
}

pub(super) async fn installation(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Json<partner::Installation>, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::System, "installation").await?;
    let stored = provider.store.get::<Installation>(&Installation::key_of(call.installation()?)).await?;
    let found = stored.filter(|stored| stored.status != InstallationStatus::Finalized);
    let found = found.ok_or_else(|| ApiError::not_found("installation"))?;
    Ok(Json(view(provider.catalog()?, &found)))
}

/// An installation as Vercel reads it.
pub(super) fn view(catalog: &Catalog, installation: &Installation) -> partner::Installation {
    let plan = installation.plan.as_ref().and_then(|id| catalog.plan(id));
    partner::Installation {
        billing_plan: plan.map(Plan::to_billing_plan),
        notification: installation.notification.clone(),
    }
}

pub(super) async fn resource(
    State(provider): State<Provider>,
    Path((path, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Json<partner::Resource>, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::System, "resource").await?;
    let there = resource_there(&provider, &call, &resource).await?;
    Ok(Json(resource_body(provider.catalog()?, &there, provider.clock.now())?))
}
