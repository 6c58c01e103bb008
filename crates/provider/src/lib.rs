//! The flows of a Vercel Marketplace provider.
//!
//! Each flow is one `router(provider) -> axum::Router` under [`flows`]; a function binary of `api/` hands
//! one of them to the host, the local server merges all of them. Every flow that writes has one pattern
//! (docs/architecture.md): authenticate, parse, reserve, commit, deliver, respond. The rooms, from the bottom up; each
//! knows those before it, and `tests/house` holds them to it:
//!
//! | room | what it is |
//! | --- | --- |
//! | [`deadline`], [`function`], [`digest`] | words of their own |
//! | [`edge`] | errors, bodies, what is logged of a request |
//! | [`signing`], [`provisioner`] | partner systems and the product behind us, over signed HTTP |
//! | [`state`] | what is kept, and under which keys |
//! | [`provider`], [`settings`], [`layer`] | the doors and the configuration; what wraps every router |
//! | `commit`, `installed`, [`credentials`], [`answer`], [`idempotency`], [`caller`] | what flows share |
//! | [`outbox`] | what is still owed, in lanes: kept |
//! | [`delivery`] | what is still owed: delivered |
//! | `slice`, `invoice` | what one Query reads; the lines and the booking of invoices |
//! | [`effects`] | each kind of effect, one file each |
//! | `command`, `uninstall`, [`operation`] | the driver of commands; the one that calls the provisioner first |
//! | [`flows`] | who calls, what is read, what is judged |
//!
//! Money as pure functions is a crate of its own: `tradepost_pricing`.
//!
//! Error layers: libraries below return their own `thiserror` enums; a flow returns
//! [`edge::error::ApiError`], which has a code for the contract, a message for the outside and a cause for
//! the log, and renders as Vercel's envelope or as RFC 9457 problem details.

pub mod answer;
pub mod caller;
mod command;
mod commit;
pub mod credentials;
pub mod deadline;
pub mod delivery;
pub mod digest;
pub mod edge;
pub mod effects;
pub mod flows;
pub mod function;
pub mod idempotency;
mod installed;
mod invoice;
pub mod layer;
pub mod operation;
pub mod outbox;
pub mod provider;
pub mod provisioner;
pub mod settings;
pub mod signing;
mod slice;
pub mod state;
mod uninstall;

pub use deadline::Deadline;
pub use provider::{Doors, Parts, Provider, RotatingSecret, SignOn};
pub use tradepost_pricing::{catalog, ledger, metering, period, pricing};
