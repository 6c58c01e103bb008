//! The bodies of the Partner API: what Vercel sends to a provider and what the provider answers (spec B).
//!
//! Requests are read tolerantly. A body that Vercel may leave out (B.3, B.4, B.8, B.10) has a `Default`:
//! use it for an empty body. Answers that hold secrets are written through [`Exposed`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::number;
use super::plan::BillingPlan;
use super::resource::{Account, Metadata, Notification, ResourceStatus};
use super::secret::{Exposed, Secret, secret_text};
use super::time::Instant;
use crate::ids::{PlanId, ProductId, ResourceId};
use crate::money::Quantity;

/// The longest delay before old secrets expire, in hours (spec B.10).
pub const ROTATION_DELAY_HOURS_MAX: u32 = 720;

/// Upsert Installation (spec B.2). A repeat may carry a new access token.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertInstallation {
    /// What the token may do.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The policies the customer accepted, and when.
    #[serde(default, deserialize_with = "policies")]
    pub accepted_policies: BTreeMap<String, Timestamp>,
    /// How to call Vercel for this installation.
    pub credentials: Credentials,
    /// The customer's team; older payloads have none.
    #[serde(default)]
    pub account: Option<Account>,
}

/// The token of an installation (spec A). It does not expire by itself: store it encrypted.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// The bearer token of every call in A.
    #[serde(deserialize_with = "secret_text")]
    pub access_token: SecretString,
    /// Its kind.
    #[serde(default)]
    pub token_type: String,
}

fn policies<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Timestamp>, D::Error> {
    let read = Option::<BTreeMap<String, Instant>>::deserialize(from)?.unwrap_or_default();
    Ok(read.into_iter().map(|(policy, at)| (policy, at.0)).collect())
}

/// Update Installation (spec B.3): a change of the installation-level plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateInstallation {
    /// The new plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan_id: Option<PlanId>,
}

/// Delete Installation (spec B.4). The body may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteInstallation {
    /// Whether the resources go too; Vercel does not call Delete Resource for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascade_resource_deletion: Option<bool>,
    /// Why; the literals are not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to B.1, B.2 and B.3: no plan means billing per resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// The installation-level plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

/// The answer to B.4. `finalized` means that no invoice will come; otherwise Vercel waits 24 h for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationDeleted {
    /// Whether Vercel may finish at once.
    #[serde(default)]
    pub finalized: bool,
}

/// Provision Resource (spec B.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionResource {
    /// The product, by id or slug.
    pub product_id: ProductId,
    /// The name the customer gave.
    pub name: String,
    /// The form's fields.
    #[serde(default)]
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

/// Request Secrets Rotation (spec B.10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateSecrets {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the old secrets must go on working, in hours; fractions are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number::optional")]
    pub delay_old_secrets_expiration_hours: Option<Quantity>,
}

/// The delay is above [`ROTATION_DELAY_HOURS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("delayOldSecretsExpirationHours is at most {ROTATION_DELAY_HOURS_MAX} (spec B.10)")]
pub struct DelayTooLong;

impl RotateSecrets {
    /// How long the old secrets must go on working, if Vercel says so.
    pub fn delay(&self) -> Result<Option<Duration>, DelayTooLong> {
        let Some(hours) = self.delay_old_secrets_expiration_hours else { return Ok(None) };
        if hours.nano() > i128::from(ROTATION_DELAY_HOURS_MAX) * Quantity::ONE.nano() {
            return Err(DelayTooLong);
        }
        // An hour is 3,600 seconds: billionths of an hour × 3,600 are nanoseconds, below 2^52.
        u64::try_from(hours.nano() * 3_600).map(|nanos| Some(Duration::from_nanos(nanos))).map_err(|_| DelayTooLong)
    }
}

/// The answer to B.10: `sync` with the new secrets (200), or the promise to send them by A.18 (202).
///
/// `Serialize` leaves the secrets out; [`Exposed`] writes them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RotationAnswer {
    /// Whether the secrets are here.
    pub sync: bool,
    /// The new secrets.
    #[serde(default)]
    pub secrets: Option<Vec<Secret>>,
    /// Whether they are only some of the set.
    #[serde(default)]
    pub partial: Option<bool>,
}

impl RotationAnswer {
    /// The new secrets will come later (202).
    pub const fn later() -> Self {
        Self { sync: false, secrets: None, partial: None }
    }
}

#[derive(Serialize)]
struct RotationBody<'a> {
    sync: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Exposed<'a, Vec<Secret>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
}

impl Serialize for RotationAnswer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RotationBody { sync: self.sync, secrets: None, partial: self.partial }.serialize(to)
    }
}

impl Serialize for Exposed<'_, RotationAnswer> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let RotationAnswer { sync, secrets, partial } = self.0;
        RotationBody { sync: *sync, secrets: secrets.as_ref().map(Exposed), partial: *partial }.serialize(to)
    }
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
    #[serde(default)]
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

