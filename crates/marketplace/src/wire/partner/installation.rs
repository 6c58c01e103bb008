//! Installations: what Vercel sends and reads (spec B.1 to B.4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::or_default;
use crate::ids::PlanId;
use crate::wire::plan::BillingPlan;
use crate::wire::resource::{Account, Notification};
use crate::wire::secret::{Exposed, secret_text};
use crate::wire::time::Instant;

/// Upsert Installation (spec B.2). A repeat may carry a new access token.
///
/// Read leniently: older payloads have no account. It has no `Serialize`; [`Exposed`] writes it, token and all.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertInstallation {
    /// What the token may do; one at least, by the schema.
    #[serde(default, deserialize_with = "or_default")]
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
///
/// It has no `Serialize`; [`Exposed`] writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// The bearer token of every call in A.
    #[serde(deserialize_with = "secret_text")]
    pub access_token: SecretString,
    /// Its kind.
    #[serde(default, deserialize_with = "or_default")]
    pub token_type: String,
}

fn policies<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Timestamp>, D::Error> {
    let read = Option::<BTreeMap<String, Instant>>::deserialize(from)?.unwrap_or_default();
    Ok(read.into_iter().map(|(policy, at)| (policy, at.0)).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpsertBody<'a> {
    scopes: &'a [String],
    accepted_policies: BTreeMap<&'a str, Instant>,
    credentials: Exposed<'a, Credentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a Account>,
}

#[derive(Serialize)]
struct CredentialsBody<'a> {
    access_token: &'a str,
    token_type: &'a str,
}

impl Serialize for Exposed<'_, UpsertInstallation> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let UpsertInstallation { scopes, accepted_policies, credentials, account } = self.0;
        let accepted_policies = accepted_policies.iter().map(|(policy, at)| (policy.as_str(), Instant(*at))).collect();
        let account = account.as_ref();
        UpsertBody { scopes, accepted_policies, credentials: Exposed(credentials), account }.serialize(to)
    }
}

impl Serialize for Exposed<'_, Credentials> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Credentials { access_token, token_type } = self.0;
        CredentialsBody { access_token: access_token.expose_secret(), token_type }.serialize(to)
    }
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

/// The answer to B.1, B.2 and B.3: no plan means billing per resource. (B.2 and B.3 may answer 204 instead.)
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// The installation-level plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it; null is read as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

/// The answer to B.4 (or 204). `finalized` means that no invoice will come; otherwise Vercel waits 24 h for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationDeleted {
    /// Whether Vercel may finish at once.
    #[serde(default, deserialize_with = "or_default")]
    pub finalized: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPSERT: &str = r#"{"scopes":["read-write:marketplace"],"acceptedPolicies":{"eula":"2027-01-01T00:00:00.001Z","toc":"2027-01-01T00:00:00.000Z"},"credentials":{"access_token":"t0ken","token_type":"Bearer"},"account":{"name":"Acme","url":"https://vercel.com/acme","contact":{"email":"ann@example.com"}}}"#;

    #[test]
    fn an_upsert_is_written_only_where_it_is_said_so() {
        let upsert: UpsertInstallation = serde_json::from_str(UPSERT).unwrap();
        assert_eq!(upsert.accepted_policies["toc"], "2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(serde_json::to_string(&Exposed(&upsert)).unwrap(), UPSERT);
        for shown in [format!("{upsert:?}"), format!("{:?}", Exposed(&upsert))] {
            assert!(!shown.contains("t0ken") && !shown.contains("ann@"), "{shown}");
        }
    }

    #[test]
    fn an_upsert_is_read_leniently_but_not_without_its_token() {
        for least in [
            r#"{"credentials":{"access_token":"t"}}"#,
            r#"{"scopes":null,"acceptedPolicies":null,"credentials":{"access_token":"t","token_type":null,"more":1},"account":null,"more":{}}"#,
        ] {
            let least: UpsertInstallation = serde_json::from_str(least).unwrap();
            assert!(least.account.is_none() && least.scopes.is_empty() && least.accepted_policies.is_empty());
        }
        let no_contact: UpsertInstallation =
            serde_json::from_str(r#"{"credentials":{"access_token":"t"},"account":{"url":"u"}}"#).unwrap();
        assert!(no_contact.account.unwrap().contact.is_none());
        for bad in [
            "{}",
            r#"{"credentials":{}}"#,
            r#"{"credentials":{"access_token":null}}"#,
            r#"{"credentials":{"access_token":"t"},"acceptedPolicies":{"toc":"yesterday"}}"#,
        ] {
            assert!(serde_json::from_str::<UpsertInstallation>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_other_bodies_of_an_installation_are_the_spec_s() {
        let delete: DeleteInstallation =
            serde_json::from_str(r#"{"cascadeResourceDeletion":true,"reason":"other"}"#).unwrap();
        assert_eq!(delete.cascade_resource_deletion, Some(true));
        assert_eq!(serde_json::to_string(&Installation::default()).unwrap(), "{}");
        let none: Installation = serde_json::from_str(r#"{"notification":null,"billingPlan":null}"#).unwrap();
        assert_eq!(none, Installation::default());
        assert_eq!(serde_json::to_string(&InstallationDeleted { finalized: true }).unwrap(), r#"{"finalized":true}"#);
        for absent in ["{}", r#"{"finalized":null}"#] {
            assert!(!serde_json::from_str::<InstallationDeleted>(absent).unwrap().finalized);
        }
        let update: UpdateInstallation = serde_json::from_str(r#"{"billingPlanId":"pro"}"#).unwrap();
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"billingPlanId":"pro"}"#);
    }
}
