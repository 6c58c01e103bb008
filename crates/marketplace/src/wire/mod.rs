//! The bodies that cross the wire, in either direction.
//!
//! Used by the client (A), by a provider's routes (B, E) and by simulations of Vercel. What is written is
//! strict (closed objects, exact decimals, times in UTC with three fraction digits); what is read is tolerant:
//! unknown fields are ignored, open enumerations keep values they do not know, times may be RFC 3339 texts or
//! numbers of milliseconds. Reading fails with `serde_json::Error` only.
//!
//! No type here may use serde's `untagged`, `flatten` or internal tags around an amount: they buffer, and a
//! buffered number has lost its digits. Secrets have no `Serialize`: whoever writes them says [`Exposed`].

mod billing;
mod change;
mod event;
mod invoice;
mod open_enum;
pub mod partner;
mod plan;
mod raw;
mod resource;
mod secret;
pub mod time;
pub mod webhook;

pub use billing::{
    Balance, Balances, Billing, BillingData, Discount, LineItem, Period, PeriodError, TotalError, Usage, UsageKind,
    total,
};
pub use change::Change;
pub use event::MarketplaceEvent;
pub use invoice::{
    INVOICE_MIN, InvalidInvoice, Invoice, InvoiceRequest, InvoiceState, Refund, TestInvoice, TestResult,
};
pub(crate) use open_enum::open_enum;
pub use plan::{BillingPlan, PlanDetail, PlanKind, PlanScope};
pub use raw::Raw;
pub use resource::{
    Account, Contact, InvalidNotification, Metadata, NOTIFICATION_TITLE_CHARS_MAX, Notification, NotificationLevel,
    Ownership, ResourceStatus,
};
pub use secret::{EnvironmentOverrides, Exposed, Secret};
pub(crate) use secret::{optional_secret_text, secret_text};
