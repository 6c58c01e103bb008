//! The host on each place, with `examples/hello.rs` behind it as a process: what arrives, what is refused,
//! what it writes, how it ends.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::lambda::Lambda;
use support::process::{Environment, Process, environment};
use support::vercel::{Ipc, Server};
use support::{events, wire};

/// `cargo test` builds the examples before the tests, next to them.
fn hello() -> PathBuf {
    let tests = std::env::current_exe().expect("a test binary");
    let profile = tests.ancestors().nth(2).expect("in deps of the profile's directory");
    profile.join("examples/hello")
}

fn configured() -> Environment {
    environment([("GREETING", "hello")])
}

#[test]
fn one_router_answers_in_every_place() {
    let health = json!({"function": "hello", "version": env!("CARGO_PKG_VERSION")});

    let lambda = Lambda::start(&hello(), &configured());
    assert_eq!(lambda.request(events::http("GET", "/hello", &[], "")), (200, "hello from lambda".to_owned()));
    let (status, body) = lambda.request(events::http("GET", "/health/hello", &[], ""));
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, health.clone()));

    let ipc = Ipc::start(&hello(), &configured());
    assert_eq!(ipc.request("GET", "/hello", &[], b"").text(), "hello from vercel");
    assert_eq!(ipc.request("GET", "/health/hello", &[], b"").json(), health);
    assert_eq!(ipc.request("POST", "/echo", &[], b"ping").text(), "ping");

    for (server, greeting) in [
        (Server::vercel(&hello(), &configured()), "hello from vercel"),
        (Server::localhost(&hello(), &configured()), "hello from localhost"),
    ] {
        assert_eq!(server.request("GET", "/hello", &[], b"").text(), greeting);
        assert_eq!(server.request("GET", "/health/hello", &[], b"").json(), health);
        assert_eq!(server.request("HEAD", "/health/other", &[], b"").status(), 404);
    }
}

#[test]
fn only_the_schedule_itself_carries_the_mark() {
    let lambda = Lambda::start(&hello(), &configured());
    assert_eq!(lambda.invoke(events::schedule()), Ok(json!({"statusCode": 200})));
    let body = events::schedule().to_string();
    for event in [
        events::http("GET", "/cron/hello", &[], ""),
        events::http("POST", "/cron/hello", &[("content-type", "application/json")], &body),
        events::http("GET", "/cron/hello", &[], &events::schedule_without_input().to_string()),
    ] {
        assert_eq!(lambda.request(event), (401, String::new()));
    }
    assert_eq!(lambda.request(events::http("POST", "/events", &[], &body)).0, 404);
    let error = lambda.invoke(events::schedule_without_input()).unwrap_err();
    assert_eq!(error["errorType"], "UnknownEvent");

    let ipc = Ipc::start(&hello(), &configured());
    assert_eq!(ipc.request("POST", "/cron/hello", &[], body.as_bytes()).status(), 401);
}

#[test]
fn the_time_left_is_what_the_platform_says() {
    let lambda = Lambda::start(&hello(), &configured());
    assert_eq!(lambda.request(events::http("GET", "/remaining", &[], "")), (200, "29000".to_owned()));
    let server = Server::vercel(&hello(), &configured());
    assert_eq!(server.request("GET", "/remaining", &[], b"").text(), "unknown");
}

