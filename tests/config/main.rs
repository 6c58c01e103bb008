//! Configuration, as the shipped binaries take it: each function says what it misses and needs nothing else, the
//! documentation's table is the code's, `tradepost config` goes by both, and on Vercel a role will do for keys.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod command;
#[path = "../support/configured.rs"]
mod configured;
mod documented;
mod pairs;
mod role;
#[path = "../support/mod.rs"]
mod support;
