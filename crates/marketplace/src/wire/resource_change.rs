//! What a provider tells Vercel to make of a resource: import, update, secrets (spec A.10, A.11, A.18, A.19).
//!
//! Bodies with secrets are written through [`Exposed`](super::Exposed).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::change::Change;
use super::notification::Notification;
use super::object::RawObject;
use super::open_enum::{known, known_or_none};
use super::plan::BillingPlan;
use super::resource::{Ownership, ResourceStatus};
use super::secret::{InClear, Secret, clear, exposed};
use crate::ids::ProductId;

/// A resource to import, or to replace if Vercel knows its id (spec A.10). Closed on Vercel's side.
#[derive(Debug, Clone)]
pub struct ImportResource {
    /// The product.
    pub product_id: ProductId,
    /// Its name; Vercel may take another.
    pub name: String,
    /// Its state.
    pub status: ResourceStatus,
    /// Who it belongs to; linked, for what existed at the provider before (spec D.6).
    pub ownership: Option<Ownership>,
    /// The form's fields.
    pub metadata: Option<RawObject>,
    /// Its plan.
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    pub notification: Option<Notification>,
    /// Whatever else the integration has agreed on with Vercel.
    pub extras: Option<RawObject>,
    /// Its secrets.
    pub secrets: Option<Vec<Secret>>,
}

impl ImportResource {
    /// One with nothing optional.
    pub fn new(product_id: ProductId, name: impl Into<String>, status: ResourceStatus) -> Self {
        Self {
            product_id,
            name: name.into(),
            status,
            ownership: None,
            metadata: None,
            billing_plan: None,
            notification: None,
            extras: None,
            secrets: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ImportResource", rename_all = "camelCase")]
struct ImportBody {
    product_id: ProductId,
    name: String,
    #[serde(serialize_with = "known")]
    status: ResourceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    ownership: Option<Ownership>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<RawObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    billing_plan: Option<BillingPlan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notification: Option<Notification>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extras: Option<RawObject>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "clear")]
    secrets: Option<Vec<Secret>>,
}
exposed!(ImportResource as ImportBody);

/// What Update Resource changes (spec A.11); what is absent stays. Closed on Vercel's side.
#[derive(Debug, Clone, Default)]
pub struct ResourcePatch {
    /// Who it belongs to.
    pub ownership: Option<Ownership>,
    /// Its name; Vercel may take another.
    pub name: Option<String>,
    /// What Vercel shows as its state; the provider enforces it itself.
    pub status: Option<ResourceStatus>,
    /// The form's fields.
    pub metadata: Option<RawObject>,
    /// Its plan.
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    pub notification: Change<Notification>,
    /// Whatever else the integration has agreed on with Vercel.
    pub extras: Option<RawObject>,
    /// Its secrets.
    pub secrets: Option<SecretsPatch>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ResourcePatch", rename_all = "camelCase")]
struct PatchBody {
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    ownership: Option<Ownership>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    status: Option<ResourceStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<RawObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    billing_plan: Option<BillingPlan>,
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    notification: Change<Notification>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extras: Option<RawObject>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "clear")]
    secrets: Option<SecretsPatch>,
}
exposed!(ResourcePatch as PatchBody);

/// New secrets of a resource, in either form that Update Resource takes (spec A.11).
#[derive(Debug, Clone)]
pub enum SecretsPatch {
    /// A bare list: they replace the whole set.
    List(Vec<Secret>),
    /// As Update Resource Secrets takes them: the whole set, or only those given.
    Update(SecretsUpdate),
}

impl From<SecretsUpdate> for SecretsPatch {
    fn from(update: SecretsUpdate) -> Self {
        Self::Update(update)
    }
}

impl InClear for SecretsPatch {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(secrets) => secrets.in_clear(to),
            Self::Update(update) => update.in_clear(to),
        }
    }
}

impl<'de> Deserialize<'de> for SecretsPatch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let read = if raw.get().starts_with('[') {
            serde_json::from_str(raw.get()).map(Self::List)
        } else {
            serde_json::from_str(raw.get()).map(Self::Update)
        };
        // Vercel's and serde's words about a secret may quote it.
        read.map_err(|_| D::Error::custom("secrets are a list, or an object with one (spec A.11)"))
    }
}

/// New secrets of a resource (spec A.18, A.19).
#[derive(Debug, Clone)]
pub struct SecretsUpdate {
    /// The secrets.
    pub secrets: Vec<Secret>,
    /// Whether only these are overwritten; otherwise they replace the whole set.
    pub partial: Option<bool>,
}

impl SecretsUpdate {
    /// The whole set.
    pub const fn all(secrets: Vec<Secret>) -> Self {
        Self { secrets, partial: None }
    }

    /// Some of the set; the others stay.
    pub const fn some(secrets: Vec<Secret>) -> Self {
        Self { secrets, partial: Some(true) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SecretsUpdate")]
struct SecretsBody {
    #[serde(serialize_with = "clear")]
    secrets: Vec<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
}
exposed!(SecretsUpdate as SecretsBody);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Exposed;

    const IMPORT: &str = r#"{"productId":"db","name":"Main","status":"ready","ownership":"linked","metadata":{"rate":1.50},"notification":{"level":"info","title":"Hi"},"extras":{"tiny":5e-7},"secrets":[{"name":"KEY","value":"v4lue"}]}"#;

    #[test]
    fn an_import_survives_to_the_byte_and_hides_its_secrets() {
        let import: ImportResource = serde_json::from_str(IMPORT).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&import)).unwrap(), IMPORT);
        assert!(!format!("{import:?}").contains("v4lue"));
        let least = ImportResource::new(ProductId::new("db").unwrap(), "Main", ResourceStatus::Ready);
        let json = r#"{"productId":"db","name":"Main","status":"ready"}"#;
        assert_eq!(serde_json::to_string(&Exposed(&least)).unwrap(), json);
        let odd = ImportResource { ownership: Some(Ownership::from("rented")), ..least };
        assert!(serde_json::to_string(&Exposed(&odd)).is_err());
    }

    #[test]
    fn a_patch_keeps_the_form_of_its_secrets() {
        let secret = r#"[{"name":"KEY","value":"v4lue"}]"#;
        for secrets in [
            secret.to_owned(),
            format!(r#"{{"secrets":{secret}}}"#),
            format!(r#"{{"secrets":{secret},"partial":true}}"#),
            format!(r#"{{"secrets":{secret},"partial":false}}"#),
        ] {
            let json = format!(r#"{{"ownership":"owned","name":"n","notification":null,"secrets":{secrets}}}"#);
            let patch: ResourcePatch = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&Exposed(&patch)).unwrap(), json);
            assert!(!format!("{patch:?}").contains("v4lue"));
        }
        let bad = serde_json::from_str::<ResourcePatch>(r#"{"secrets":[{"name":"KEY","value":["v4lue"]}]}"#);
        assert!(!bad.unwrap_err().to_string().contains("v4lue"));
        assert_eq!(serde_json::to_string(&Exposed(&ResourcePatch::default())).unwrap(), "{}");
    }

    #[test]
    fn an_update_is_of_all_or_of_some() {
        let secret = || vec![Secret::new("KEY", "v").unwrap()];
        let written = |update| serde_json::to_string(&Exposed(&update)).unwrap();
        assert_eq!(written(SecretsUpdate::all(secret())), r#"{"secrets":[{"name":"KEY","value":"v"}]}"#);
        assert_eq!(
            written(SecretsUpdate::some(secret())),
            r#"{"secrets":[{"name":"KEY","value":"v"}],"partial":true}"#
        );
    }
}
