//! Every pair of a function and a variable: without the variable, and with a value that cannot be right, the function
//! that needs it says so and does not start, and every other starts and answers.
//!
//! Who needs what is written down here once more, by what the flows do, and not taken from the settings' own table.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::configured::{self, without};
use crate::support::lambda::Lambda;
use crate::support::process::{Environment, Process};
use crate::support::release::{FUNCTIONS, SCHEDULED, function};
use crate::support::vercel::Server;
use crate::support::{events, process};

/// Who verifies Vercel's tokens.
const TOKENS: &[&str] = &["installations", "sso"];
/// Who opens or seals an access token or a resource's secrets.
const SEALED: &[&str] = &["installations", "webhooks", "events", "billing", "invoices", "secrets", "outbox"];
/// Who calls Vercel's API, also to deliver at once what it owes.
const VERCEL: &[&str] = &["installations", "sso", "webhooks", "events", "billing", "invoices", "secrets", "outbox"];
const PARTNERS: &[&str] = &["sso", "events", "usage", "invoices", "secrets"];
/// Not the webhooks: what an uninstall releases goes with the sweep, once Vercel has had its answer.
const PROVISIONER: &[&str] = &["installations", "secrets", "outbox"];
/// All but the webhooks, which look up no plan.
const CATALOG: &[&str] = &["installations", "sso", "events", "usage", "billing", "invoices", "secrets", "outbox"];
const ALL: &[&str] = &FUNCTIONS;
const NOBODY: &[&str] = &[];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Localhost,
    Lambda,
    Vercel,
}

/// A variable on a place: who needs it, whether it must be there, and a value that cannot be right.
struct Row {
    name: &'static str,
    functions: &'static [&'static str],
    required: bool,
    wrong: &'static str,
}

