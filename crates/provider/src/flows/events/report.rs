//! `POST /partner/provisioner/reports`: what the provisioner finished after its answer: a resource that is
//! ready now, secrets that came late. A report of an operation that was overtaken is refused (409).

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::wire::{Notification, ResourceStatus, Secret};
use tradepost_store::{Stored, Write};

use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::credentials::seal_credentials;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::edge::said;
use crate::edge::wide::{Field, note};
use crate::effects::{News, What, When};
use crate::installed;
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::Resource;
use crate::state::segments::must_be_live;

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
    Ok(command::answer(&provider, Call::of_partner(&call), &Take { call: &call, report }).await?)
}

struct Take<'a> {
    call: &'a PartnerCall,
    report: Report,
}

#[async_trait]
impl Command for Take<'_> {
    type State = Option<Stored<Resource>>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        installed::active(provider, &self.call.installation).await?;
        let key = Resource::key_of(&self.call.installation, &self.report.resource_id);
        Ok(provider.store.get::<Resource>(&key).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged, ApiError> {
        let report = &self.report;
        must_be_live(stored.as_ref().map(|stored| &stored.item))?;
        let mut stored = stored.ok_or_else(|| ApiError::not_found("resource"))?;
        if report.fence < stored.fence {
            return Err(ApiError::conflict("a newer operation has overtaken this one"));
        }
        if let Some(status) = &report.status {
            stored.item.status = status.clone();
        }
        if report.notification.is_some() {
            stored.item.notification.clone_from(&report.notification);
        }
        let resource = &report.resource_id;
        let mut writes = vec![Write::replace(&stored.item, stored.version)?];
        let mut owed = vec![What::ResourceUpdated { resource: resource.clone(), news: News::Change }];
        if let Some(secrets) = &report.secrets {
            writes.push(seal_credentials(provider, &stored, secrets, None, false).await?.0);
            owed.push(What::PutSecrets { resource: resource.clone(), when: When::Now });
        }
        Ok(Judged::Change(Change::accepted().writing(writes).owing(owed)))
    }
}
