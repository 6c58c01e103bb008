//! `POST /partner/provisioner/reports`: what the provisioner finished after its answer: a resource that is
//! ready now, secrets that came late. A report of an operation that was overtaken is refused (409).

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::wire::{Notification, ResourceStatus, Secret};
use tradepost_store::Write;

use crate::caller;
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::edge::layer::{Field, note};
use crate::edge::said;
use crate::flows::{self, RACES_MAX, committed};
use crate::idempotency::{self, Answer, Known};
use crate::operation::{must_be_live, seal_credentials};
use crate::outbox::{self, News, What};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::Resource;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    /// Names the operation in the provisioner's own log.
    #[serde(rename = "operationId")]
    _operation_id: String,
    fence: u64,
    resource_id: ResourceId,
    status: Option<ResourceStatus>,
    secrets: Option<Vec<Secret>>,
    notification: Option<Notification>,
}

pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let types = [("provisioner.report", Scope::Provisioner)];
    let call = caller::partner(&provider, request, &types, BODY_BYTES_MAX).await?;
    let report: Report = call.read()?;
    note(Field::ResourceId, &report.resource_id);
    said::status(report.status.as_ref())?;
    said::notification(report.notification.as_ref())?;
    said::secrets(report.secrets.as_deref())?;
    for _ in 0..RACES_MAX {
        let installation = flows::active(&provider, &call.installation).await;
        if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
        installation?;
        let key = Resource::key_of(&call.installation, &report.resource_id);
        let stored = provider.store.get::<Resource>(&key).await?;
        must_be_live(stored.as_ref().map(|stored| &stored.item))?;
        let stored = stored.ok_or_else(|| ApiError::not_found("resource"))?;
        if report.fence < stored.fence {
            return Err(ApiError::conflict("a newer operation has overtaken this one").into());
        }
        let mut resource = stored.item.clone();
        if let Some(status) = &report.status {
            resource.status = status.clone();
        }
        if report.notification.is_some() {
            resource.notification.clone_from(&report.notification);
        }
        let mut writes = vec![Write::replace(&resource, stored.version)?];
        let mut owed = vec![What::ResourceUpdated { resource: report.resource_id.clone(), news: News::Change }];
        if let Some(secrets) = &report.secrets {
            writes.push(seal_credentials(&provider, &resource, secrets, None, false).await?.0);
            owed.push(What::PutSecrets { resource: report.resource_id.clone() });
        }
        let owed = outbox::enqueue(&provider, &call.installation, owed).await?;
        let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": owed.ids }))?;
        writes.extend(owed.writes);
        writes.extend(call.identity.remember(&answer, provider.clock.now())?);
        if committed(&provider, writes).await? {
            outbox::deliver_all(&provider, owed.holds, call.deadline).await;
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}
