//! The functions under Lambda's Runtime API, with events in every form that AWS gives them: HTTP by an HTTP API, by a
//! REST API and by a function URL; the schedule; what EventBridge sends by default; a queue's batch, in which messages
//! fail one by one.
//!
//! Here on the release binaries, by `.ci/full` on what `sam build` made ([`crate::built`]).

use std::io::BufReader;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::events::{self, queue};
use crate::support::lambda::Lambda;
use crate::support::process::{Environment, environment};
use crate::support::release::function;
use crate::support::wire::{self, Message};
use crate::{FUNCTIONS, SCHEDULED, aws, routes};

/// DynamoDB as an idle tick needs it: every index and slice is empty. Answers one call after another as `answers` says,
/// and the last of it for ever; gives its URL.
fn table(answers: Vec<bool>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut answers = answers.into_iter();
        let mut last = true;
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Ok(Some(_)) = Message::read(&mut reader) {
                last = answers.next().unwrap_or(last);
                let empty = json!({ "Count": 0, "ScannedCount": 0, "Items": [] });
                let broken = json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": "broken" });
                let (start, body) =
                    if last { ("HTTP/1.1 200 OK", empty) } else { ("HTTP/1.1 400 Bad Request", broken) };
                let headers = [("content-type", "application/x-amz-json-1.0")];
                if wire::write(&mut &stream, start, &headers, body.to_string().as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

/// As on AWS, with a table at this address.
fn configured(table: &str) -> Environment {
    let mut variables = environment([("AWS_ENDPOINT_URL_DYNAMODB", table)]);
    variables.extend(aws::SAMPLES.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

/// Makes an event of a method, a path, headers and a body.
type Form = fn(&str, &str, &[(&str, &str)], &str) -> Value;

/// Every form of an HTTP event.
const FORMS: [(&str, Form); 3] =
    [("HTTP API", events::http), ("REST API", events::rest), ("function URL", events::function_url)];

/// Each of the function's routes, in every form, reaches its router; those of the others do not; `/cron` opens for
/// nobody.
pub fn http_events_reach_the_routes(name: &str, program: &Path) {
    let lambda = Lambda::start(program, &configured(&table(vec![true])));
    for (form, event) in FORMS {
        for route in routes::all() {
            for method in &route.methods {
                let (status, body) = lambda.request(event(method, &route.sample(), &[], ""));
                let what = format!("{name}: {method} {} by a {form}: {status} {body}", route.path);
                match (route.function == name, route.path.starts_with("/health/")) {
                    (true, true) => assert_eq!(status, 200, "{what}"),
                    (true, false) => assert!([400, 401, 403].contains(&status), "{what}"),
                    (false, _) => assert_eq!(status, 404, "{what}"),
                }
            }
        }
    }
}

/// The schedule's own input runs a tick; what EventBridge sends of itself, or what looks like it, does not.
pub fn the_schedule_runs(name: &str, program: &Path) {
    let lambda = Lambda::start(program, &configured(&table(vec![true])));
    assert_eq!(lambda.invoke(events::schedule()), Ok(json!({ "statusCode": 200 })), "{name}: {}", lambda.process());
    let mut changed = events::schedule_without_input();
    changed["detail"] = events::schedule();
    for event in [events::schedule_without_input(), changed, json!({}), json!(null)] {
        let refused = lambda.invoke(event.clone()).expect_err(&event.to_string());
        assert_eq!(refused["errorType"], "UnknownEvent", "{name}: {event}");
    }
}

/// Every message is a tick of its own; only those that failed stay in the queue.
pub fn a_batch_fails_message_by_message(name: &str, program: &Path) {
    // The outbox looks at its partitions one after another, so that one broken call fails its first message.
    let good_before_the_broken = usize::from(name != "outbox");
    let mut answers = vec![true; good_before_the_broken];
    answers.extend([false, true]);
    let lambda = Lambda::start(program, &configured(&table(answers)));
    let answer = lambda.invoke(queue(&["{}", "{\"shard\":7}", "not JSON"])).unwrap();
    let failed = format!("message-{good_before_the_broken}");
    let wanted = json!({ "batchItemFailures": [{ "itemIdentifier": failed }] });
    assert_eq!(answer, wanted, "{name}: {}", lambda.process());
    assert_eq!(lambda.invoke(queue(&["{}"])), Ok(json!({ "batchItemFailures": [] })), "{name}");
}

/// A function that nothing schedules runs for no queue: every message fails.
pub fn a_batch_is_not_for_it(name: &str, program: &Path) {
    let lambda = Lambda::start(program, &configured(&table(vec![true])));
    let failures = json!([{ "itemIdentifier": "message-0" }, { "itemIdentifier": "message-1" }]);
    assert_eq!(lambda.invoke(queue(&["{}", ""])), Ok(json!({ "batchItemFailures": failures })), "{name}");
    assert!(lambda.invoke(events::schedule()).is_err(), "{name}");
}

/// All of it, for one function.
pub fn all(name: &str, program: &Path) {
    http_events_reach_the_routes(name, program);
    if SCHEDULED.contains(&name) {
        the_schedule_runs(name, program);
        a_batch_fails_message_by_message(name, program);
    } else {
        a_batch_is_not_for_it(name, program);
    }
}

#[test]
fn every_function_takes_every_form_of_its_events_and_refuses_all_others() {
    for name in FUNCTIONS {
        all(name, function(name));
    }
}
