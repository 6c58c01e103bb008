//! What a provider changes about an installation (spec A.1).

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::notification::Notification;
use super::open_enum::known_or_none;
use super::plan::BillingPlan;
use super::resource::ResourceStatus;

/// What Update Installation changes (spec A.1); what is absent stays. Closed on Vercel's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationPatch {
    /// What Vercel shows as its state; the provider enforces it itself.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    pub status: Option<ResourceStatus>,
    /// The provider's own id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The installation-level plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_plan: Option<BillingPlan>,
    /// What Vercel shows beside it.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    pub notification: Change<Notification>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_changes_and_only_what_vercel_knows() {
        for json in [
            "{}",
            r#"{"status":"suspended","externalId":"acme","notification":{"level":"error","title":"Unpaid"}}"#,
            r#"{"notification":null}"#,
        ] {
            let patch: InstallationPatch = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&patch).unwrap(), json);
        }
        let odd: InstallationPatch = serde_json::from_str(r#"{"status":"asleep"}"#).unwrap();
        assert!(serde_json::to_string(&odd).is_err());
    }
}
