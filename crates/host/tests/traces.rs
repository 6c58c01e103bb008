//! With the feature `otel`: a collector on a socket has a request's spans before the caller has its answer.

#![cfg(feature = "otel")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::io::BufReader;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use support::events;
use support::lambda::Lambda;
use support::process::{Environment, Process, environment};
use support::vercel::Ipc;
use support::wire::{self, Message};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn hello() -> PathBuf {
    let tests = std::env::current_exe().expect("a test binary");
    let profile = tests.ancestors().nth(2).expect("in deps of the profile's directory");
    profile.join("examples/hello")
}

/// A collector that gives every request this answer.
struct Collector {
    url: String,
    requests: Receiver<Message>,
}

impl Collector {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Ok(Some(message)) = Message::read(&mut reader) {
                        // First: whoever is answered may look at once.
                        sender.send(message).unwrap();
                        wire::write(&mut stream, answer, &[("content-type", "application/json")], b"{}").unwrap();
                    }
                });
            }
        });
        Self { url, requests }
    }

    fn configured(&self) -> Environment {
        environment([
            ("GREETING", "hello"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%3D1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests"),
        ])
    }

    /// What has come so far: nobody waits.
    fn now(&self) -> Vec<Message> {
        self.requests.try_iter().collect()
    }
}

fn spans(message: &Message) -> Vec<Value> {
    let body = message.json();
    assert_eq!(body["resourceSpans"].as_array().unwrap().len(), 1, "{body}");
    let scopes = body["resourceSpans"][0]["scopeSpans"].as_array().unwrap();
    assert_eq!((scopes.len(), &scopes[0]["scope"]["name"]), (1, &json!("tradepost-host")));
    scopes[0]["spans"].as_array().unwrap().clone()
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let found = of["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name);
    found.map_or(&Value::Null, |attribute| &attribute["value"])
}

#[test]
fn a_collector_has_a_requests_spans_before_the_caller_has_its_answer() {
    let collector = Collector::start("HTTP/1.1 200 OK");
    let lambda = Lambda::start(&hello(), &collector.configured());
    let (status, _) = lambda.request(events::http("GET", "/traced", &[("traceparent", PARENT)], ""));
    assert_eq!(status, 200);
    let sent = collector.now();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].start, "POST /v1/traces HTTP/1.1");
    assert_eq!((sent[0].header("content-type"), sent[0].header("api-key")), (Some("application/json"), Some("k=1")));
    let resource = &sent[0].json()["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), &json!({ "stringValue": "tradepost-hello" }));
    assert_eq!(attribute(resource, "deployment.environment.name"), &json!({ "stringValue": "tests" }));

    let spans = spans(&sent[0]);
    let [call, request] = &spans[..] else { panic!("{spans:#?}") };
    for span in [call, request] {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        let at = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert!(
            at("startTimeUnixNano") <= at("endTimeUnixNano") && at("startTimeUnixNano") > 1_700_000_000_000_000_000
        );
    }
    assert_eq!((&request["name"], &request["kind"]), (&json!("GET /traced"), &json!(2)));
    assert_eq!(
        (&request["spanId"], &request["parentSpanId"]),
        (&json!("00000000000000ff"), &json!("00f067aa0ba902b7"))
    );
    assert_eq!(attribute(request, "http.response.status_code"), &json!({ "intValue": "200" }));
    assert_eq!(attribute(request, "request.id"), &json!({ "stringValue": "00000000000000ff" }));
    assert_eq!(request.get("status"), None);
    assert_eq!(
        (&call["name"], &call["kind"], &call["parentSpanId"]),
        (&json!("vercel"), &json!(3), &request["spanId"])
    );
    assert_eq!(call["spanId"].as_str().unwrap().len(), 16);
    assert_eq!(call["events"][0]["name"], "call to Vercel will be tried again");

    // Who brings no trace begins one; who says that it is not kept is believed.
    assert_eq!(lambda.request(events::http("GET", "/traced", &[("traceparent", "00-junk")], "")).0, 200);
    let own = spans_of(&collector);
    assert_eq!((own.len(), own[1].get("parentSpanId")), (2, None));
    assert_ne!(own[1]["traceId"], request["traceId"]);
    let unkept = PARENT.replace("-01", "-00");
    assert_eq!(lambda.request(events::http("GET", "/traced", &[("traceparent", &unkept)], "")).0, 200);
    assert_eq!(lambda.request(events::http("GET", "/health/hello", &[("traceparent", PARENT)], "")).0, 200);
    assert_eq!(collector.now().len(), 0);

    let ipc = Ipc::start(&hello(), &collector.configured());
    assert_eq!(ipc.request("GET", "/traced", &[("traceparent", PARENT)], b"").status(), 200);
    assert_eq!(spans_of(&collector).len(), 2, "on Vercel, too");
}

fn spans_of(collector: &Collector) -> Vec<Value> {
    let sent = collector.now();
    assert_eq!(sent.len(), 1);
    spans(&sent[0])
}

#[test]
fn a_collector_that_fails_fails_no_request() {
    let refusing = Collector::start("HTTP/1.1 503 Service Unavailable");
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    // It takes the connection and never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut unreachable = refusing.configured();
    unreachable[1].1 = format!("http://{gone}");
    let mut unheard = refusing.configured();
    unheard[1].1 = format!("http://{}", silent.local_addr().unwrap());
    unheard.push(("OTEL_EXPORTER_OTLP_TIMEOUT".to_owned(), "100".to_owned()));
    for configured in [refusing.configured(), unreachable, unheard] {
        let lambda = Lambda::start(&hello(), &configured);
        for _ in 0..2 {
            assert_eq!(lambda.request(events::http("GET", "/traced", &[("traceparent", PARENT)], "")).0, 200);
        }
        let output = lambda.process().output();
        assert_eq!(output.matches(r#""message":"spans were not sent""#).count(), 2, "{output}");
        assert!(!output.contains("k=1"), "{output}");
    }
}

#[test]
fn a_variable_that_cannot_be_followed_is_named_at_the_start() {
    let variables =
        environment([("GREETING", "hello"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example.com")]);
    let (status, output) = Process::start(&hello(), &variables).wait();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.starts_with("hello: OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: it must be"), "{output}");
}