const fn row(name: &'static str, functions: &'static [&'static str], required: bool, wrong: &'static str) -> Row {
    Row { name, functions, required, wrong }
}

const ON_LOCALHOST: &[Row] = &[
    row("TRADEPOST_TABLE", ALL, true, "wrong table"),
    row("AWS_REGION", ALL, true, "wrong_Region"),
    row("AWS_ACCESS_KEY_ID", ALL, true, "wrong id"),
    row("AWS_SECRET_ACCESS_KEY", ALL, true, "wrong secret"),
    row("AWS_SESSION_TOKEN", ALL, false, "wrong token"),
    row("AWS_ENDPOINT_URL_DYNAMODB", ALL, false, "wrong.example:8000"),
    row("TRADEPOST_KEY_RING", SEALED, true, "wrong:c2hvcnQ="),
    row("TRADEPOST_SEALED_AS", SEALED, false, "wrong name"),
    row("INTEGRATION_CLIENT_ID", TOKENS, true, "wrong id"),
    row("INTEGRATION_CLIENT_SECRET", &["sso", "webhooks"], true, "wrong"),
    row("INTEGRATION_CLIENT_SECRET_PREVIOUS", &["webhooks"], false, "wrong"),
    row("CRON_SECRET", &SCHEDULED, true, "wrong"),
    row("CRON_SECRET_PREVIOUS", &SCHEDULED, false, "wrong secret of seventeen"),
    row("TRADEPOST_PARTNER_KEYS", PARTNERS, true, "[{\"wrong\":1}]"),
    row("TRADEPOST_PROVISIONER_URL", PROVISIONER, true, "http://wrong.example.com"),
    row("TRADEPOST_PROVISIONER_SECRET", PROVISIONER, true, "whsec_wrong"),
    row("TRADEPOST_CATALOG", CATALOG, false, "[[wrong"),
    row("TRADEPOST_DASHBOARD_URL", &["sso"], false, "http://wrong.example.com"),
    row("VERCEL_API_URL", VERCEL, false, "http://wrong.example.com"),
    row("VERCEL_OIDC_ISSUER", TOKENS, false, "http://wrong.example.com"),
    row("TRADEPOST_DEADLINE_SECONDS", ALL, false, "5wrong"),
    row("TRADEPOST_LOG", ALL, false, "wrong"),
    row("TRADEPOST_STACK", ALL, false, "wrong_name"),
];

/// What is otherwise than on localhost: credentials, and the scheduler's secret.
const ON_LAMBDA: &[Row] = &[
    row("AWS_REGION", ALL, false, "wrong_Region"), // Lambda sets it: it cannot be missing
    row("AWS_ACCESS_KEY_ID", ALL, true, "wrong id"),
    row("AWS_SECRET_ACCESS_KEY", ALL, true, "wrong secret"),
    row("CRON_SECRET", NOBODY, false, "wrong"),
    row("PORT", NOBODY, false, "wrong"),
    row("TRADEPOST_AWS_REGION", NOBODY, false, "wrong_Region"),
];

const ON_VERCEL: &[Row] = &[
    row("TRADEPOST_AWS_REGION", ALL, true, "wrong_Region"),
    row("TRADEPOST_AWS_ACCESS_KEY_ID", ALL, true, "wrong id"),
    row("TRADEPOST_AWS_SECRET_ACCESS_KEY", ALL, true, "wrong secret"),
    row("TRADEPOST_AWS_ENDPOINT_URL", ALL, false, "http://wrong.example.com"),
    row("AWS_REGION", NOBODY, false, "wrong_Region"),
    row("AWS_ACCESS_KEY_ID", NOBODY, false, "wrong id"),
    row("AWS_ENDPOINT_URL_DYNAMODB", NOBODY, false, "wrong"),
    row("CRON_SECRET", &SCHEDULED, true, "wrong"),
    row("PORT", NOBODY, false, "wrong"),
];

/// The same with a role in place of the keys.
const ON_VERCEL_BY_ROLE: &[Row] = &[
    row("TRADEPOST_AWS_ROLE_ARN", ALL, true, "wrong:role"),
    row("TRADEPOST_AWS_ENDPOINT_URL_STS", ALL, false, "http://wrong.example.com"),
];

/// Everything that may be set, each with a value that will do.
fn localhost() -> Environment {
    let mut all = configured::on_localhost();
    all.extend(optional());
    all
}

fn optional() -> Environment {
    process::environment([
        ("AWS_SESSION_TOKEN", "a-session-token"),
        ("INTEGRATION_CLIENT_SECRET_PREVIOUS", "client-secret-of-the-tests-before"),
        ("CRON_SECRET_PREVIOUS", "cron-secret-of-the-tests-before"),
        ("TRADEPOST_CATALOG", include_str!("../../catalog.toml")),
        ("TRADEPOST_DEADLINE_SECONDS", "60"),
        ("TRADEPOST_LOG", "info"),
        ("TRADEPOST_SEALED_AS", "tradepost-before"),
        ("TRADEPOST_STACK", "tradepost"),
    ])
}

fn by_role() -> Environment {
    let keys = ["TRADEPOST_AWS_ACCESS_KEY_ID", "TRADEPOST_AWS_SECRET_ACCESS_KEY"];
    let mut all = keys.into_iter().fold(configured::on_vercel(), without);
    all.extend(process::environment([
        ("TRADEPOST_AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/tradepost"),
        ("TRADEPOST_AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ]));
    all
}

/// One start of one function.
struct Start {
    place: Place,
    function: &'static str,
    variables: Environment,
    /// The variable that keeps it from starting.
    names: Option<&'static str>,
    what: String,
    /// The value that may not be shown.
    wrong: Option<&'static str>,
}

fn starts(place: Place, all: &Environment, rows: &'static [Row]) -> Vec<Start> {
    let mut starts = Vec::new();
    for row in rows {
        let missing = without(all.clone(), row.name);
        let mut malformed = missing.clone();
        malformed.push((row.name.to_owned(), row.wrong.to_owned()));
        for function in FUNCTIONS {
            let needs = row.functions.contains(&function);
            for (variables, stops, how, wrong) in [
                (&missing, needs && row.required, "without", None),
                (&malformed, needs, "with a malformed", Some(row.wrong)),
            ] {
                let what = format!("{function} on {place:?} {how} {}", row.name);
                let names = stops.then_some(row.name);
                starts.push(Start { place, function, variables: variables.clone(), names, what, wrong });
            }
        }
    }
    starts
}

impl Start {
    fn check(&self) {
        match self.names {
            Some(variable) => self.stops(variable),
            None => self.serves(),
        }
    }

    /// As Lambda, Vercel or a shell would start it.
    fn environment(&self) -> Environment {
        let own: &[(&str, &str)] = match self.place {
            Place::Localhost => &[("PORT", "0")],
            Place::Lambda => &[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"), ("AWS_REGION", "eu-central-1")],
            Place::Vercel => &[("VERCEL", "1"), ("AWS_REGION", "eu-central-1")],
        };
        let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own.chain(self.variables.iter().cloned()).collect()
    }

    fn stops(&self, variable: &str) {
        let started = Process::start(function(self.function), &self.environment());
        let (status, output) = started.end_of_start().unwrap_or_else(|| panic!("{} starts", self.what));
        assert_eq!(status.code(), Some(1), "{}: {output}", self.what);
        // Beside log lines there is one message for people. It names both, and each of its lines says who speaks.
        let mut lines = output.lines().filter(|line| !line.contains("\"timestamp\""));
        let begins = format!("{}: {variable} ", self.function);
        assert!(lines.next().is_some_and(|line| line.starts_with(&begins)), "{}: {output}", self.what);
        let goes_on = format!("{}: ", self.function);
        let more: Vec<&str> = lines.collect();
        assert!(more.iter().all(|line| line.starts_with(&goes_on)), "{}: {output}", self.what);
        // The catalog is no secret: its error shows the line that is wrong. All others say it in one line, unseen.
        if variable != "TRADEPOST_CATALOG" {
            assert!(more.is_empty(), "{}: {output}", self.what);
            assert!(self.wrong.is_none_or(|wrong| !output.contains(wrong)), "{} shows it: {output}", self.what);
        }
    }

    fn serves(&self) {
        let path = format!("/health/{}", self.function);
        let health = json!({"function": self.function, "version": env!("CARGO_PKG_VERSION")});
        let answer = match self.place {
            Place::Localhost => {
                Server::localhost(function(self.function), &self.variables).request("GET", &path, &[], b"").json()
            }
            Place::Vercel => {
                Server::vercel(function(self.function), &self.variables).request("GET", &path, &[], b"").json()
            }
            Place::Lambda => {
                let lambda = Lambda::start(function(self.function), &self.variables);
                serde_json::from_str(&lambda.request(events::http("GET", &path, &[], "")).1).unwrap_or_default()
            }
        };
        assert_eq!(answer, health, "{}", self.what);
    }
}

/// All of them, a few at a time.
fn check(starts: &[Start]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    start.check();
                }
            });
        }
    });
}

