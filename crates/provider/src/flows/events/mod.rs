//! Event dispatch: partner systems tell Vercel that something changed.
//!
//! What they say is stored first, then Vercel is told to read it again (A.7): so what Vercel reads is what
//! was said, and an event that is delivered twice, or late, only makes it read once more. A resource with a
//! command in progress is busy (409 with Retry-After): that command would overwrite what is said here.

mod query;
mod report;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use tradepost_marketplace::ids::{PlanId, ResourceId};
use tradepost_marketplace::wire::{Metadata, Notification, ResourceStatus};
use tradepost_store::{Stored, Write};

use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::edge::said;
use crate::edge::wide::{Field, note};
use crate::effects::{News, What};
use crate::installed;
use crate::layer;
use crate::operation::OPERATION_SECONDS;
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::segments::{
    change_plan, must_be_few, must_be_live, of_installations, offers, plan_starts, unknown_plan,
};
use crate::state::{Installation, Resource};

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/partner/events", post(handle))
        .route("/partner/effects/query", post(query::handle))
        .route("/partner/provisioner/reports", post(report::handle));
    layer::wrap(provider, routes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceUpdated {
    resource_id: ResourceId,
    name: Option<String>,
    status: Option<ResourceStatus>,
    notification: Option<Notification>,
    metadata: Option<Metadata>,
    plan_id: Option<PlanId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InstallationUpdated {
    plan_id: Option<PlanId>,
    notification: Option<Notification>,
}

/// `POST /partner/events`.
async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let types = [("resource.updated", Scope::Events), ("installation.updated", Scope::Events)];
    let call = caller::partner(&provider, request, &types, BODY_BYTES_MAX).await?;
    let asked = Call::of_partner(&call);
    if call.kind == "resource.updated" {
        let event = call.read()?;
        return Ok(command::answer(&provider, asked, &UpdateResource { call: &call, event }).await?);
    }
    let event = call.read()?;
    Ok(command::answer(&provider, asked, &UpdateInstallation { call: &call, event }).await?)
}

struct UpdateInstallation<'a> {
    call: &'a PartnerCall,
    event: InstallationUpdated,
}

#[async_trait]
impl Command for UpdateInstallation<'_> {
    type State = Stored<Installation>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        installed::active(provider, &self.call.installation).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged, ApiError> {
        said::notification(self.event.notification.as_ref())?;
        if let Some(plan) = &self.event.plan_id {
            stored.item.plan = Some(of_installations(provider.catalog()?, plan)?.id.clone());
        }
        if self.event.notification.is_some() {
            stored.item.notification.clone_from(&self.event.notification);
        }
        let write = Write::replace(&stored.item, stored.version)?;
        Ok(Judged::Change(Change::accepted().writing([write]).owing([What::InstallationUpdated])))
    }
}

struct UpdateResource<'a> {
    call: &'a PartnerCall,
    event: ResourceUpdated,
}

#[async_trait]
impl Command for UpdateResource<'_> {
    type State = (Stored<Installation>, Option<Stored<Resource>>);
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        let installation = installed::active(provider, &self.call.installation).await?;
        let key = Resource::key_of(&self.call.installation, &self.event.resource_id);
        Ok((installation, provider.store.get::<Resource>(&key).await?))
    }

    async fn judge(&self, provider: &Provider, (installation, stored): Self::State) -> Result<Judged, ApiError> {
        let event = &self.event;
        said::notification(event.notification.as_ref())?;
        said::status(event.status.as_ref())?;
        note(Field::ResourceId, &event.resource_id);
        must_be_live(stored.as_ref().map(|stored| &stored.item))?;
        let mut stored = stored.ok_or_else(|| ApiError::not_found("resource"))?;
        if stored.operation.is_some() {
            return Err(ApiError::busy(OPERATION_SECONDS));
        }
        let mut owed = vec![What::ResourceUpdated { resource: event.resource_id.clone(), news: News::Change }];
        owed.extend(apply(provider, &mut stored.item, &installation, event)?);
        let write = Write::replace(&stored.item, stored.version)?;
        Ok(Judged::Change(Change::accepted().writing([write]).owing(owed)))
    }
}

/// Changes the resource as the event says. Returns what is owed when a new plan begins.
fn apply(
    provider: &Provider,
    resource: &mut Resource,
    installation: &Installation,
    event: &ResourceUpdated,
) -> Result<Option<What>, ApiError> {
    if let Some(name) = &event.name {
        said::name(name)?;
        resource.name.clone_from(name);
    }
    if let Some(metadata) = &event.metadata {
        resource.metadata = said::metadata_text(metadata)?;
    }
    if let Some(status) = &event.status {
        resource.status = status.clone();
    }
    if event.notification.is_some() {
        resource.notification.clone_from(&event.notification);
    }
    let Some(plan) = &event.plan_id else { return Ok(None) };
    let (now, catalog) = (provider.clock.now(), provider.catalog()?);
    if !offers(catalog, resource, plan) {
        return Err(unknown_plan(plan));
    }
    let at = plan_starts(catalog, installation, resource.plan_at(now), plan, now)?;
    let at = at.max(installation.billed_until());
    must_be_few(resource, now)?;
    change_plan(resource, plan, at, now);
    Ok(What::plan_begins(resource, at, now))
}
