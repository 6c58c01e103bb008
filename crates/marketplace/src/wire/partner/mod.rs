//! The bodies of the Partner API: what Vercel sends to a provider and what the provider answers (spec B).
//!
//! | operation | request | answer |
//! | --- | --- | --- |
//! | B.1 Get Installation | | [`Installation`] |
//! | B.2 Upsert Installation | [`UpsertInstallation`] | [`Installation`], or 204 |
//! | B.3 Update Installation | [`UpdateInstallation`] | [`Installation`], or 204 |
//! | B.4 Delete Installation | [`DeleteInstallation`], or none | [`InstallationDeleted`], or 204 |
//! | B.5, B.12, B.13 List Plans | | [`PlanList`] |
//! | B.6 Provision Resource | [`ProvisionResource`] | [`Resource`] with secrets |
//! | B.7 Get Resource | | [`Resource`] |
//! | B.8 Update Resource | [`UpdateResource`] | [`Resource`] |
//! | B.9 Delete Resource | | 204 |
//! | B.10 Request Secrets Rotation | [`RotateSecrets`], or none | [`RotationAnswer`] |
//! | B.11 REPL | [`ReplInput`] | [`ReplOutput`] |
//! | B.14 Provision Purchase | [`ProvisionPurchase`] | [`Balances`] |
//! | B.15 Create Transfer Request | [`CreateTransfer`], older [`PutTransfer`] | [`TransferCreated`], older 204 |
//! | B.16 Verify | | [`TransferVerified`] |
//! | B.17 Accept | | 204 |
//! | List Resources (deprecated) | | [`ResourceList`] |
//! | any refusal | | [`ErrorEnvelope`] |
//!
//! Every body can be written and read, so that a simulation of Vercel can be built on the same types. Requests
//! are read tolerantly: unknown fields are ignored, null counts as absent, open enumerations keep what they do
//! not know. A body that Vercel may leave out (B.3, B.4, B.8, B.10) has a `Default`: use it for an empty body.
//! What holds a secret is written whole by [`Exposed`](super::Exposed) only.

mod installation;
mod refusal;
mod repl;
mod resource;
mod rotation;
mod transfer;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::installation::{
    Credentials, DeleteInstallation, Installation, InstallationDeleted, UpdateInstallation, UpsertInstallation,
};
pub use self::refusal::{ErrorBody, ErrorEnvelope, FieldError, UserMessage, VALIDATION_ERROR};
pub use self::repl::{JSON_LINES, REPL_BLOCKS_MAX, ReplBlock, ReplError, ReplInput, ReplOutput, ReplText};
pub use self::resource::{
    Experimentation, ProtocolSettings, ProvisionResource, Resource, ResourceList, UpdateResource,
};
pub use self::rotation::{InvalidDelay, ROTATION_DELAY_HOURS_MAX, RotateSecrets, RotationAnswer};
pub use self::transfer::{CreateTransfer, ProvisionPurchase, PutTransfer, TransferCreated, TransferVerified};
pub use super::billing::{Balance, Balances};
use super::plan::BillingPlan;

/// The answer to B.5, B.12 and B.13.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanList {
    /// The plans.
    pub plans: Vec<BillingPlan>,
}

/// Reads null as the default; combine with `default`.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}
