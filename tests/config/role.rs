//! On Vercel with a role: each request's token is exchanged, once, and seen by nobody else.

use std::io::BufReader;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::configured::{self, without};
use crate::support::process::{Environment, environment};
use crate::support::release::function;
use crate::support::vercel::Server;
use crate::support::wire::{self, Message};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-of-the-token.c2ln";

/// A Security Token Service: where it is, and the bodies that it got. A token that says so is refused.
fn sts() -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                while let Ok(Some(message)) = Message::read(&mut reader) {
                    let body = message.text();
                    let refused = body.contains("of-another-project");
                    let (start, answer) = if refused {
                        (
                            "HTTP/1.1 403 Forbidden",
                            "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
                        )
                    } else {
                        ("HTTP/1.1 200 OK", CREDENTIALS)
                    };
                    sender.send(body).unwrap();
                    wire::write(&mut stream, start, &[("content-type", "text/xml")], answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (url, bodies)
}

const CREDENTIALS: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEMBEDDED</AccessKeyId>\
    <SecretAccessKey>canary-of-the-key</SecretAccessKey><SessionToken>canary-of-the-session</SessionToken>\
    <Expiration>2126-11-21T09:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

fn by_role(sts: &str) -> Environment {
    let keys = ["TRADEPOST_AWS_ACCESS_KEY_ID", "TRADEPOST_AWS_SECRET_ACCESS_KEY"];
    let mut all = keys.into_iter().fold(configured::on_vercel(), without);
    all.extend(environment([
        ("TRADEPOST_AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/tradepost"),
        ("TRADEPOST_AWS_ENDPOINT_URL_STS", sts),
        ("TRADEPOST_LOG", "trace"),
    ]));
    all
}

#[test]
fn a_requests_token_opens_the_store_and_is_seen_by_nobody_else() {
    let (url, bodies) = sts();
    let server = Server::vercel(function("sso"), &by_role(&url));
    // The built-in page looks a session up: 401 says that the table answered.
    let ask = |token: Option<&str>| {
        let token = token.map(|token| ("x-vercel-oidc-token", token));
        let headers: Vec<_> = [("cookie", "tradepost_session=none")].into_iter().chain(token).collect();
        let answer = server.request("GET", "/installation", &headers, b"");
        (answer.status(), answer.text())
    };
    let (status, page) = ask(None);
    assert_eq!(status, 503, "{page} {}", server.process());
    assert!(!page.contains("oidc"), "{page}");
    server.process().has_said("x-vercel-oidc-token header; turn on OIDC");
    assert!(bodies.try_recv().is_err(), "asked without a token");

    assert_eq!(ask(Some("of-another-project")).0, 503);
    assert!(bodies.recv().unwrap().ends_with("WebIdentityToken=of-another-project"));
    for _ in 0..3 {
        let (status, page) = ask(Some(TOKEN));
        assert_eq!(status, 401, "{page} {}", server.process());
    }
    let body = bodies.recv().unwrap();
    assert!(body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Ftradepost"), "{body}");
    assert!(body.ends_with(&format!("WebIdentityToken={TOKEN}")), "{body}");
    assert!(bodies.try_recv().is_err(), "exchanged more than once");
    // Not even at `trace`.
    let output = server.process().output();
    assert!(
        output.contains("\"level\":\"TRACE\"") || output.contains("\"level\":\"DEBUG\""),
        "the log is not that deep"
    );
    for canary in ["canary-of-the-token", "canary-of-the-key", "canary-of-the-session", "of-another-project"] {
        assert!(!output.contains(canary), "{canary} is in the log");
    }
    server.process().signal("TERM");
}
