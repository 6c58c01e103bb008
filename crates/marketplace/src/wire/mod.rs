//! The bodies that cross the wire, in either direction.
//!
//! Used by the client (A), by a provider's routes (B, E) and by simulations of Vercel. What is written is
//! strict (closed objects, exact decimals, times in UTC with three fraction digits); what is read is tolerant:
//! unknown fields are ignored, open enumerations keep values they do not know, times may be RFC 3339 texts or
//! numbers of milliseconds. Reading fails with `serde_json::Error` only.
//!
//! No type here may use serde's `untagged`, `flatten` or internal tags around an amount: they buffer, and a
//! buffered number has lost its digits. Secrets have no `Serialize`: whoever writes them says [`Exposed`].

mod account;
mod billing;
mod change;
mod config;
mod credential;
mod deployment;
mod event;
mod experiment;
mod installation;
mod invoice;
mod notification;
mod object;
mod open_enum;
pub mod partner;
mod period;
mod plan;
mod raw;
mod resource;
mod resource_change;
mod secret;
mod sso_token;
pub mod time;
mod vercel_invoice;
pub mod webhook;

pub use account::{Account, Contact, Member};
pub use billing::{
    Balance, Balances, Billing, BillingData, Discount, InvalidBillingData, LineItem, TotalError, Usage, UsageKind,
    total,
};
pub use change::Change;
pub use config::{CONFIG_DIGEST_BYTES_MAX, Config, ConfigDigest, ConfigPurpose, ConfigUpdate, InvalidDigest};
pub use credential::{RevokeCredential, RevokedCredential, RotateCredential, RotatedCredential};
pub use deployment::{ActionOutcome, ActionSecret, ActionStatus, ActionUpdate, ProjectConnection};
pub use event::{EventRequest, MarketplaceEvent};
pub use experiment::{
    BATCH_ITEMS_MAX, ExperimentItem, ITEM_ORIGIN_CHARS_MAX, ITEM_TEXT_CHARS_MAX, InvalidItem, ItemBatch, ItemCategory,
    ItemFields, ItemId, ItemUpdate,
};
pub use installation::InstallationPatch;
pub use invoice::{INVOICE_MIN, InvalidInvoice, InvoiceAnswer, InvoiceRequest, TestInvoice, TestResult};
pub use notification::{
    InvalidLink, InvalidNotification, Link, NOTIFICATION_TITLE_CHARS_MAX, Notification, NotificationLevel,
};
pub use object::{NotAnObject, RawObject};
pub(crate) use open_enum::{OpenEnum, open_enum};
pub use period::{Period, PeriodError};
pub use plan::{BillingPlan, PlanDetail, PlanKind, PlanScope};
pub use raw::Raw;
pub use resource::{
    AppUrl, AuthenticationSettings, EnvironmentTarget, ExperimentationSettings, Metadata, NamedResource, Ownership,
    ResourceSettings, ResourceStatus, VercelResource, VercelResources,
};
pub use resource_change::{ImportResource, ResourcePatch, SecretsPatch, SecretsUpdate};
pub use secret::{EnvironmentOverrides, Exposed, Secret, UnnamedSecret};
pub use sso_token::{SsoExchange, SsoRefresh, SsoTokenRequest, SsoTokens};
pub use vercel_invoice::{InvalidRefund, Invoice, InvoiceState, Refund};