#[test]
fn on_localhost_a_variable_stops_who_needs_it_and_nobody_else() {
    let starts = starts(Place::Localhost, &localhost(), ON_LOCALHOST);
    assert_eq!(starts.len(), 23 * 9 * 2);
    check(&starts);
}

#[test]
fn on_lambda_credentials_come_from_the_platform_and_no_cron_secret_counts() {
    let mut all = configured::on_lambda();
    all.extend(optional());
    check(&starts(Place::Lambda, &all, ON_LAMBDA));
}

#[test]
fn on_vercel_only_names_of_our_own_count() {
    let mut starts_all = starts(Place::Vercel, &configured::on_vercel(), ON_VERCEL);
    starts_all.extend(starts(Place::Vercel, &by_role(), ON_VERCEL_BY_ROLE));
    check(&starts_all);
}

/// A role and keys together: nobody could say who we are.
#[test]
fn a_role_beside_keys_is_refused() {
    let mut variables = by_role();
    variables.extend(process::environment([("TRADEPOST_AWS_ACCESS_KEY_ID", "embedded")]));
    let what = "usage with both".to_owned();
    let names = Some("TRADEPOST_AWS_ROLE_ARN");
    Start { place: Place::Vercel, function: "usage", variables, names, what, wrong: Some("arn:aws") }.check();
}

/// Not one after the other, each after another deployment.
#[test]
fn everything_that_is_missing_is_told_at_once() {
    let variables = process::environment([("TRADEPOST_LOG", "infos"), ("PORT", "0")]);
    let (status, output) = Process::start(function("secrets"), &variables).end_of_start().expect("it does not start");
    assert_eq!(status.code(), Some(1), "{output}");
    let named: Vec<&str> = output.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let wanted = [
        "TRADEPOST_LOG",
        "TRADEPOST_TABLE",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "TRADEPOST_KEY_RING",
        "CRON_SECRET",
        "TRADEPOST_PARTNER_KEYS",
        "TRADEPOST_PROVISIONER_URL",
        "TRADEPOST_PROVISIONER_SECRET",
    ];
    assert_eq!(named, wanted, "{output}");
}

/// The functions are built without the feature: a key that KMS wrapped stops them, and the way out is named.
#[test]
fn a_wrapped_key_names_the_feature_that_opens_it() {
    let mut variables = without(localhost(), "TRADEPOST_KEY_RING");
    variables.push(("TRADEPOST_KEY_RING".to_owned(), "k:kms:d3JhcHBlZA==".to_owned()));
    variables.push(("PORT".to_owned(), "0".to_owned()));
    let (status, output) = Process::start(function("outbox"), &variables).end_of_start().expect("it does not start");
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("TRADEPOST_KEY_RING cannot be used by the outbox function: key 1 is wrapped"), "{output}");
    assert!(output.contains("--features kms"), "{output}");
}
