//! The nine functions as shipped, in release, under both platforms: each answers, what is scheduled runs,
//! and nobody outside can start it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/configured.rs"]
mod configured;
mod support;

use serde_json::{Value, json};
use support::events;
use support::lambda::Lambda;
use support::process::{Process, environment};
use support::release::{FUNCTIONS, SCHEDULED, function, simulation as simulated, tradepost};
use support::vercel::{Ipc, Server};

fn health(name: &str) -> Value {
    json!({"function": name, "version": env!("CARGO_PKG_VERSION")})
}

/// A route of an unscheduled function's own, and how it turns away who brings nothing.
struct Own {
    function: &'static str,
    method: &'static str,
    path: &'static str,
    status: u16,
    says: fn(&str) -> bool,
}

fn at(body: &str, pointer: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body.pointer(pointer).cloned().unwrap_or_default()
}

fn is_problem(body: &str) -> bool {
    let wanted = json!("urn:tradepost:error:invalid_signature");
    at(body, "/code") == "invalid_signature" && at(body, "/type") == wanted && at(body, "/status") == 401
}

/// The functions that no schedule calls, each by an answer that only its own router gives.
const OWN: [Own; 5] = [
    Own {
        function: "installations",
        method: "GET",
        path: "/v1/installations/icfg_0123456789",
        status: 401,
        says: |body| at(body, "/error/code") == "unauthorized" && at(body, "/error/message").is_string(),
    },
    Own {
        function: "sso",
        method: "GET",
        path: "/callback",
        status: 400,
        says: |body| body.starts_with("<!doctype html>"),
    },
    Own {
        function: "webhooks",
        method: "POST",
        path: "/webhooks/vercel",
        status: 403,
        says: |body| at(body, "/code") == "invalid_signature" && at(body, "/error").is_string(),
    },
    Own { function: "events", method: "POST", path: "/partner/events", status: 401, says: is_problem },
    Own { function: "usage", method: "POST", path: "/partner/usage", status: 401, says: is_problem },
];

/// Asks each of them for its own route, and for those of the others.
fn own_routes(ask: impl Fn(&Own) -> Box<dyn Fn(&str, &str) -> (u64, String)>) {
    for own in &OWN {
        let request = ask(own);
        for other in &OWN {
            let (status, body) = request(other.method, other.path);
            if other.function == own.function {
                assert_eq!(status, u64::from(own.status), "{}: {body}", own.function);
                assert!((own.says)(&body), "{}: {body}", own.function);
            } else {
                assert_eq!(status, 404, "{} has the route of {}: {body}", own.function, other.function);
            }
        }
    }
}

#[test]
fn on_lambda_each_unscheduled_function_has_its_own_routes_and_no_other() {
    own_routes(|own| {
        let lambda = Lambda::start(function(own.function), &configured::on_lambda());
        Box::new(move |method, path| lambda.request(events::http(method, path, &[JSON], "{}")))
    });
}

#[test]
fn on_vercel_each_unscheduled_function_has_its_own_routes_and_no_other() {
    own_routes(|own| {
        let server = Ipc::start(function(own.function), &configured::on_vercel());
        Box::new(move |method, path| {
            let response = server.request(method, path, &[JSON], b"{}");
            (u64::from(response.status()), response.text())
        })
    });
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// How an outsider is turned away.
const REFUSED: [u64; 3] = [401, 403, 404];

#[test]
fn each_function_answers_an_http_api_event_on_lambda() {
    for name in FUNCTIONS {
        let lambda = Lambda::start(function(name), &configured::on_lambda());
        let (status, body) = lambda.request(events::http("GET", &format!("/health/{name}"), &[], ""));
        assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(health(name))), "{name}");
        let (status, body) = lambda.request(events::http("GET", "/health/another", &[], ""));
        assert_eq!(status, 404, "{name}: {body}");
    }
}

#[test]
fn each_function_answers_on_vercel_with_its_ipc_socket() {
    for name in FUNCTIONS {
        let server = Ipc::start(function(name), &configured::on_vercel());
        let response = server.request("GET", &format!("/health/{name}"), &[], b"");
        assert_eq!((response.status(), response.json()), (200, health(name)));
        assert_eq!(server.request("HEAD", &format!("/health/{name}"), &[], b"").status(), 200);
    }
}

#[test]
fn each_function_answers_on_vercel_without_its_ipc_socket() {
    for name in FUNCTIONS {
        let server = Server::vercel(function(name), &configured::on_vercel());
        let response = server.request("GET", &format!("/health/{name}"), &[], b"");
        assert_eq!((response.status(), response.json()), (200, health(name)));
        assert_eq!(server.request("GET", "/_vercel/ping", &[], b"").text(), "OK");
    }
}

#[test]
fn each_function_answers_on_localhost() {
    for name in FUNCTIONS {
        let server = Server::localhost(function(name), &configured::on_localhost());
        let response = server.request("GET", &format!("/health/{name}"), &[], b"");
        assert_eq!((response.status(), response.json()), (200, health(name)));
    }
}

