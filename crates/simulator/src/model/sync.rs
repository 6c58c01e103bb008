//! What a provider keeps at Vercel beside resources: experimentation items, configs, deployment actions and
//! connections (spec A.21 to A.23).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::table::Row;
use crate::wire::{Href, Number, Open};

/// An experimentation item, under `installation/resource/id`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) installation_id: String,
    pub(crate) resource_id: String,
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) origin: String,
    pub(crate) category: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) is_archived: Option<bool>,
    pub(crate) created_at: Option<Number>,
    pub(crate) updated_at: Option<Number>,
}

impl Row for Item {}

/// The config that a provider synced, under `installation/resource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) installation_id: String,
    pub(crate) resource_id: String,
    pub(crate) data: Open,
    /// SHA-256 of the data, sorted by key.
    pub(crate) digest: String,
    pub(crate) updated_at: Timestamp,
}

impl Row for Config {}

/// What an integration's action on a deployment came to, under `installation/resource/deployment/action`.
#[allow(clippy::struct_field_names, reason = "the names of spec A.23")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    pub(crate) installation_id: String,
    pub(crate) resource_id: String,
    pub(crate) deployment_id: String,
    pub(crate) action: String,
    pub(crate) status: Option<String>,
    pub(crate) status_text: Option<String>,
    pub(crate) status_url: Option<Href>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) updated_at: Timestamp,
}

impl Row for Action {}

/// A secret that an action gave its deployment: a digest only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// A project that a resource is connected to, under `installation/resource/project`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    pub(crate) installation_id: String,
    pub(crate) resource_id: String,
    pub(crate) project_id: String,
    pub(crate) targets: Vec<String>,
    pub(crate) sensitive: bool,
    pub(crate) connected_at: Timestamp,
}

impl Row for Connection {}