/// The answer to B.5, B.12 and B.13.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanList {
    /// The plans.
    pub plans: Vec<BillingPlan>,
}

/// The envelope of every refusal by a provider (spec B, "Error response").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code; `validation_error` makes Vercel show `fields` in its form.
    pub code: String,
    /// For logs.
    pub message: String,
    /// For the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserMessage>,
    /// Which fields of the form are wrong; only with 400.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

impl ErrorBody {
    /// A code and a message for logs.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), user: None, fields: Vec::new() }
    }

    /// Puts it into its envelope.
    pub fn into_envelope(self) -> ErrorEnvelope {
        ErrorEnvelope { error: self }
    }
}

/// What the customer is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMessage {
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where there is help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One wrong field of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name in the metadata.
    pub key: String,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
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
    }

    #[test]
    fn an_upsert_is_read_tolerantly_and_keeps_its_token_to_itself() {
        let full = r#"{"scopes":["read-write:marketplace"],"acceptedPolicies":{"toc":"2027-01-01T00:00:00.000Z"},"credentials":{"access_token":"t0ken","token_type":"Bearer","more":1},"account":{"name":"Acme","url":"https://vercel.com/acme","contact":{"email":"ann@example.com"}},"more":{}}"#;
        let upsert: UpsertInstallation = serde_json::from_str(full).unwrap();
        assert_eq!(upsert.accepted_policies["toc"], "2027-01-01T00:00:00Z".parse().unwrap());
        let shown = format!("{upsert:?}");
        assert!(!shown.contains("t0ken") && !shown.contains("ann@"), "{shown}");
        let least: UpsertInstallation = serde_json::from_str(r#"{"credentials":{"access_token":"t"}}"#).unwrap();
        assert!(least.account.is_none() && least.scopes.is_empty());
        assert!(serde_json::from_str::<UpsertInstallation>("{}").is_err());
    }

    #[test]
    fn a_rotation_says_how_long_the_old_secrets_work() {
        let delay = |hours: &str| {
            let body = format!(r#"{{"reason":"leak","delayOldSecretsExpirationHours":{hours}}}"#);
            serde_json::from_str::<RotateSecrets>(&body).unwrap().delay()
        };
        assert_eq!(delay("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(delay("0.5"), Ok(Some(Duration::from_mins(30))));
        assert_eq!(delay("7.2e2"), Ok(Some(Duration::from_hours(720))));
        assert_eq!(delay("720.000000001"), Err(DelayTooLong));
        assert_eq!(delay("null"), Ok(None));
        assert_eq!(RotateSecrets::default().delay(), Ok(None));
        assert_eq!(serde_json::to_string(&RotationAnswer::later()).unwrap(), r#"{"sync":false}"#);
        let sync = r#"{"sync":true,"secrets":[{"name":"KEY","value":"v4lue"}],"partial":false}"#;
        let answer: RotationAnswer = serde_json::from_str(sync).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&answer)).unwrap(), sync);
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"sync":true,"partial":false}"#);
    }

    #[test]
    fn requests_are_read_and_answers_written_as_the_spec_has_them() {
        let provision: ProvisionResource =
            serde_json::from_str(r#"{"productId":"db","name":"Main","metadata":{},"billingPlanId":"pro","x":1}"#)
                .unwrap();
        assert_eq!((provision.product_id.as_str(), provision.billing_plan_id.as_str()), ("db", "pro"));
        assert!(
            serde_json::from_str::<ProvisionResource>(r#"{"productId":"d/b","name":"","billingPlanId":"p"}"#).is_err()
        );
        let update: UpdateResource = serde_json::from_str(r#"{"name":"New","status":"odd"}"#).unwrap();
        assert_eq!(update.status, Some(ResourceStatus::Other("odd".to_owned())));
        let delete: DeleteInstallation =
            serde_json::from_str(r#"{"cascadeResourceDeletion":true,"reason":"other"}"#).unwrap();
        assert_eq!(delete.cascade_resource_deletion, Some(true));
        assert_eq!(serde_json::to_string(&Installation::default()).unwrap(), "{}");
        assert_eq!(serde_json::to_string(&InstallationDeleted { finalized: true }).unwrap(), r#"{"finalized":true}"#);

        let mut error = ErrorBody::new("validation_error", "bad region");
        error.fields.push(FieldError { key: "region".to_owned(), message: Some("Invalid region".to_owned()) });
        error.user = Some(UserMessage { message: Some("Choose another".to_owned()), url: None });
        assert_eq!(
            serde_json::to_string(&error.into_envelope()).unwrap(),
            r#"{"error":{"code":"validation_error","message":"bad region","user":{"message":"Choose another"},"fields":[{"key":"region","message":"Invalid region"}]}}"#
        );
    }
}