/// The roots of TLS are a hundred files on some systems: whoever never calls out need not read them. Where there are
/// none, a client that is built at the start would stop it.
#[test]
fn no_function_looks_for_certificates_at_its_start() {
    let mut configured = configured::on_lambda();
    configured.extend(environment([("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")]));
    for name in FUNCTIONS {
        let lambda = Lambda::start(function(name), &configured);
        let (status, body) = lambda.request(events::http("GET", &format!("/health/{name}"), &[], ""));
        assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(health(name))), "{name}");
    }
}

#[test]
fn on_lambda_the_schedule_runs_and_the_http_api_cannot_imitate_it() {
    for name in SCHEDULED {
        let lambda = Lambda::start(function(name), &configured::on_lambda());
        let answer = lambda.invoke(events::schedule());
        assert_eq!(answer, Ok(json!({"statusCode": 200})), "{name}: {}", lambda.process());

        let path = format!("/cron/{name}");
        let schedule = events::schedule().to_string();
        let bridge = events::schedule_without_input().to_string();
        for event in [
            events::http("GET", &path, &[], ""),
            events::http("GET", &path, &[("authorization", "Bearer ")], ""),
            events::http("GET", &path, &[("authorization", "Bearer undefined")], ""),
            events::http("GET", &path, &[("x-vercel-cron", "1"), ("user-agent", "vercel-cron/1.0")], &schedule),
            events::http("GET", &path, &[("x-amz-source", "aws.events")], &bridge),
        ] {
            let (status, body) = lambda.request(event);
            assert!(REFUSED.contains(&status), "{name}: {status} {body}");
        }
        assert_eq!(lambda.request(events::http("POST", "/events", &[], &schedule)).0, 404, "{name}");
        assert!(lambda.invoke(events::schedule_without_input()).is_err(), "{name}");
    }
}

/// A public request to the schedule's path is refused whatever secret it brings, even the right one of
/// another place: on AWS the schedule is an event.
#[test]
fn on_lambda_a_cron_secret_opens_nothing() {
    let mut configured = configured::on_lambda();
    configured.push(("CRON_SECRET".to_owned(), configured::CRON_SECRET.to_owned()));
    for name in SCHEDULED {
        let lambda = Lambda::start(function(name), &configured);
        let bearer = format!("Bearer {}", configured::CRON_SECRET);
        let (status, body) =
            lambda.request(events::http("GET", &format!("/cron/{name}"), &[("authorization", &bearer)], ""));
        assert!(REFUSED.contains(&status), "{name}: {status} {body}");
    }
}

#[test]
fn on_vercel_the_schedule_is_a_request_with_the_cron_secret() {
    for name in SCHEDULED {
        let server = Ipc::start(function(name), &configured::on_vercel());
        let path = format!("/cron/{name}");
        let right = format!("Bearer {}", configured::CRON_SECRET);
        let response = server.request("GET", &path, &[("authorization", &right)], b"");
        assert_eq!(response.status(), 200, "{name}: {response:?} {}", server.process());
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("x-vercel-cron-schedule", "* * * * *")]] {
            let response = server.request("GET", &path, headers, b"");
            assert_eq!(response.status(), 401, "{name} {headers:?}: {response:?}");
        }
    }
}

#[test]
fn on_vercel_a_scheduled_function_does_not_start_without_the_cron_secret() {
    for name in SCHEDULED {
        let mut variables = configured::without(configured::on_vercel(), "CRON_SECRET");
        variables.push(("VERCEL".to_owned(), "1".to_owned()));
        let (status, output) = Process::start(function(name), &variables).wait();
        assert_eq!(status.code(), Some(1), "{name}: {output}");
        // Log lines, of overridden addresses, may come first; beside them there is one line for people.
        let lines: Vec<_> = output.lines().filter(|line| !line.contains("\"timestamp\"")).collect();
        assert!(matches!(lines[..], [line] if line.contains("CRON_SECRET")), "{name}: {output}");
    }
}

/// The command that builds them unifies the features of the default members, and one of those embeds an
/// emulator: what counts is what is in the binary. Nor has any what lets a test say what time it is.
#[test]
fn no_function_carries_an_emulator_or_a_simulation() {
    let emulator = ["SQLite", "format", "3"].join(" ");
    let simulation = ["TRADEPOST", "SIMULATION", "CLOCK"].join("_");
    let carries = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap();
        let marks = [emulator.as_bytes(), simulation.as_bytes()];
        marks.map(|mark| bytes.windows(mark.len()).any(|window| window == mark))
    };
    assert_eq!(carries(tradepost()), [true, false], "the emulator's mark is found where it is");
    assert_eq!(carries(simulated()), [false, true], "and so is the simulation's");
    for name in FUNCTIONS {
        assert_eq!(carries(function(name)), [false, false], "{name}");
    }
}
