//! A customer renames, reconfigures or changes plans (B.8), or changes the installation's plan (B.3).

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::partner::{UpdateInstallation, UpdateResource};
use tradepost_store::{Stored, Write};

use super::read::{resource_id, view};
use crate::answer::Answer;
use crate::answer::respond;
use crate::caller::{self, Rule};
use crate::command::{self, Call, Change, Command, Judged};
use crate::delivery::Nothing;
use crate::edge::error::{ApiError, Envelope};
use crate::edge::{body, said};
use crate::installed;
use crate::operation::{self, Plan, Planned, Target};
use crate::provider::Provider;
use crate::provisioner::Kind;
use crate::state::segments::{must_be_few, must_be_live, of_installations, offers, pending, plan_starts, unknown_plan};
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
    Ok(command::answer(&provider, Call::of_vercel(&call)?, &ChangePlan { id, command }).await?)
}

struct ChangePlan<'a> {
    id: &'a InstallationId,
    command: UpdateInstallation,
}

#[async_trait]
impl Command for ChangePlan<'_> {
    type State = Stored<Installation>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        installed::active(provider, self.id).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        let catalog = provider.catalog()?;
        if let Some(plan) = &self.command.billing_plan_id {
            stored.item.plan = Some(of_installations(catalog, plan)?.id.clone());
        }
        let answer = Answer::json(StatusCode::OK, &view(catalog, &stored))?;
        let write = Write::replace(&stored.item, stored.version)?;
        Ok(Judged::Change(Change::answered(answer).writing([write])))
    }
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
        said::name(name)?;
    }
    let metadata = request.metadata.as_ref().map(said::metadata_text).transpose()?;
    let update = Update { provider: &provider, request, metadata };
    let deadline = call.deadline;
    let target = Target { identity: &call.identity, installation, resource: &resource, deadline };
    let answer = operation::run(&provider, &target, &update).await?;
    Ok(respond(&provider, installation, answer).await?)
}

struct Update<'a> {
    provider: &'a Provider,
    request: UpdateResource,
    metadata: Option<String>,
}

impl Plan for Update<'_> {
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        if !installation.is_active() {
            return Err(ApiError::conflict("the installation was uninstalled"));
        }
        let resource = must_be_live(resource)?;
        let now = self.provider.clock.now();
        let wanted = self.request.billing_plan_id.as_ref();
        let current = resource.plan_at(now);
        let upcoming = pending(resource, now).map(|segment| &segment.plan).or(current);
        let change = wanted.filter(|plan| Some(*plan) != upcoming);
        let catalog = self.provider.catalog()?;
        let plan_from = match change {
            Some(plan) if !offers(catalog, resource, plan) => return Err(unknown_plan(plan)),
            Some(plan) => {
                must_be_few(resource, now)?;
                Some(plan_starts(catalog, installation, current, plan, now)?)
            }
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
