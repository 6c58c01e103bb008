//! Payloads about deployments and their checks (spec E; the shapes come from Vercel's example, not a reference).

use serde::{Deserialize, Deserializer, Serialize};

use super::id_of;
use super::payload::Payload;
use crate::ids::{CheckId, CheckRunId, DeploymentId, InstallationId, ProjectId, ResourceId, TeamId, VercelUserId};
use crate::money::Number;
use crate::wire::open_enum::open_enum;
use crate::wire::raw::Raw;

open_enum! {
    /// Where a deployment goes; none for a preview.
    DeploymentTarget {
        /// To production.
        Production = "production",
        /// To staging.
        Staging = "staging",
    }
}

/// A deployment was made, or came to its next state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentEvent {
    /// Whose; none for a personal account.
    #[serde(rename = "team", default, with = "id_of::optional")]
    pub team_id: Option<TeamId>,
    /// By whom.
    #[serde(rename = "user", default, with = "id_of::optional")]
    pub user_id: Option<VercelUserId>,
    /// The deployment.
    pub deployment: Deployment,
    /// Where it is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<DeploymentLinks>,
    /// Where it goes.
    #[serde(default)]
    pub target: Option<DeploymentTarget>,
    /// Of which project.
    #[serde(rename = "project", default, with = "id_of::optional")]
    pub project_id: Option<ProjectId>,
    /// The team's plan at Vercel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Where it runs.
    #[serde(default, deserialize_with = "or_empty")]
    pub regions: Vec<String>,
    /// The installations concerned; deprecated by Vercel for `integrations`.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub installation_ids: Vec<InstallationId>,
    /// The installations concerned, and their resources.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<DeploymentIntegration>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// What was attached to it, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Raw>,
    /// Its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Pages of Vercel's dashboard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentLinks {
    /// The deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// An installation that a deployment concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentIntegration {
    /// Which one.
    pub installation_id: InstallationId,
    /// Which of its resources.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<DeploymentResource>,
}

/// A resource that a deployment concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentResource {
    /// The provider's id.
    #[serde(rename = "externalResourceId")]
    pub id: ResourceId,
}

/// A check is to be done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRerequested {
    /// Whose; none for a personal account.
    #[serde(rename = "team", default, with = "id_of::optional")]
    pub team_id: Option<TeamId>,
    /// By whom.
    #[serde(rename = "user", default, with = "id_of::optional")]
    pub user_id: Option<VercelUserId>,
    /// Of which deployment.
    #[serde(rename = "deployment", with = "id_of")]
    pub deployment_id: DeploymentId,
    /// Which check.
    #[serde(rename = "check", with = "id_of")]
    pub check_id: CheckId,
}

/// A run of a check is to start, or is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRunEvent {
    /// The run.
    pub check_run: CheckRun,
    /// Of which deployment.
    #[serde(rename = "deployment", with = "id_of")]
    pub deployment_id: DeploymentId,
}

/// A run of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRun {
    /// Its id.
    pub id: CheckRunId,
    /// Of which check.
    pub check_id: CheckId,
    /// Of which deployment.
    pub deployment_id: DeploymentId,
    /// How long it may take, as it came; the unit is not documented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Number>,
    /// Whose check it is.
    pub source: CheckSource,
}

/// Whose check it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckSource {
    /// What kind of source; [`CheckSource::INTEGRATION`] for ours.
    pub kind: String,
    /// The installation, where it is an integration's.
    #[serde(rename = "integrationConfigurationId", default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<InstallationId>,
    /// The resource, by the provider's id.
    #[serde(rename = "externalResourceId", default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
}

impl CheckSource {
    /// The kind of an integration's check.
    pub const INTEGRATION: &'static str = "integration";
}

fn or_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

macro_rules! as_it_stands {
    ($($name:ident),+) => {$(
        impl Payload for $name {
            fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
                serde_json::from_str(json).map(Some)
            }
        }
    )+};
}

as_it_stands!(DeploymentEvent, CheckRerequested, CheckRunEvent);
