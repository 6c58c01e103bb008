//! Calls about an installation (spec A.1, A.2, A.3, A.7).

use http::Method;
use serde::Serialize;

use super::error::ClientError;
use super::retry::RetryClass;
use super::send::Operation;
use super::{Call, Client};
use crate::wire::{Account, BillingPlan, Change, MarketplaceEvent, Notification, ResourceStatus};

/// What Update Installation changes (spec A.1). Closed on Vercel's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationPatch {
    /// What Vercel shows as its state; the provider enforces it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ResourceStatus>,
    /// The provider's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The installation-level plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    #[serde(skip_serializing_if = "Change::is_keep")]
    pub notification: Change<Notification>,
}

impl Client {
    /// Update Installation (spec A.1). [`RetryClass::Repeatable`]: after a lost answer it is sent again; the last
    /// write wins.
    pub async fn update_installation(&self, call: &Call<'_>, patch: &InstallationPatch) -> Result<(), ClientError> {
        let operation = Operation::new(self, call, "update_installation", RetryClass::Repeatable, Method::PATCH, &[]);
        self.send(operation.with_body(patch)?).await
    }

    /// Finalize Installation (spec A.2): no more invoices will come. [`RetryClass::Last`]: it ends the life of the
    /// token, so a repeat may be refused *because* the first one counted; that is
    /// [`ClientError::MaybeDuplicate`], and [`ClientError::Gone`] means that it is finalized, whoever did it.
    pub async fn finalize_installation(&self, call: &Call<'_>) -> Result<(), ClientError> {
        let path = ["billing", "finalize"];
        self.send(Operation::new(self, call, "finalize_installation", RetryClass::Last, Method::POST, &path)).await
    }

    /// Get Account Info (spec A.3): who the customer is now. [`RetryClass::Repeatable`]: it only reads.
    pub async fn account(&self, call: &Call<'_>) -> Result<Account, ClientError> {
        self.fetch(Operation::new(self, call, "account", RetryClass::Repeatable, Method::GET, &["account"])).await
    }

    /// Create Event (spec A.7): Vercel reads the installation or the resource again. [`RetryClass::Repeatable`]:
    /// after a lost answer it is sent again; at worst Vercel reads twice.
    pub async fn create_event(&self, call: &Call<'_>, event: &MarketplaceEvent) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Body<'a> {
            event: &'a MarketplaceEvent,
        }
        let operation = Operation::new(self, call, "create_event", RetryClass::Repeatable, Method::POST, &["events"]);
        self.send(operation.with_body(&Body { event })?).await
    }
}
