//! Event dispatch: partner systems tell Vercel that something changed.
//!
//! What they say is stored first, then Vercel is told to read it again (A.7): so what Vercel reads is what
//! was said, and an event that is delivered twice, or late, only makes it read once more. A resource with a
//! command in progress is busy (409 with Retry-After): that command would overwrite what is said here.

pub(crate) mod deliver;
mod query;
mod report;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::{PlanId, ResourceId};
use tradepost_marketplace::wire::{Metadata, Notification, ResourceStatus};
use tradepost_store::{Stored, Write};

use crate::caller::{self, PartnerCall};
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::edge::layer::{self, Field, note};
use crate::edge::said;
use crate::flows::{self, RACES_MAX, committed, installations};
use crate::idempotency::{self, Answer, Known};
use crate::operation::{change_plan, must_be_live, plan_begins, plan_starts, unknown_plan};
use crate::outbox::{self, News, What};
use crate::provider::Provider;
use crate::signing::Scope;
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

enum Event {
    Resource(Box<ResourceUpdated>),
    Installation(InstallationUpdated),
}

/// `POST /partner/events`.
async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let types = [("resource.updated", Scope::Events), ("installation.updated", Scope::Events)];
    let call = caller::partner(&provider, request, &types, BODY_BYTES_MAX).await?;
    let event = match call.kind.as_str() {
        "resource.updated" => Event::Resource(Box::new(call.read()?)),
        _ => Event::Installation(call.read()?),
    };
    for _ in 0..RACES_MAX {
        let installation = flows::active(&provider, &call.installation).await;
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
        let installation = installation?;
        let (write, what) = match &event {
            Event::Resource(event) => resource(&provider, &call, &installation, event).await?,
            Event::Installation(event) => {
                let (write, what) = apply(&provider, &installation, event)?;
                (write, vec![what])
            }
        };
        let owed = outbox::enqueue(&provider, &call.installation, what).await?;
        let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": owed.ids }))?;
        let mut writes = vec![write];
        writes.extend(owed.writes);
        writes.extend(call.identity.remember(&answer, provider.clock.now())?);
        if committed(&provider, writes).await? {
            outbox::deliver_all(&provider, owed.holds, call.deadline).await;
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

fn apply(
    provider: &Provider,
    stored: &Stored<Installation>,
    event: &InstallationUpdated,
) -> Result<(Write, What), ApiError> {
    said::notification(event.notification.as_ref())?;
    let mut installation = stored.item.clone();
    if let Some(plan) = &event.plan_id {
        let known = provider.catalog()?.plan(plan).filter(|plan| plan.scope == crate::catalog::Scope::Installation);
        known.ok_or_else(|| unknown_plan(plan))?;
        installation.plan = Some(plan.clone());
    }
    if event.notification.is_some() {
        installation.notification.clone_from(&event.notification);
    }
    Ok((Write::replace(&installation, stored.version)?, What::InstallationUpdated))
}

async fn resource(
    provider: &Provider,
    call: &PartnerCall,
    installation: &Stored<Installation>,
    event: &ResourceUpdated,
) -> Result<(Write, Vec<What>), ApiError> {
    said::notification(event.notification.as_ref())?;
    said::status(event.status.as_ref())?;
    note(Field::ResourceId, &event.resource_id);
    let key = Resource::key_of(&call.installation, &event.resource_id);
    let stored = provider.store.get::<Resource>(&key).await?;
    must_be_live(stored.as_ref().map(|stored| &stored.item))?;
    let stored = stored.ok_or_else(|| ApiError::not_found("resource"))?;
    if stored.operation.is_some() {
        return Err(ApiError::busy(5));
    }
    let mut resource = stored.item.clone();
    let mut owed = vec![What::ResourceUpdated { resource: event.resource_id.clone(), news: News::Change }];
    if let Some(name) = &event.name {
        installations::check_name(name)?;
        resource.name.clone_from(name);
    }
    if let Some(metadata) = &event.metadata {
        resource.metadata = installations::metadata_text(metadata)?;
    }
    if let Some(status) = &event.status {
        resource.status = status.clone();
    }
    if event.notification.is_some() {
        resource.notification.clone_from(&event.notification);
    }
    if let Some(plan) = &event.plan_id {
        let now = provider.clock.now();
        if !installations::offers(provider.catalog()?, &resource, plan) {
            return Err(unknown_plan(plan));
        }
        let at = plan_starts(provider.catalog()?, installation, resource.plan_at(now), plan, now)?;
        let at = at.max(installation.billed_until());
        change_plan(&mut resource, plan, at);
        owed.extend(plan_begins(&resource, at, now));
    }
    Ok((Write::replace(&resource, stored.version)?, owed))
}
