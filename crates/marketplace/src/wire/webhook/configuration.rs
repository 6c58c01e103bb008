//! Payloads about the installation itself, as Vercel knows it: an integration configuration.

use serde::{Deserialize, Serialize};

use super::payload::{Payload, installation_of};
use crate::ids::{InstallationId, ProjectId, TeamId, VercelUserId};
use crate::wire::open_enum::open_enum;

open_enum! {
    /// Which of the team's projects an installation reaches.
    ProjectSelection {
        /// Every one, and those to come.
        All = "all",
        /// Those that are named.
        Selected = "selected",
    }
}

/// The integration was removed from a team: the same news as Delete Installation (B.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationRemoved {
    /// Which installation.
    pub installation_id: InstallationId,
    /// From which team; none for a personal account.
    pub team_id: Option<TeamId>,
    /// By whom.
    pub user_id: Option<VercelUserId>,
    /// Which projects it reached.
    pub project_selection: Option<ProjectSelection>,
    /// Those projects, where they were named.
    pub projects: Vec<ProjectId>,
}

/// The installation may reach other projects now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionUpgraded {
    /// Which installation.
    pub installation_id: InstallationId,
    /// Of which team.
    pub team_id: Option<TeamId>,
    /// By whom.
    pub user_id: Option<VercelUserId>,
    /// Which projects it reaches.
    pub project_selection: Option<ProjectSelection>,
    /// Those projects, where they are named.
    pub projects: Vec<ProjectId>,
    /// Those that it did not reach before.
    pub projects_added: Vec<ProjectId>,
    /// Those that it reaches no more.
    pub projects_removed: Vec<ProjectId>,
}

/// A team agreed to other scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeChangeConfirmed {
    /// Which installation.
    pub installation_id: InstallationId,
    /// Of which team.
    pub team_id: Option<TeamId>,
    /// By whom.
    pub user_id: Option<VercelUserId>,
    /// The scopes now.
    pub scopes: Vec<String>,
}

/// What the three have in common on the wire.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default, with = "super::id_of::optional")]
    team: Option<TeamId>,
    #[serde(default, with = "super::id_of::optional")]
    user: Option<VercelUserId>,
    configuration: Option<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Projects>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    // Read by `installation_of`.
    #[serde(skip_deserializing)]
    id: Option<InstallationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_selection: Option<ProjectSelection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<ProjectId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Projects {
    #[serde(default)]
    added: Option<Vec<ProjectId>>,
    #[serde(default)]
    removed: Option<Vec<ProjectId>>,
}

impl Serialize for InstallationRemoved {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let configuration = Configuration {
            id: Some(self.installation_id.clone()),
            project_selection: self.project_selection.clone(),
            projects: Some(self.projects.clone()),
            scopes: None,
        };
        let (team, user) = (self.team_id.clone(), self.user_id.clone());
        Body { team, user, configuration: Some(configuration), projects: None }.serialize(to)
    }
}

impl Serialize for PermissionUpgraded {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let configuration = Configuration {
            id: Some(self.installation_id.clone()),
            project_selection: self.project_selection.clone(),
            projects: Some(self.projects.clone()),
            scopes: None,
        };
        let projects =
            Projects { added: Some(self.projects_added.clone()), removed: Some(self.projects_removed.clone()) };
        let (team, user) = (self.team_id.clone(), self.user_id.clone());
        Body { team, user, configuration: Some(configuration), projects: Some(projects) }.serialize(to)
    }
}

impl Serialize for ScopeChangeConfirmed {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let configuration = Configuration {
            id: Some(self.installation_id.clone()),
            project_selection: None,
            projects: None,
            scopes: Some(self.scopes.clone()),
        };
        let (team, user) = (self.team_id.clone(), self.user_id.clone());
        Body { team, user, configuration: Some(configuration), projects: None }.serialize(to)
    }
}

/// The installation and the body; the configuration is there, since it names the installation or may be left out.
fn read(json: &str) -> Result<Option<(InstallationId, Body, Configuration)>, serde_json::Error> {
    let Some(installation_id) = installation_of(json)? else { return Ok(None) };
    let mut body: Body = serde_json::from_str(json)?;
    let none = Configuration { id: None, project_selection: None, projects: None, scopes: None };
    let configuration = body.configuration.take().unwrap_or(none);
    Ok(Some((installation_id, body, configuration)))
}

impl Payload for InstallationRemoved {
    fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
        let Some((installation_id, body, configuration)) = read(json)? else { return Ok(None) };
        Ok(Some(Self {
            installation_id,
            team_id: body.team,
            user_id: body.user,
            project_selection: configuration.project_selection,
            projects: configuration.projects.unwrap_or_default(),
        }))
    }
}

impl Payload for PermissionUpgraded {
    fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
        let Some((installation_id, body, configuration)) = read(json)? else { return Ok(None) };
        let projects = body.projects.unwrap_or_default();
        Ok(Some(Self {
            installation_id,
            team_id: body.team,
            user_id: body.user,
            project_selection: configuration.project_selection,
            projects: configuration.projects.unwrap_or_default(),
            projects_added: projects.added.unwrap_or_default(),
            projects_removed: projects.removed.unwrap_or_default(),
        }))
    }
}

impl Payload for ScopeChangeConfirmed {
    fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
        let Some((installation_id, body, configuration)) = read(json)? else { return Ok(None) };
        let scopes = configuration.scopes.unwrap_or_default();
        Ok(Some(Self { installation_id, team_id: body.team, user_id: body.user, scopes }))
    }
}
