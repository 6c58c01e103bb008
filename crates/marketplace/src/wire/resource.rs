//! Resources as Vercel describes them to the provider (spec A.8, A.9), and the words for their state.

use serde::{Deserialize, Serialize, Serializer};

pub(super) use super::account::Account;
pub(super) use super::notification::Notification;
use super::object::RawObject;
use super::open_enum::open_enum;
use crate::ids::{InternalResourceId, PlanId, ProductId, ResourceId};

/// The free-form fields of a resource, by the product's metadata schema (spec H). Not for amounts.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

open_enum! {
    /// The state of a resource or an installation (spec A, `Status`). `Suspended` and `Resumed` only change
    /// what Vercel shows; the provider enforces them itself (spec A.1).
    ResourceStatus {
        /// It can be used.
        Ready = "ready",
        /// It is being made.
        Pending = "pending",
        /// The customer must finish something at the provider: Vercel opens it with `path=onboarding`.
        Onboarding = "onboarding",
        /// It is out of service, for example for an unpaid invoice.
        Suspended = "suspended",
        /// It is back in service.
        Resumed = "resumed",
        /// It is gone.
        Uninstalled = "uninstalled",
        /// Something is wrong with it.
        Error = "error",
    }
}

open_enum! {
    /// Who a resource belongs to (spec A.10).
    Ownership {
        /// Made through Vercel and billed there.
        Owned = "owned",
        /// It existed at the provider before; not billed through Vercel.
        Linked = "linked",
        /// For trying out.
        Sandbox = "sandbox",
    }
}

open_enum! {
    /// An environment of a project.
    EnvironmentTarget {
        /// On people's machines.
        Development = "development",
        /// Previews.
        Preview = "preview",
        /// What customers' customers see.
        Production = "production",
    }
}

/// A resource as Vercel knows it (spec A.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VercelResource {
    /// The provider's id; `partnerId` in a list.
    #[serde(alias = "partnerId")]
    pub id: ResourceId,
    /// Vercel's own id.
    pub internal_id: InternalResourceId,
    /// Vercel's id of the product.
    pub product_id: ProductId,
    /// Its name.
    pub name: String,
    /// Its state, as shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ResourceStatus>,
    /// Its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan_id: Option<PlanId>,
    /// The form's fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<RawObject>,
    /// What is shown beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// What the customer opted in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_settings: Option<ResourceSettings>,
}

/// What the customer opted in to, as Vercel says it (spec A.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSettings {
    /// Where the customer's own app is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<AuthenticationSettings>,
    /// The config of experiments and flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experimentation: Option<ExperimentationSettings>,
}

/// Where the customer's own app is (spec A.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationSettings {
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_urls: Option<Vec<AppUrl>>,
}

/// An address of the customer's app in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppUrl {
    /// The environment.
    pub target: EnvironmentTarget,
    /// The address.
    pub url: String,
}

/// The config of experiments and flags (spec A.8); a list says all of it, a single resource only the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentationSettings {
    /// The config, by its name until mid-2026 (spec A.22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_id: Option<String>,
    /// The config, by its name of today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_config_id: Option<String>,
    /// Whether the provider may write it (older name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_syncing_enabled: Option<bool>,
    /// Whether the provider may write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_config_syncing_enabled: Option<bool>,
    /// The token by which the customer's projects read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_token_id: Option<String>,
}

/// All resources of an installation (spec A.8). There are no pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VercelResources {
    /// They, with their ids as `partnerId`.
    #[serde(serialize_with = "as_listed")]
    pub resources: Vec<VercelResource>,
}

#[derive(Serialize)]
#[serde(remote = "VercelResource", rename_all = "camelCase")]
struct Listed {
    #[serde(rename = "partnerId")]
    id: ResourceId,
    internal_id: InternalResourceId,
    product_id: ProductId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<ResourceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_plan_id: Option<PlanId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<RawObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_settings: Option<ResourceSettings>,
}

fn as_listed<S: Serializer>(resources: &[VercelResource], to: S) -> Result<S::Ok, S::Error> {
    struct One<'a>(&'a VercelResource);
    impl Serialize for One<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            Listed::serialize(self.0, to)
        }
    }
    to.collect_seq(resources.iter().map(One))
}

/// A resource after Vercel has imported or changed it (spec A.10, A.11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedResource {
    /// Its name now, which may differ from the one sent: store this one.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"id":"db_1","internalId":"ir_1","productId":"iap_1","name":"Main","status":"ready","billingPlanId":"pro","metadata":{"n":1.50,"regions":["fra1"]},"notification":{"level":"info","title":"Hi"},"protocolSettings":{"authentication":{"appUrls":[{"target":"preview","url":"https://p"}]},"experimentation":{"edgeConfigId":"ec","globalConfigId":"gc","edgeConfigSyncingEnabled":true,"globalConfigSyncingEnabled":false,"edgeConfigTokenId":"t"}}}"#;

    #[test]
    fn a_resource_of_vercels_survives_alone_and_in_a_list() {
        let one: VercelResource = serde_json::from_str(ONE).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), ONE);
        let listed = format!(r#"{{"resources":[{}]}}"#, ONE.replace(r#"{"id":"#, r#"{"partnerId":"#));
        let list: VercelResources = serde_json::from_str(&listed).unwrap();
        assert_eq!(list.resources, [one]);
        assert_eq!(serde_json::to_string(&list).unwrap(), listed);
    }

    #[test]
    fn an_unknown_status_survives() {
        for text in ["\"ready\"", "\"resumed\"", "\"hibernating\""] {
            let status: ResourceStatus = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&status).unwrap(), text);
        }
        assert_eq!(ResourceStatus::from("ready"), ResourceStatus::Ready);
        assert_eq!(ResourceStatus::from("x"), ResourceStatus::Other("x".to_owned()));
    }
}
