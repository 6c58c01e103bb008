//! What a provider says about its part in a deployment, and connecting a resource to a project (spec A.23).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::notification::Link;
use super::open_enum::{known_or_none, open_enum};
use super::secret::{UnnamedSecret, clear, exposed, name_text, named, secret_text};
use crate::ids::ProjectId;

open_enum! {
    /// How far the provider's action is.
    ActionStatus {
        /// It goes on.
        Running = "running",
        /// It is done.
        Succeeded = "succeeded",
        /// It failed.
        Failed = "failed",
    }
}

/// What Update Deployment Action says (spec A.23); what is absent stays. Closed on Vercel's side. Written through
/// [`Exposed`](super::Exposed).
#[derive(Debug, Clone, Default)]
pub struct ActionUpdate {
    /// How far it is.
    pub status: Option<ActionStatus>,
    /// The same in words.
    pub status_text: Option<String>,
    /// Where there is more.
    pub status_url: Option<Link>,
    /// What came out of it.
    pub outcomes: Option<Vec<ActionOutcome>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ActionUpdate", rename_all = "camelCase")]
struct UpdateBody {
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "known_or_none")]
    status: Option<ActionStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_url: Option<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "clear")]
    outcomes: Option<Vec<ActionOutcome>>,
}
exposed!(ActionUpdate as UpdateBody);

/// What came out of an action.
#[derive(Debug, Clone)]
pub enum ActionOutcome {
    /// `resource-secrets`: secrets for this deployment alone.
    ResourceSecrets(Vec<ActionSecret>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ActionOutcome", tag = "kind", content = "secrets", rename_all = "kebab-case")]
enum OutcomeBody {
    #[serde(serialize_with = "clear")]
    ResourceSecrets(Vec<ActionSecret>),
}
exposed!(ActionOutcome as OutcomeBody);

/// A secret of one deployment: a name and a value, nothing else.
#[derive(Debug, Clone)]
pub struct ActionSecret {
    name: String,
    value: SecretString,
}

impl ActionSecret {
    /// One with a name that is not empty.
    pub fn new(name: impl Into<String>, value: impl Into<SecretString>) -> Result<Self, UnnamedSecret> {
        Ok(Self { name: named(name.into())?, value: value.into() })
    }

    /// The name of the environment variable.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub const fn value(&self) -> &SecretString {
        &self.value
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ActionSecret")]
struct ActionSecretBody {
    #[serde(deserialize_with = "name_text")]
    name: String,
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    value: SecretString,
}
exposed!(ActionSecret as ActionSecretBody);

/// A project to connect a resource to (spec A.23).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectConnection {
    /// The project.
    pub project_id: ProjectId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Exposed;

    #[test]
    fn an_action_survives_and_hides_its_secrets() {
        let full = r#"{"status":"succeeded","statusText":"Branch made","statusUrl":"sso:https://acme.test","outcomes":[{"kind":"resource-secrets","secrets":[{"name":"KEY","value":"v4lue"}]}]}"#;
        let read: ActionUpdate = serde_json::from_str(full).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), full);
        assert!(!format!("{read:?}").contains("v4lue"));
        assert_eq!(serde_json::to_string(&Exposed(&ActionUpdate::default())).unwrap(), "{}");
        let odd = ActionUpdate { status: Some(ActionStatus::from("paused")), ..<_>::default() };
        assert!(serde_json::to_string(&Exposed(&odd)).is_err());
        assert!(ActionSecret::new("", "v").is_err());
        assert!(serde_json::from_str::<ActionUpdate>(&full.replace("KEY", "")).is_err());
    }
}
