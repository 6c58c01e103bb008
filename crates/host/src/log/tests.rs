use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tradepost_marketplace::doors::{Clock, SystemClock};

use super::*;
use crate::metrics::{NAMESPACE, STACK};

struct Set<'a>(&'a [(&'a str, &'a str)]);

impl Environment for Set<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }
}

const METRICS: [Metric; 2] = [
    Metric { field: "test.lag_seconds", name: "LagSeconds", unit: "Seconds" },
    Metric { field: "test.letters", name: "Letters", unit: "Count" },
];

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that are written, as text.
fn written(environment: &Set<'_>, what: impl FnOnce()) -> Vec<String> {
    let kept = Kept::default();
    let writer = kept.clone();
    let emf = Emf::of(environment, &METRICS).unwrap();
    let lines = lines(emf, move || writer.clone()).with_filter(filter(environment, LEVEL_DEFAULT).unwrap());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), what);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The line without what is different each time.
fn told(line: &str) -> Value {
    let mut line = parsed(line);
    let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
    assert!(timestamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    line
}

#[test]
fn a_line_is_flat_and_belongs_to_its_request() {
    let lines = written(&Set(&[]), || {
        let request =
            tracing::info_span!("request", request.id = "5f0e", otel.kind = "server", trace.id = tracing::field::Empty);
        let _request = request.enter();
        request.record("trace.id", "4bf9");
        let _inner = tracing::info_span!("inner", inner.id = 7).entered();
        let none: Option<&str> = None;
        tracing::warn!(
            a.text = "with \"quotes\" and\nlines",
            a.number = -3,
            a.large = u64::MAX,
            a.flag = true,
            a.shown = %"shown",
            a.none = none,
            test.lag_seconds = 5,
            "constant"
        );
        tracing::debug!("not asked for");
        tracing::info!(target: "tradepost::trace", "not for logs");
    });
    let wanted = json!({
        "level": "WARN",
        "message": "constant",
        "a.text": "with \"quotes\" and\nlines",
        "a.number": -3,
        "a.large": u64::MAX,
        "a.flag": true,
        "a.shown": "shown",
        "test.lag_seconds": 5,
        "request.id": "5f0e",
        "trace.id": "4bf9",
        "target": "tradepost_host::log::tests",
    });
    assert_eq!(lines.iter().map(|line| told(line)).collect::<Vec<_>>(), [wanted]);
    assert!(lines[0].starts_with(r#"{"timestamp":"2"#), "the time comes first: {}", lines[0]);
}

/// What AWS documents of the embedded metric format ("Specification: Embedded metric format", its JSON schema), in
/// our words: whatever is not named there is not in it.
fn embedded_metric_format() -> Value {
    let text = |most: u32| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let units = [
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Bytes",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Count",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
        "None",
    ];
    let metric = json!({
        "type": "object",
        "required": ["Name"],
        "additionalProperties": false,
        "properties": { "Name": text(1024), "Unit": { "enum": units }, "StorageResolution": { "enum": [1, 60] } },
    });
    let directive = json!({
        "type": "object",
        "required": ["Namespace", "Dimensions", "Metrics"],
        "additionalProperties": false,
        "properties": {
            "Namespace": text(1024),
            "Dimensions": {
                "type": "array",
                "minItems": 1,
                "items": { "type": "array", "maxItems": 30, "items": text(250) },
            },
            "Metrics": { "type": "array", "maxItems": 100, "items": metric },
        },
    });
    json!({
        "type": "object",
        "required": ["_aws"],
        "properties": {
            "_aws": {
                "type": "object",
                "required": ["Timestamp", "CloudWatchMetrics"],
                "additionalProperties": false,
                "properties": {
                    "Timestamp": { "type": "integer" },
                    "CloudWatchMetrics": { "type": "array", "items": directive },
                },
            },
        },
    })
}

#[test]
fn a_line_with_metrics_is_a_document_of_the_embedded_metric_format() {
    let stack = Set(&[(STACK, "tradepost-prod")]);
    let before = SystemClock.now().as_millisecond();
    let lines = written(&stack, || {
        let _request = tracing::info_span!("request", request.id = "5f0e").entered();
        tracing::info!(test.lag_seconds = 14_400_i64, test.letters = 0_u32, other.number = 9, "request");
        tracing::info!(other.number = 9, "a line without metrics");
        tracing::info!(test.letters = 2_u32, "request");
    });
    let schema = jsonschema::validator_for(&embedded_metric_format()).unwrap();
    let (both, none, one) = (parsed(&lines[0]), parsed(&lines[1]), parsed(&lines[2]));
    for document in [&both, &one] {
        let errors: Vec<_> = schema.iter_errors(document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{document}");
        targets_are_at_the_root(document);
        let at = document["_aws"]["Timestamp"].as_i64().unwrap();
        assert!(before <= at && at <= SystemClock.now().as_millisecond(), "in milliseconds of the wall clock: {at}");
    }
    let directive = json!([{
        "Namespace": NAMESPACE,
        "Dimensions": [["stack"]],
        "Metrics": [{ "Name": "LagSeconds", "Unit": "Seconds" }, { "Name": "Letters", "Unit": "Count" }],
    }]);
    assert_eq!(both["_aws"]["CloudWatchMetrics"], directive);
    assert_eq!(
        (&both["LagSeconds"], &both["Letters"], &both["stack"]),
        (&json!(14_400), &json!(0), &json!("tradepost-prod"))
    );
    assert_eq!(
        (&both["test.lag_seconds"], &both["other.number"], &both["request.id"]),
        (&json!(14_400), &json!(9), &json!("5f0e"))
    );
    assert_eq!(
        (&one["_aws"]["CloudWatchMetrics"][0]["Metrics"], &one["LagSeconds"]),
        (&json!([{ "Name": "Letters", "Unit": "Count" }]), &Value::Null)
    );
    assert_eq!((none.get("_aws"), none.get("stack")), (None, None));
}

/// Each dimension is a text and each metric a number, both members of the root.
fn targets_are_at_the_root(document: &Value) {
    for directive in document["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(document[dimension.as_str().unwrap()].is_string(), "{dimension} in {document}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(document[metric["Name"].as_str().unwrap()].is_number(), "{metric} in {document}");
        }
    }
}

#[test]
fn without_a_stack_the_numbers_are_plain_fields() {
    let lines = written(&Set(&[]), || tracing::info!(test.letters = 2_u32, "request"));
    let wanted =
        json!({ "level": "INFO", "message": "request", "test.letters": 2, "target": "tradepost_host::log::tests" });
    assert_eq!(told(&lines[0]), wanted);
}

#[test]
fn a_stack_that_is_no_name_stops_the_start() {
    for wrong in [&[(STACK, "two words")] as &[_], &[(STACK, "a\"b")], &[(STACK, "a/b")]] {
        let error = Emf::of(&Set(wrong), &METRICS).unwrap_err();
        assert!(error.to_string().starts_with("TRADEPOST_STACK cannot be used: "), "{error}");
    }
}

#[test]
fn the_level_is_info_unless_told_and_a_wrong_one_names_the_variable() {
    let quiet = "tradepost::trace=off";
    assert_eq!(filter(&Set(&[]), LEVEL_DEFAULT).unwrap().to_string(), format!("{quiet},info"));
    assert_eq!(filter(&Set(&[(VARIABLE, "warn")]), LEVEL_DEFAULT).unwrap().to_string(), format!("{quiet},warn"));
    for wrong in ["info,tradepost=shout", "shout"] {
        let error = filter(&Set(&[(VARIABLE, wrong)]), LEVEL_DEFAULT).unwrap_err();
        assert!(format!("{error:#}").starts_with(&format!("TRADEPOST_LOG is {wrong:?}")), "{error:#}");
    }
}
