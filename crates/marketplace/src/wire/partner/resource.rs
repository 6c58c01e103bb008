//! Resources: provisioned, read and changed (spec B.6 to B.9).

use serde::{Deserialize, Serialize, Serializer};

use super::or_default;
use crate::ids::{PlanId, ProductId, ResourceId};
use crate::wire::plan::BillingPlan;
use crate::wire::resource::{Metadata, Notification, ResourceStatus};
use crate::wire::secret::{Exposed, Secret};

/// Provision Resource (spec B.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionResource {
    /// The product, by id or slug.
    pub product_id: ProductId,
    /// The name the customer gave.
    pub name: String,
    /// The form's fields.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// The chosen plan; may be an installation-level one.
    pub billing_plan_id: PlanId,
    /// What a Deploy Button passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What the customer opted in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_settings: Option<ProtocolSettings>,
}

/// Update Resource (spec B.8); what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateResource {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New fields of the form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// A new plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan_id: Option<PlanId>,
    /// Deprecated by Vercel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ResourceStatus>,
    /// What the customer opted in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_settings: Option<ProtocolSettings>,
}

/// Opt-ins of a resource (spec B.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolSettings {
    /// Experimentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experimentation: Option<Experimentation>,
}

/// Experimentation settings (spec B.6). A config id means that the customer opted in to syncing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Experimentation {
    /// The Edge Config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_id: Option<String>,
    /// Whether it is synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_syncing_enabled: Option<bool>,
    /// The id of the token used for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_config_token_id: Option<String>,
    /// The same config under its name since mid-2026 (spec A.22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_config_id: Option<String>,
}

/// A resource as the provider describes it (spec B.6, B.7, B.8). Only B.6 carries secrets, and there they
/// are final. Without a plan the resource is billed at installation level; elsewhere Vercel calls that an error.
///
/// `Serialize` leaves the secrets out; [`Exposed`] writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The provider's id.
    pub id: ResourceId,
    /// The product, as Vercel named it.
    pub product_id: ProductId,
    /// Its name.
    pub name: String,
    /// The form's fields.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// Its state.
    pub status: ResourceStatus,
    /// Its plan.
    #[serde(default)]
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    #[serde(default)]
    pub notification: Option<Notification>,
    /// What the customer opted in to.
    #[serde(default)]
    pub protocol_settings: Option<ProtocolSettings>,
    /// Its secrets.
    #[serde(default)]
    pub secrets: Option<Vec<Secret>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceBody<'a> {
    id: &'a ResourceId,
    product_id: &'a ProductId,
    name: &'a str,
    metadata: &'a Metadata,
    status: &'a ResourceStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_plan: Option<&'a BillingPlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<&'a Notification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_settings: Option<&'a ProtocolSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Exposed<'a, Vec<Secret>>>,
}

impl<'a> ResourceBody<'a> {
    fn new(resource: &'a Resource, secrets: Option<&'a Vec<Secret>>) -> Self {
        Self {
            id: &resource.id,
            product_id: &resource.product_id,
            name: &resource.name,
            metadata: &resource.metadata,
            status: &resource.status,
            billing_plan: resource.billing_plan.as_ref(),
            notification: resource.notification.as_ref(),
            protocol_settings: resource.protocol_settings.as_ref(),
            secrets: secrets.map(Exposed),
        }
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ResourceBody::new(self, None).serialize(to)
    }
}

impl Serialize for Exposed<'_, Resource> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ResourceBody::new(self.0, self.0.secrets.as_ref()).serialize(to)
    }
}

/// The answer to the deprecated List Resources, `GET …/resources?ids=…`: gone from Vercel's reference in 2026,
/// and still served by its example. Never with secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ResourceList {
    /// The resources.
    pub resources: Vec<Resource>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = r#"{"id":"r1","productId":"db","name":"Main","metadata":{"n":[1,2],"region":"fra1"},"status":"ready","billingPlan":{"id":"pro","type":"subscription","name":"Pro","description":"d","scope":"resource","paymentMethodRequired":true},"notification":{"level":"info","title":"Hi"},"protocolSettings":{"experimentation":{"edgeConfigId":"ec"}},"secrets":[{"name":"KEY","value":"v4lue"}]}"#;

    #[test]
    fn a_resource_shows_its_secrets_only_when_told_to() {
        let resource: Resource = serde_json::from_str(RESOURCE).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&resource)).unwrap(), RESOURCE);
        let without = RESOURCE.replace(r#","secrets":[{"name":"KEY","value":"v4lue"}]"#, "");
        assert_eq!(serde_json::to_string(&resource).unwrap(), without);
        assert!(!format!("{resource:?}").contains("v4lue"));
        let list = ResourceList { resources: vec![resource] };
        assert_eq!(serde_json::to_string(&list).unwrap(), format!(r#"{{"resources":[{without}]}}"#));
    }

    #[test]
    fn null_is_absent() {
        let nulls = r#"{"id":"r1","productId":"db","name":"Main","metadata":null,"status":"odd","billingPlan":null,"notification":null,"protocolSettings":null,"secrets":null}"#;
        let resource: Resource = serde_json::from_str(nulls).unwrap();
        assert_eq!(
            serde_json::to_string(&Exposed(&resource)).unwrap(),
            r#"{"id":"r1","productId":"db","name":"Main","metadata":{},"status":"odd"}"#
        );
    }

    #[test]
    fn requests_are_read_tolerantly_and_written_as_the_spec_has_them() {
        let json = r#"{"productId":"db","name":"Main","metadata":{"tier":[1,"a"]},"billingPlanId":"pro","externalId":"e","protocolSettings":{"experimentation":{"edgeConfigId":"ec"}}}"#;
        let provision: ProvisionResource = serde_json::from_str(json).unwrap();
        assert_eq!((provision.product_id.as_str(), provision.billing_plan_id.as_str()), ("db", "pro"));
        assert_eq!(serde_json::to_string(&provision).unwrap(), json);
        let more: ProvisionResource =
            serde_json::from_str(r#"{"productId":"db","name":"","billingPlanId":"p","externalId":null,"new":{}}"#)
                .unwrap();
        assert!(more.metadata.is_empty() && more.external_id.is_none());
        for bad in [
            r#"{"productId":"d/b","name":"","billingPlanId":"p"}"#,
            r#"{"productId":"db","billingPlanId":"p"}"#,
            r#"{"productId":"db","name":"Main"}"#,
        ] {
            assert!(serde_json::from_str::<ProvisionResource>(bad).is_err(), "{bad}");
        }
        let update: UpdateResource = serde_json::from_str(r#"{"name":"New","status":"odd"}"#).unwrap();
        assert_eq!(update.status, Some(ResourceStatus::Other("odd".to_owned())));
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"name":"New","status":"odd"}"#);
    }
}
