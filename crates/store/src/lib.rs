//! Typed items on one DynamoDB table, behind a door that can fail.
#![doc = include_str!("../README.md")]

pub mod backend;
mod commit;
pub mod connect;
pub mod dynamo;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod faulty;
pub mod format;
pub mod key;
pub mod record;
pub mod retry;
pub mod seal;
pub mod size;
pub mod store;
pub mod table;
pub mod write;

pub use backend::{Backend, BackendError, IndexQuery, Item, Page, SliceQuery};
pub use connect::{ConfigError, DynamoConfig, Identity, IdentityError, StoreSettings};
pub use dynamo::DynamoBackend;
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, InProcess, Where};
pub use error::{CommitError, StoreError};
pub use faulty::{FaultKind, FaultPlan, Faulty};
pub use format::UnknownFormat;
pub use key::Key;
pub use record::{Due, Raw, Record, Shard, Stored};
pub use seal::{KeyRing, SealError, Sealed};
pub use store::Store;
pub use write::{Guard, Write};
