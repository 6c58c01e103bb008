//! Payloads about one installation's money, people, projects and deployments, with the installation on their face.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::payload::{Payload, addressed, installation_of};
use crate::ids::{
    AccountId, DeploymentId, ExternalInvoiceId, InstallationId, InvoiceId, ProjectId, ResourceId, TeamId, UserId,
    VercelUserId,
};
use crate::money::Decimal;
use crate::wire::billing::Period;
use crate::wire::open_enum::open_enum;
use crate::wire::time;

addressed! {
    /// An event about an invoice.
    #[derive(Debug, Clone, PartialEq, Eq)]
    InvoiceEvent as InvoiceBody {
        /// Vercel's id.
        invoice_id: InvoiceId,
        /// Our id, if it has one.
        #[serde(default)]
        external_invoice_id: Option<ExternalInvoiceId>,
        /// What it is for.
        period: Period,
        /// Its date.
        #[serde(with = "time")]
        invoice_date: Timestamp,
        /// Its amount, as it came.
        invoice_total: Decimal,
    }
}

addressed! {
    /// An invoice was refunded, in full or in part.
    #[derive(Debug, Clone, PartialEq, Eq)]
    RefundEvent as RefundBody {
        /// Vercel's id.
        invoice_id: InvoiceId,
        /// Our id, if it has one.
        #[serde(default)]
        external_invoice_id: Option<ExternalInvoiceId>,
        /// What the invoice was for.
        period: Period,
        /// How much was refunded, as it came.
        amount: Decimal,
        /// Why.
        #[serde(default)]
        reason: String,
    }
}

open_enum! {
    /// A member's role after a change.
    MemberRole {
        /// May install and change.
        Admin = "ADMIN",
        /// May look.
        User = "USER",
        /// Is no longer a member: end their sessions.
        None = "NONE",
    }
}

addressed! {
    /// A member's role changed. `Debug` does not show the address.
    #[derive(Clone, PartialEq, Eq)]
    MemberChanged as MemberBody {
        /// Who: the `user_id` claim.
        member_id: UserId,
        /// Their role now.
        role: MemberRole,
        /// Their id at Vercel; only with a special permission.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        global_user_id: Option<VercelUserId>,
        /// Their address; only with a special permission. Never log it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_email: Option<String>,
    }
}

impl fmt::Debug for MemberChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberChanged")
            .field("installation_id", &self.installation_id)
            .field("member_id", &self.member_id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

addressed! {
    /// The installation went to another team: read its account again (A.3).
    #[derive(Debug, Clone, PartialEq, Eq)]
    InstallationTransferred as TransferredBody {
        /// The team before.
        #[serde(default)]
        previous_team_id: Option<TeamId>,
        /// The account before.
        #[serde(default)]
        previous_account_id: Option<AccountId>,
        /// The team now.
        #[serde(default)]
        new_team_id: Option<TeamId>,
        /// The account now.
        #[serde(default)]
        new_account_id: Option<AccountId>,
    }
}

addressed! {
    /// Work for a deployment: do it, or undo it, and report by Deployment Action (A.23).
    #[derive(Debug, Clone, PartialEq, Eq)]
    DeploymentAction as ActionBody {
        /// The resource it is for.
        resource_id: ResourceId,
        /// Which action, by its slug.
        action: String,
        /// The deployment.
        #[serde(rename = "deployment", with = "super::id_of")]
        deployment_id: DeploymentId,
    }
}

/// A resource was connected to a project, or disconnected from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectConnection {
    /// Whose.
    pub installation_id: InstallationId,
    /// Which resource.
    pub resource_id: ResourceId,
    /// Which project.
    pub project_id: ProjectId,
    /// The project's name; not with a disconnection.
    pub project_name: Option<String>,
    /// The environments.
    pub targets: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Project<T> {
    id: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WriteConnection<'a> {
    #[serde(with = "super::id_of")]
    configuration: &'a InstallationId,
    installation_id: &'a InstallationId,
    resource_id: &'a ResourceId,
    project: Project<&'a ProjectId>,
    project_id: &'a ProjectId,
    targets: &'a [String],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadConnection {
    resource_id: ResourceId,
    project: Option<Project<Option<ProjectId>>>,
    project_id: Option<ProjectId>,
    targets: Option<Vec<String>>,
}

impl Serialize for ProjectConnection {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WriteConnection {
            configuration: &self.installation_id,
            installation_id: &self.installation_id,
            resource_id: &self.resource_id,
            project: Project { id: &self.project_id, name: self.project_name.clone() },
            project_id: &self.project_id,
            targets: &self.targets,
        }
        .serialize(to)
    }
}

impl Payload for ProjectConnection {
    fn read(json: &str) -> Result<Option<Self>, serde_json::Error> {
        let Some(installation_id) = installation_of(json)? else { return Ok(None) };
        let ReadConnection { resource_id, project, project_id, targets } = serde_json::from_str(json)?;
        let (named, project_name) = project.map_or((None, None), |project| (project.id, project.name));
        let Some(project_id) = named.or(project_id) else { return Ok(None) };
        let targets = targets.unwrap_or_default();
        Ok(Some(Self { installation_id, resource_id, project_id, project_name, targets }))
    }
}
