//! The log of one test, written as the functions write theirs. Everything of a test runs on its thread.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::dispatcher::DefaultGuard;
use tradepost_host::Metric;
use tradepost_host::log::dispatch;
use tradepost_marketplace::doors::Environment;

use super::got::Got;

/// What was logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Logs as a function does in this environment, until the guard is dropped.
    pub fn open(environment: &dyn Environment, metrics: &[Metric]) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let dispatch = dispatch(environment, "info", metrics, move || writer.clone());
        (log, tracing::dispatcher::set_default(&dispatch.unwrap()))
    }

    /// What was logged since the last look.
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }

    /// Its lines, in order.
    pub fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The wide events of a route, in order.
    pub fn wide(&self, route: &str) -> Vec<Value> {
        let is_wide = |line: &Value| line["message"] == "request" && line["http.route"] == route;
        self.lines().into_iter().filter(is_wide).collect()
    }

    /// The wide event of an answer.
    pub fn of(&self, got: &Got) -> Value {
        let id = got.header("x-request-id");
        let mut wide: Vec<Value> =
            self.lines().into_iter().filter(|line| line["message"] == "request" && line["request.id"] == id).collect();
        assert_eq!(wide.len(), 1, "one wide event for {got:?}");
        wide.remove(0)
    }
}
