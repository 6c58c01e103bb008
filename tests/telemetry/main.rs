//! What the functions tell of themselves: the wide event of each request, the metrics in it, and the arithmetic of the
//! alarms that look at them; with the feature `otel`, the spans.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod fields;
mod outage;
#[cfg(feature = "otel")]
mod traces;

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::Value;
use tracing::dispatcher::DefaultGuard;
use tradepost_marketplace::doors::Environment;
use tradepost_rehearsal::development;
use tradepost_rehearsal::world;
use world::World;
use world::got::Got;

/// What the stack is called.
const STACK: &str = "tradepost-tests";

struct OnLambda;

impl Environment for OnLambda {
    fn var(&self, name: &str) -> Option<String> {
        (name == "TRADEPOST_STACK").then(|| STACK.to_owned())
    }
}

/// The log of one test, as it would be on Lambda. Everything of a test runs on its thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn open() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let dispatch =
            tradepost_host::log::dispatch(&OnLambda, "info", &tradepost_functions::metrics(), move || writer.clone());
        (log, tracing::dispatcher::set_default(&dispatch.unwrap()))
    }

    /// Its lines, in order.
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The wide events of a route, in order.
    fn wide(&self, route: &str) -> Vec<Value> {
        let is_wide = |line: &Value| line["message"] == "request" && line["http.route"] == route;
        self.lines().into_iter().filter(is_wide).collect()
    }

    /// The wide event of an answer.
    fn of(&self, got: &Got) -> Value {
        let id = got.header("x-request-id");
        let mut wide: Vec<Value> =
            self.lines().into_iter().filter(|line| line["message"] == "request" && line["request.id"] == id).collect();
        assert_eq!(wide.len(), 1, "one wide event for {got:?}");
        wide.remove(0)
    }
}

/// Calls a scheduled path as the scheduler does; the whole answer.
async fn scheduled(world: &World, path: &str) -> Got {
    let bearer = format!("Bearer {}", development::CRON_SECRET);
    world.send(world.request(Method::GET, path).header("authorization", bearer), "").await
}
