//! Calls about a resource (spec A.11, A.18).

use http::Method;
use serde::{Deserialize, Serialize};

use super::error::ClientError;
use super::retry::RetryClass;
use super::send::Operation;
use super::{Call, Client};
use crate::ids::ResourceId;
use crate::wire::{BillingPlan, Change, Exposed, Metadata, Notification, Ownership, ResourceStatus, Secret};

/// What Update Resource changes (spec A.11); what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ResourcePatch {
    /// Who it belongs to.
    pub ownership: Option<Ownership>,
    /// Its name; Vercel may take another.
    pub name: Option<String>,
    /// What Vercel shows as its state; the provider enforces it itself.
    pub status: Option<ResourceStatus>,
    /// The form's fields.
    pub metadata: Option<Metadata>,
    /// Its plan.
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    pub notification: Change<Notification>,
    /// Its secrets.
    pub secrets: Option<SecretsPatch>,
}

/// New secrets of a resource.
#[derive(Debug, Clone)]
pub struct SecretsPatch {
    /// The secrets.
    pub secrets: Vec<Secret>,
    /// Whether only these are overwritten; otherwise they replace the whole set.
    pub partial: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatchBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ownership: Option<&'a Ownership>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a ResourceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_plan: Option<&'a BillingPlan>,
    #[serde(skip_serializing_if = "Change::is_keep")]
    notification: &'a Change<Notification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<SecretsBody<'a>>,
}

#[derive(Serialize)]
struct SecretsBody<'a> {
    secrets: Exposed<'a, [Secret]>,
    partial: bool,
}

/// A resource after Vercel has changed it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpdatedResource {
    /// Its name now, which may differ from the one sent: store this one (spec A.10).
    pub name: String,
}

impl Client {
    /// Update Resource (spec A.11). [`RetryClass::Repeatable`]: after a lost answer it is sent again; the last
    /// write wins, so writes to one resource must be sent one after the other.
    pub async fn update_resource(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        changes: &ResourcePatch,
    ) -> Result<UpdatedResource, ClientError> {
        let path = ["resources", resource.as_str()];
        let operation = Operation::new(self, call, "update_resource", RetryClass::Repeatable, Method::PATCH, &path);
        let operation = if changes.secrets.is_some() { operation.secretive() } else { operation };
        let body = PatchBody {
            ownership: changes.ownership.as_ref(),
            name: changes.name.as_deref(),
            status: changes.status.as_ref(),
            metadata: changes.metadata.as_ref(),
            billing_plan: changes.billing_plan.as_ref(),
            notification: &changes.notification,
            secrets: changes
                .secrets
                .as_ref()
                .map(|it| SecretsBody { secrets: Exposed(&it.secrets), partial: it.partial }),
        };
        self.fetch(operation.with_body(&body)?).await
    }

    /// Update Resource Secrets (spec A.18), which also completes a rotation that was answered 202. `partial`
    /// overwrites only those given. [`RetryClass::Repeatable`]: after a lost answer the same values are sent
    /// again; revoke the old ones only after a success.
    pub async fn update_secrets(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        secrets: &[Secret],
        partial: bool,
    ) -> Result<(), ClientError> {
        let path = ["resources", resource.as_str(), "secrets"];
        let operation = Operation::new(self, call, "update_secrets", RetryClass::Repeatable, Method::PUT, &path);
        self.send(operation.secretive().with_body(&SecretsBody { secrets: Exposed(secrets), partial })?).await
    }
}
