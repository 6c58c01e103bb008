//! The flows of a Vercel Marketplace provider.
//!
//! Each flow is one `router(provider) -> axum::Router` under [`flows`]; a function binary of `api/` hands
//! one of them to the host, the local server merges all of them. Every flow that writes has one pattern
//! (docs/architecture.md): authenticate, parse, reserve, commit, deliver, respond. What the flows share:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`caller`] | who calls: Vercel, a partner system, the scheduler |
//! | [`idempotency`] | the same request twice is answered once |
//! | [`operation`] | the one command in progress on a resource, and its fence |
//! | [`outbox`] | what is still owed to Vercel and the provisioner, in lanes |
//! | [`catalog`], [`pricing`], [`period`], [`metering`], [`ledger`] | money, as pure functions |
//!
//! A [`Provider`] is made in one place, [`Configured::provider`], whatever it runs in.
//!
//! Error layers: libraries below return their own `thiserror` enums; a flow returns
//! [`edge::error::ApiError`], which has a code for the contract, a message for the outside and a cause for
//! the log, and renders as Vercel's envelope or as RFC 9457 problem details.

pub mod caller;
pub mod catalog;
mod configured;
pub mod edge;
pub mod flows;
pub mod idempotency;
pub mod ledger;
pub mod metering;
pub mod operation;
pub mod outbox;
pub mod period;
pub mod pricing;
mod provider;
pub mod provisioner;
pub mod settings;
pub mod signing;
pub mod state;

pub use configured::{Configured, Keys, Orders, Tokens};
pub use provider::{Deadline, Doors, Provider, RotatingSecret, SignOn};
