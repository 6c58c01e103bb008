#![doc = include_str!("../README.md")]

pub mod client;
pub mod doors;
pub mod endpoint;
pub mod http_door;
pub mod ids;
pub mod money;
pub mod oidc;
#[cfg(test)]
mod scripted;
pub mod sso;
#[cfg(any(test, feature = "test-keys"))]
pub mod test_keys;
pub mod trace_context;
pub mod webhook_signature;
pub mod wire;

pub use wire::{partner, webhook};
