//! The contract with Vercel, as its `OpenAPI` documents have it: what the client writes, what the simulator answers,
//! and every body of the Partner API, in the combinations of optional fields that the strategies draw.
//!
//! What the tests need of the documents is in `tests/protocol/`.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod committed;
#[path = "../simulator/partner.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod partner;
mod partner_api;
mod recorder;
mod schema;
#[path = "../simulator/stage.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod stage;
#[path = "../../../marketplace/tests/strategies/mod.rs"]
mod strategies;
