//! What the functions tell of themselves: the wide event of each request, the metrics in it, and the arithmetic of the
//! alarms that look at them; with the feature `otel`, the spans.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod fields;
mod gone;
mod outage;
#[cfg(feature = "otel")]
mod traces;

use http::Method;
use tracing::dispatcher::DefaultGuard;
use tradepost_marketplace::doors::Environment;
use tradepost_rehearsal::development;
use tradepost_rehearsal::world;
use world::World;
use world::got::Got;
use world::log::Log;

/// What the stack is called.
const STACK: &str = "tradepost-tests";

struct OnLambda;

impl Environment for OnLambda {
    fn var(&self, name: &str) -> Option<String> {
        (name == "TRADEPOST_STACK").then(|| STACK.to_owned())
    }
}

/// The log of one test, as it would be on Lambda.
fn log() -> (Log, DefaultGuard) {
    Log::open(&OnLambda, &tradepost_functions::metrics())
}

/// Calls a scheduled path as the scheduler does; the whole answer.
async fn scheduled(world: &World, path: &str) -> Got {
    let bearer = format!("Bearer {}", development::CRON_SECRET);
    world.send(world.request(Method::GET, path).header("authorization", bearer), "").await
}
