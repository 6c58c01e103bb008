//! `DELETE …/resources/{resource}`: a customer deletes a resource (B.9). Unknown or gone already: 204.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::read::resource_id;
use crate::answer::Answer;
use crate::answer::respond;
use crate::caller::{self, Rule};
use crate::edge::error::{ApiError, Envelope};
use crate::operation::{self, Plan, Planned, Target};
use crate::provider::Provider;
use crate::provisioner::Kind;
use crate::state::{Installation, Intent, Origin, Resource};

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path((path, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Envelope> {
    let route = format!("delete#{resource}");
    let call = caller::vercel(&provider, request, Some(&path), Rule::AdminOrSystem, &route).await?;
    let (installation, resource) = (call.installation()?, resource_id(&resource)?);
    let deadline = call.deadline;
    let target = Target { identity: &call.identity, installation, resource: &resource, deadline };
    let answer = operation::run(&provider, &target, &Delete).await?;
    Ok(respond(&provider, installation, answer).await?)
}

struct Delete;

impl Plan for Delete {
    fn plan(&self, _: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        match resource {
            None => Ok(Planned::Answer(Answer::empty(StatusCode::NO_CONTENT))),
            Some(resource) if resource.life.is_deleted() => Ok(Planned::Answer(Answer::empty(StatusCode::NO_CONTENT))),
            Some(resource) => Ok(Planned::Go(Box::new(resource.clone()), Intent::of(Kind::Delete, Origin::Vercel))),
        }
    }
}
