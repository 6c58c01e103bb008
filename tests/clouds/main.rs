//! What both clouds are told, held against the code: every route of the routers reaches its function and only it, on
//! Vercel by `vercel.json` and on AWS by `template.yaml`; `/cron` is open to the scheduler alone; the table, the
//! schedules and the variables are those that the functions go by.
//!
//! The clouds' own tools are asked by `.ci/full`, which builds both outputs and then runs the ignored tests here on
//! what came out ([`built`]).

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "sizes and times are told")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod aws;
mod built;
mod events;
#[path = "../support/routes.rs"]
mod routed;
mod routes;
#[path = "../support/mod.rs"]
mod support;
mod vercel;

use tradepost_rehearsal::world::template;

use support::release::{FUNCTIONS, SCHEDULED};
