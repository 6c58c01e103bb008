//! The rows of Vercel's state. What is journaled is exactly this; what `/_sim/state` shows is this less
//! the bookkeeping ([`HIDDEN`]).
//!
//! Keys: an installation by its id; what belongs to one by `installation/rest`. Ids never hold a slash.

mod billing;
mod sync;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::table::Row;
use crate::wire::{Notification, Open, Plan, ProtocolSettings, Status};

pub(crate) use billing::{Interim, Invoice, InvoiceState, Purchase, StoredBalance};
pub(crate) use sync::{Action, Config, Connection, Item, Outcome};

/// Fields of rows that are bookkeeping and not Vercel's state, or bulk that a digest stands for.
pub(crate) const HIDDEN: &[&str] = &["data", "due", "madeBy", "uninstalledBy"];

/// How many events, webhooks, sign-on codes and refresh tokens are remembered; the first that are done with
/// are forgotten.
pub(crate) const HISTORY_MAX: usize = 100_000;
/// How many rows of a kind an installation may have: invoices, balances, days of interim data, resources, items.
pub(crate) const ROWS_EACH_MAX: usize = 10_000;

/// One fact about the whole simulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The clock when the last commit was made.
    pub(crate) now: Timestamp,
    /// The seed of all derived values, sealed under the seed the simulator was opened with.
    pub(crate) seed: String,
    /// How many of each kind were named by number.
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Row for Meta {}

/// Where the provider under test lives, and what it was registered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) base_url: String,
    pub(crate) redirect_login_url: String,
    pub(crate) webhook_url: String,
    pub(crate) client_id: String,
    /// Sealed.
    pub(crate) client_secret: String,
    /// Sealed.
    pub(crate) cron_secret: String,
    /// How many times each request is sent.
    pub(crate) repeat: u32,
}

impl Row for Partner {}

/// One entry of the provider's schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cron {
    pub(crate) path: String,
    pub(crate) schedule: String,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Cron {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// Where an installation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Life {
    Active,
    /// Deleted by the customer; final invoices are accepted for 24 h (spec F, Uninstall).
    Uninstalling,
    /// Over: the token is dead.
    Finalized,
}

/// How a customer's invoices are paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Payment {
    #[default]
    Paid,
    NotPaid,
    Overdue,
}

/// A role of a person in the customer's team (spec C).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Role {
    #[default]
    Admin,
    User,
}

/// A person in the customer's team.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) email: String,
}

/// A stretch of time in which a plan was active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanSpan {
    pub(crate) plan_id: String,
    pub(crate) plan_type: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Installation {
    pub(crate) id: String,
    pub(crate) account_id: String,
    /// Who installed it.
    pub(crate) user_id: String,
    pub(crate) life: Life,
    pub(crate) status: Option<Status>,
    pub(crate) external_id: Option<String>,
    pub(crate) billing_plan: Option<Plan>,
    pub(crate) plans: Vec<PlanSpan>,
    pub(crate) notification: Option<Notification>,
    pub(crate) payment: Payment,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) created_at: Timestamp,
    pub(crate) uninstalled_at: Option<Timestamp>,
    pub(crate) finalized_at: Option<Timestamp>,
    /// The provider declared that no more invoices will come.
    pub(crate) no_more_invoices: bool,
    /// How many interim submissions were accepted (spec A.13).
    pub(crate) interim_count: u64,
    /// The control call that uninstalled it.
    pub(crate) uninstalled_by: Option<String>,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Installation {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// A credential of an installation, under the digest of its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) installation_id: String,
    pub(crate) number: u64,
    pub(crate) revoked: bool,
}

impl Row for Token {}

/// Whose a resource is (spec A.10). A linked one is not billed, and its removal is not told to the provider
/// (spec D.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ownership {
    #[default]
    Owned,
    Linked,
    Sandbox,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) installation_id: String,
    pub(crate) id: String,
    pub(crate) internal_id: String,
    pub(crate) product_id: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) metadata: Open,
    pub(crate) billing_plan: Option<Plan>,
    pub(crate) plans: Vec<PlanSpan>,
    pub(crate) notification: Option<Notification>,
    pub(crate) protocol_settings: Option<ProtocolSettings>,
    pub(crate) ownership: Ownership,
    pub(crate) extras: Option<Open>,
    /// The control call that provisioned it; empty if it was imported.
    pub(crate) made_by: String,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
}

impl Row for Resource {}

/// A secret of a resource: digests only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretDigest {
    pub(crate) installation_id: String,
    pub(crate) resource_id: String,
    pub(crate) name: String,
    pub(crate) prefix: Option<String>,
    pub(crate) sha256: String,
    pub(crate) environment_overrides: BTreeMap<String, String>,
    pub(crate) set_at: Timestamp,
}

impl Row for SecretDigest {}

/// An event the provider told (spec A.7), once per instant and subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) installation_id: String,
    pub(crate) at: Timestamp,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) billing_plan_id: Option<String>,
    pub(crate) count: u32,
}

impl Row for Event {}

/// That Vercel means to read something of the provider's again (spec A.7).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reread {
    pub(crate) asked_at: Timestamp,
    /// How often it was asked for since it was last done.
    pub(crate) asked: u64,
    pub(crate) attempts: u32,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Reread {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    Pending,
    Delivered,
    /// Given up after 24 h (spec E).
    Dropped,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) installation_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) created_at: Timestamp,
    /// The exact bytes that are sent and signed.
    pub(crate) body: Box<RawValue>,
    pub(crate) attempts: u32,
    pub(crate) state: DeliveryState,
    pub(crate) last_status: Option<u16>,
    pub(crate) due: Option<Timestamp>,
}

impl Row for Delivery {
    fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// A single sign-on code, or a refresh token, under its digest (spec A.20).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignOn {
    pub(crate) installation_id: String,
    pub(crate) user_id: String,
    pub(crate) role: Role,
    /// The digest of the state that went with the code; a refresh token has none.
    pub(crate) state: Option<String>,
    /// What the values derived from this sign-on are named by.
    pub(crate) name: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) used: bool,
}

impl Row for SignOn {}

/// A control call that was made under an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Control {
    /// Digest of method, path and body.
    pub(crate) request: String,
    /// What was decided before acting, so that a repeat after a crash decides the same.
    pub(crate) decided: Option<String>,
    pub(crate) status: Option<u16>,
    /// The answer, sealed; `None` while it is being made.
    pub(crate) answer: Option<String>,
}

impl Row for Control {}
