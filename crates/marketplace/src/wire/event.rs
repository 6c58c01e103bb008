//! What a provider tells Vercel that it should read again (spec A.7).

use serde::{Deserialize, Serialize};

use crate::ids::{PlanId, ProductId, ResourceId};

/// The body of Create Event (spec A.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRequest {
    /// The event.
    pub event: MarketplaceEvent,
}

/// An event: Vercel answers it by reading the installation or the resource from the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum MarketplaceEvent {
    /// The installation changed on the provider's side.
    #[serde(rename = "installation.updated")]
    InstallationUpdated {
        /// The new installation-level plan, where it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        billing_plan_id: Option<PlanId>,
    },
    /// A resource changed: its name, status, notification or plan, or it is ready now.
    #[serde(rename = "resource.updated")]
    ResourceUpdated {
        /// Which one.
        resource_id: ResourceId,
        /// Its product.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product_id: Option<ProductId>,
    },
}
