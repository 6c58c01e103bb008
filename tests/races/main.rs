//! Many callers at once: one effect, one answer. [`identical`] sends every request that writes a hundred times at once
//! and holds what came of it against the same request sent once: our table, what Vercel was told, what the provisioner
//! was ordered. [`different`] makes two commands at once on one thing: it must end as if one had come after the other.
//! Nobody is answered 5xx; whoever is turned away is told when to come back.
//!
//! Adding a flow is one line of a table; a route that writes and stands in none fails
//! `every_route_that_writes_is_raced`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod different;
mod identical;
mod people;
#[path = "../support/routes.rs"]
mod routes;

use tradepost_rehearsal::world;
use world::got::Got;

/// How many callers come at once.
const AT_ONCE: usize = 100;

/// Whether somebody was turned away as busy, and told when to come back.
fn is_turned_away(got: &Got) -> bool {
    let code = [&got.body["error"]["code"], &got.body["code"]];
    got.status == 409
        && code.iter().any(|code| **code == "operation_in_progress")
        && got.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0)
}
