//! Typed items on one DynamoDB table, behind a door that can fail.
//!
//! Used by every flow of the provider. A flow reads typed records ([`Store::get`], [`Store::query`]), decides
//! in pure code, and commits a list of guarded [`Write`]s as one transaction ([`Store::commit`]). The indexes
//! only find work: they give keys, never items, and every decision re-reads the item and commits on its version.
//!
//! Data path: [`Record`] → [`Write`] → [`Store`] (limits, retries, lost answers) → [`Backend`], the door:
//! [`DynamoBackend`] through `aws-sdk-dynamodb`, in tests wrapped into [`Faulty`]. The embedded emulator
//! (feature `embedded`) is served over a socket, so there is no second storage path.
//!
//! Errors by layer: [`BackendError`] is what one call may answer; [`StoreError`] and [`CommitError`] are what
//! is left after the bounded retries; [`SealError`] is field encryption; [`ConfigError`] is configuration.
//!
//! Amounts are stored as strings: DynamoDB's numbers drop trailing zeros. The marketplace's `Quantity`
//! serialises through `serde_json`'s `RawValue`, which an item cannot carry; store its text instead.

pub mod backend;
mod commit;
pub mod connect;
pub mod dynamo;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod faulty;
pub mod key;
pub mod record;
pub mod retry;
pub mod seal;
pub mod size;
pub mod store;
pub mod table;
pub mod write;

pub use backend::{Backend, BackendError, Item};
pub use connect::{ConfigError, DynamoConfig};
pub use dynamo::DynamoBackend;
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, Where};
pub use error::{CommitError, StoreError};
pub use faulty::{FaultKind, FaultPlan, Faulty};
pub use key::Key;
pub use record::{Due, Raw, Record, Shard, Stored};
pub use seal::{KeyRing, SealError, Sealed};
pub use store::Store;
pub use write::{Guard, Write};
