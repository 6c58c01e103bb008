//! Metrics inside the log: `CloudWatch`'s embedded metric format. A line that has a metric's field in it carries, at
//! its root, an `_aws` object that names the metric, its value under the metric's own name, and the dimension
//! `stack`; `CloudWatch` makes metrics of it without a call.
//!
//! On where [`STACK`] says under which name: `template.yaml` sets it. Without it the numbers are plain fields of
//! the line, for whatever reads the log. The time of a metric is the wall clock's.

use std::fmt::{self, Write};

use jiff::Timestamp;
use serde_json::json;
use tradepost_marketplace::doors::Environment;

use crate::PlaceError;

/// The variable that names the deployment in `CloudWatch`'s metrics; without it there are none.
pub const STACK: &str = "TRADEPOST_STACK";
/// Where the metrics are found in `CloudWatch`.
pub const NAMESPACE: &str = "Tradepost";
/// The one dimension; a metric costs by the combination.
const DIMENSION: &str = "stack";
/// The longest name of a `CloudFormation` stack.
const STACK_BYTES_MAX: usize = 128;

/// A field of the log that is a metric as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The field.
    pub field: &'static str,
    /// The metric's name.
    pub name: &'static str,
    /// Its unit, in `CloudWatch`'s words.
    pub unit: &'static str,
}

/// How metrics are written into lines.
#[derive(Debug)]
pub(crate) struct Emf {
    stack: String,
    metrics: Vec<Metric>,
}

impl Emf {
    /// By the environment; none where it names no stack.
    pub(crate) fn of(environment: &dyn Environment, metrics: &[Metric]) -> Result<Option<Self>, PlaceError> {
        let Some(stack) = environment.var(STACK) else { return Ok(None) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if stack.len() > STACK_BYTES_MAX || !stack.bytes().all(plain) {
            return Err(PlaceError { variable: STACK, wanted: "up to 128 letters, digits and hyphens" });
        }
        Ok(Some(Self { stack, metrics: metrics.to_vec() }))
    }

    /// Where a field stands in the list of metrics.
    pub(crate) fn place(&self, field: &str) -> Option<usize> {
        self.metrics.iter().position(|metric| metric.field == field)
    }

    /// The members that make a metric document of a line. Nothing for a line without metrics.
    pub(crate) fn write(&self, line: &mut impl Write, values: &[(usize, i64)], now: Timestamp) -> fmt::Result {
        if values.is_empty() {
            return Ok(());
        }
        let named = || values.iter().filter_map(|(place, value)| Some((self.metrics.get(*place)?, value)));
        let definitions: Vec<_> =
            named().map(|(metric, _)| json!({ "Name": metric.name, "Unit": metric.unit })).collect();
        let document = json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [
                { "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions },
            ],
        });
        write!(line, r#","_aws":{document},"{DIMENSION}":"{}""#, self.stack)?;
        named().try_for_each(|(metric, value)| write!(line, r#","{}":{value}"#, metric.name))
    }
}