#[test]
fn a_panic_is_a_bare_500_and_one_line_of_the_log_without_what_it_held() {
    let ipc = Ipc::start(&hello(), &configured());
    let response = ipc.request("GET", "/panic", &[], b"");
    assert_eq!((response.status(), response.text().as_str()), (500, ""));
    assert_eq!(ipc.request("GET", "/hello", &[], b"").status(), 200, "the process lives on");

    let lambda = Lambda::start(&hello(), &configured());
    assert_eq!(lambda.request(events::http("GET", "/panic", &[], "")), (500, String::new()));
    assert_eq!(lambda.request(events::http("GET", "/hello", &[], "")).0, 200);

    let server = Server::localhost(&hello(), &configured());
    assert_eq!(server.request("GET", "/panic", &[], b"").status(), 500);
    server.process().signal("TERM");
    let (status, output) = server.into_process().wait();
    assert!(status.success(), "{output}");
    let panicked = output.lines().find(|line| line.contains(r#""message":"panicked""#)).expect("a line of the log");
    let panicked: Value = serde_json::from_str(panicked).unwrap();
    assert_eq!(panicked["level"], "ERROR");
    assert!(panicked["panic.file"].as_str().unwrap().ends_with("examples/hello.rs"), "{panicked}");
    assert!(!output.contains("hunter2"), "{output}");
}

#[test]
fn a_body_over_the_limit_is_refused_in_every_place() {
    let limit = tradepost_host::BODY_BYTES_MAX;
    for server in [Server::vercel(&hello(), &configured()), Server::localhost(&hello(), &configured())] {
        assert_eq!(server.request("POST", "/echo", &[], &vec![b'a'; limit]).status(), 200);
        assert_eq!(server.request("POST", "/echo", &[], &vec![b'a'; limit + 1]).status(), 413);
        assert_eq!(chunked(server.port(), limit + 1).status(), 413);
    }
    let lambda = Lambda::start(&hello(), &configured());
    let event = |length| events::http("POST", "/echo", &[], &"a".repeat(length));
    assert_eq!(lambda.request(event(limit)).0, 200);
    assert_eq!(lambda.request(event(limit + 1)), (413, String::new()));
}

/// What one sender of a flood sends, and what the process may need for all of them.
const FLOOD_BYTES: usize = 64 << 20;
const FLOOD_PEAK_KILOBYTES_MAX: u64 = 100_000;

#[test]
fn eight_floods_at_once_are_refused_and_fit_in_memory() {
    for server in [Server::vercel(&hello(), &configured()), Server::localhost(&hello(), &configured())] {
        let port = server.port();
        std::thread::scope(|scope| {
            // Half of them say how much will come, half do not.
            let senders = (0..8).map(|n| scope.spawn(move || flood(port, n % 2 == 0))).collect::<Vec<_>>();
            let statuses = senders.into_iter().map(|sender| sender.join().unwrap()).collect::<Vec<_>>();
            // A server that closes on bytes that nobody reads resets the connection, and its answer may be lost.
            assert!(statuses.iter().all(|status| matches!(status, Some(413) | None)), "{statuses:?}");
        });
        assert_eq!(server.request("GET", "/hello", &[], b"").status(), 200);
        let peak = peak_kilobytes(server.process().id());
        assert!(peak < FLOOD_PEAK_KILOBYTES_MAX, "{peak} kB");
    }
}

/// Sends [`FLOOD_BYTES`], in chunks or in one piece, as far as the server lets it: the status, if one came.
fn flood(port: u16, in_chunks: bool) -> Option<u16> {
    use std::io::{BufReader, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let piece = vec![b'a'; 1 << 16];
    let framing =
        if in_chunks { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {FLOOD_BYTES}") };
    let mut sent = write!(stream, "POST /echo HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n");
    for _ in 0..FLOOD_BYTES / piece.len() {
        let head = if in_chunks { format!("{:x}\r\n", piece.len()) } else { String::new() };
        let tail: &[u8] = if in_chunks { b"\r\n" } else { b"" };
        sent = sent.and_then(|()| stream.write_all(head.as_bytes()));
        sent = sent.and_then(|()| stream.write_all(&piece)).and_then(|()| stream.write_all(tail));
    }
    drop(sent);
    wire::Message::read(&mut BufReader::new(stream)).ok().flatten().map(|message| message.status())
}

fn peak_kilobytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A body that does not say how long it will be.
fn chunked(port: u16, length: usize) -> wire::Message {
    use std::io::{BufReader, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n").unwrap();
    // The server may have answered and closed before all is written.
    let _ = stream.write_all(&vec![b'a'; length]).and_then(|()| stream.write_all(b"\r\n0\r\n\r\n"));
    wire::Message::read(&mut BufReader::new(stream)).unwrap().unwrap()
}

#[test]
fn a_wrong_configuration_is_one_line_that_names_the_variable() {
    let lambda = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
    let cases = [
        (environment([("PORT", "0")]), "GREETING"),
        (environment([("VERCEL", "1")]), "GREETING"),
        (environment([lambda]), "GREETING"),
        (environment([("GREETING", "hello"), ("PORT", "http")]), "PORT"),
        (environment([("GREETING", "hello"), ("TRADEPOST_LOG", "a=b=c")]), "TRADEPOST_LOG"),
    ];
    for (variables, named) in cases {
        let (status, output) = Process::start(&hello(), &variables).wait();
        assert_eq!(status.code(), Some(1), "{variables:?}: {output}");
        let lines: Vec<_> = output.lines().collect();
        assert!(matches!(lines[..], [line] if line.starts_with("hello: ") && line.contains(named)), "{output}");
    }
    // What the host cannot use and what the function cannot, together.
    let (status, output) =
        Process::start(&hello(), &environment([("PORT", "http"), ("TRADEPOST_LOG", "a=b=c")])).wait();
    assert_eq!((status.code(), output.lines().count()), (Some(1), 3), "{output}");
    for named in ["TRADEPOST_LOG", "PORT", "GREETING"] {
        assert!(output.contains(named), "{output}");
    }
}

#[test]
fn localhost_stops_on_both_signals() {
    for signal in ["INT", "TERM"] {
        let server = Server::localhost(&hello(), &configured());
        server.process().signal(signal);
        let (status, output) = server.into_process().wait();
        assert!(status.success() && output.contains(r#""message":"stopped""#), "{signal}: {output}");
        assert!(output.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{output}");
    }
}
