//! A.23: an action on a deployment, and the connection of a resource to a project.
//!
//! Deployments and projects are not the Marketplace's, so any id will do. Vercel wants a user's or a team's
//! token for a connection; here the installation's opens it, as it does everything else.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::derive::digest;
use crate::engine::webhooks;
use crate::face::resources::live;
use crate::face::routes::Ids;
use crate::face::{Answer, Call, authorize, key};
use crate::model::{Action, Connection, Outcome, ROWS_EACH_MAX};
use crate::refusal::empty_response;
use crate::rules::{A23_BODY, A23_CONNECTION, A23_KIND, A23_PROJECT, LIMIT_ROWS};
use crate::wire::{Href, bounded, read};

/// Where a connection sets variables if it does not say.
const ENVIRONMENTS: [&str; 3] = ["production", "preview", "development"];

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionStatus {
    Running,
    Succeeded,
    Failed,
}

impl ActionStatus {
    fn name(self) -> String {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
        .to_owned()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActBody {
    status: Option<ActionStatus>,
    status_text: Option<String>,
    status_url: Option<Href>,
    outcomes: Option<Vec<OutcomeBody>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeBody {
    kind: String,
    secrets: Vec<OutcomeSecret>,
}

/// A secret of one deployment: unlike the resource's it has neither prefix nor overrides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeSecret {
    name: String,
    value: String,
}

/// `{deployment}/{installation}/{resource}/{action}`: how an action goes. What is not said stays.
pub(crate) fn act(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    let (deployment_id, id, resource_id, action) = (ids.at(0), ids.at(1), ids.at(2), ids.at(3));
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let body: ActBody = if call.body.is_empty() { ActBody::default() } else { read(A23_BODY, &call.body)? };
        let outcomes = body.outcomes.as_deref().unwrap_or_default();
        bounded("outcomes", outcomes)?;
        for outcome in outcomes {
            bounded("secrets", &outcome.secrets)?;
            if outcome.kind != "resource-secrets" {
                return Err(A23_KIND.because(format!("{:?}", outcome.kind)));
            }
        }
        let key = key((id, resource_id), &[deployment_id, action]);
        let old = world.actions.get(&key);
        if old.is_none() && world.actions.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("deployment actions"));
        }
        let secrets = outcomes.iter().flat_map(|outcome| &outcome.secrets);
        let digests = secrets.map(|it| Outcome { name: it.name.clone(), sha256: digest(&it.value) });
        let outcomes = match (&body.outcomes, old) {
            (None, Some(old)) => old.outcomes.clone(),
            _ => digests.collect(),
        };
        let row = Action {
            installation_id: id.to_owned(),
            resource_id: resource_id.to_owned(),
            deployment_id: deployment_id.to_owned(),
            action: action.to_owned(),
            status: body.status.map(ActionStatus::name).or_else(|| old?.status.clone()),
            status_text: body.status_text.or_else(|| old?.status_text.clone()),
            status_url: body.status_url.or_else(|| old?.status_url.clone()),
            outcomes,
            updated_at: call.now,
        };
        world.actions.put(&key, row);
        Ok(empty_response(StatusCode::ACCEPTED))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConnectBody {
    project_id: String,
    /// The environments whose variables are set, custom ones too; the SDK has it (1.28.35), the document not yet.
    env_var_environments: Option<Vec<String>>,
    /// In the SDK too.
    make_env_vars_sensitive: Option<bool>,
}

/// Connects a resource to a project, and tells the provider; a connection that is there already is only
/// confirmed.
pub(crate) fn connect(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let ConnectBody { project_id, env_var_environments, make_env_vars_sensitive } =
            read(A23_CONNECTION, &call.body)?;
        let targets = env_var_environments.unwrap_or_else(|| ENVIRONMENTS.map(str::to_owned).to_vec());
        bounded("envVarEnvironments", &targets)?;
        if project_id.is_empty() {
            return Err(A23_PROJECT.refuse());
        }
        let key = key((id, resource_id), &[&project_id]);
        if world.connections.get(&key).is_some() {
            return Ok(empty_response(StatusCode::CREATED));
        }
        if world.connections.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("connections"));
        }
        let payload = json!({
            "configuration": { "id": id },
            "installationId": id,
            "resourceId": resource_id,
            "project": { "id": project_id, "name": format!("project of {project_id}") },
            "projectId": project_id,
            "targets": targets,
        });
        let name = format!("connected/{resource_id}/{project_id}/{}", call.now);
        webhooks::queue(world, id, &name, "integration-resource.project-connected", &payload, call.now)?;
        let row = Connection {
            installation_id: id.to_owned(),
            resource_id: resource_id.to_owned(),
            project_id,
            targets,
            sensitive: make_env_vars_sensitive.unwrap_or_default(),
            connected_at: call.now,
        };
        world.connections.put(&key, row);
        Ok(empty_response(StatusCode::CREATED))
    })
}
