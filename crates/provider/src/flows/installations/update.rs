//! A customer renames, reconfigures or changes plans (B.8), or changes the installation's plan (B.3).

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use tradepost_marketplace::ids::PlanId;
use tradepost_marketplace::partner::{UpdateInstallation, UpdateResource};
use tradepost_store::Write;

use super::provision::{check_name, metadata_text};
use super::read::{resource_id, view};
use crate::caller::{self, Rule};
use crate::catalog::{Catalog, Scope};
use crate::edge::answer::respond;
use crate::edge::body;
use crate::edge::error::{ApiError, Envelope};
use crate::flows::{self, RACES_MAX, committed};
use crate::idempotency::{self, Answer, Known};
use crate::operation::{self, Command, Plan, Planned, must_be_live, plan_starts, unknown_plan};
use crate::provider::Provider;
use crate::provisioner::Kind;
use crate::state::{Installation, Intent, Origin, Resource};

/// B.3.
pub(super) async fn installation(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::Admin, "update_installation").await?;
    let id = call.installation()?;
    let command: UpdateInstallation = body::parse_optional(&call.body)?;
    let catalog = provider.catalog()?;
    let of_installation = |plan: &PlanId| catalog.plan(plan).is_some_and(|plan| plan.scope == Scope::Installation);
    for _ in 0..RACES_MAX {
        let stored = flows::active(&provider, id).await;
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, id, answer).await?);
        }
        let mut stored = stored?;
        if let Some(plan) = command.billing_plan_id.as_ref().filter(|plan| !of_installation(plan)) {
            return Err(unknown_plan(plan).into());
        }
        if command.billing_plan_id.is_some() {
            stored.item.plan.clone_from(&command.billing_plan_id);
        }
        let answer = Answer::json(StatusCode::OK, &view(catalog, &stored))?;
        let mut writes = vec![Write::replace(&stored.item, stored.version)?];
        writes.extend(call.identity.remember(&answer, provider.clock.now())?);
        if committed(&provider, writes).await? {
            return Ok(respond(&provider, id, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

/// B.8.
pub(super) async fn resource(
    State(provider): State<Provider>,
    Path((path, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Envelope> {
    let route = format!("update#{resource}");
    let call = caller::vercel(&provider, request, Some(&path), Rule::Admin, &route).await?;
    let (installation, resource) = (call.installation()?, resource_id(&resource)?);
    let request: UpdateResource = body::parse_optional(&call.body)?;
    if let Some(name) = &request.name {
        check_name(name)?;
    }
    let metadata = request.metadata.as_ref().map(metadata_text).transpose()?;
    let change = Change { provider: &provider, request, metadata };
    let deadline = call.deadline;
    let command = Command { identity: &call.identity, installation, resource: &resource, deadline };
    let answer = operation::run(&provider, &command, &change).await?;
    Ok(respond(&provider, installation, answer).await?)
}

struct Change<'a> {
    provider: &'a Provider,
    request: UpdateResource,
    metadata: Option<String>,
}

impl Plan for Change<'_> {
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        if !installation.is_active() {
            return Err(ApiError::conflict("the installation was uninstalled"));
        }
        let resource = must_be_live(resource)?;
        let now = self.provider.clock.now();
        let wanted = self.request.billing_plan_id.as_ref();
        let current = resource.plan_at(now);
        let change = wanted.filter(|plan| Some(*plan) != current || pending(resource, now));
        let catalog = self.provider.catalog()?;
        let plan_from = match change {
            Some(plan) if !offers(catalog, resource, plan) => return Err(unknown_plan(plan)),
            Some(plan) => Some(plan_starts(catalog, installation, current, plan, now)?),
            None => None,
        };
        let intent = Intent {
            plan: change.cloned(),
            plan_from,
            name: self.request.name.clone(),
            metadata: self.metadata.clone(),
            ..Intent::of(Kind::Update, Origin::Vercel)
        };
        Ok(Planned::Go(Box::new(resource.clone()), intent))
    }
}

/// Whether a plan is to begin later. One that was given up is an empty segment.
fn pending(resource: &Resource, now: jiff::Timestamp) -> bool {
    resource.segments.iter().any(|segment| segment.start > now && segment.end != Some(segment.start))
}

/// Whether the resource's product has the plan.
pub(crate) fn offers(catalog: &Catalog, resource: &Resource, plan: &PlanId) -> bool {
    let product = catalog.product(resource.product.as_str());
    product.is_some_and(|product| product.plans.iter().any(|offered| offered.id == *plan))
}
