//! `vercel.json` and `public/`.
//!
//! What a function sees after a rewrite, since a rewrite here names only the function: the path and the query that the
//! caller sent. Vercel's own template for axum (`vercel/examples`, `rust/axum`) rewrites `/(.*)` to `/api/axum` and
//! routes `/` and `/stream` in its router, which would be 404 otherwise; `vercel dev` hands them on so, too (tried).
//! Named segments of a source (`/:id`) that its destination does not use would be added to the query by Vercel's CLI
//! (`replaceSegments` of its routing utilities); groups without a name are not. So there are no named ones here, and
//! a test looks after it.

use std::collections::{BTreeMap, BTreeSet};

use fancy_regex::Regex;
use serde_json::Value;
use tradepost_provider::settings;

use crate::routes::{self, Route};
use crate::template::{file, text};
use crate::{FUNCTIONS, SCHEDULED};

fn configuration() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file("vercel.json")).unwrap()).unwrap()
}

/// Where a rewrite leads a path, with what its groups held filled in.
pub fn rewritten(source: &Regex, destination: &str, path: &str) -> Option<String> {
    let found = source.captures(path).unwrap()?;
    let fill = |text: String, group: usize| {
        text.replace(&format!("${group}"), found.get(group).map_or("", |group| group.as_str()))
    };
    Some((1..found.len()).fold(destination.to_owned(), fill))
}

/// All rewrites. A source is what `path-to-regexp` makes of it: literal but for its groups.
fn rewrites() -> Vec<(Regex, String)> {
    let configuration = configuration();
    let rewrites = configuration["rewrites"].as_array().unwrap().iter();
    rewrites
        .map(|rewrite| {
            let names: Vec<&String> = rewrite.as_object().unwrap().keys().collect();
            assert_eq!(names, ["destination", "source"], "a rewrite with conditions is not understood here");
            let source = text(&rewrite["source"]);
            assert!(!source.contains([':', '*', '?', '+']) || source.contains('('), "{source}");
            assert!(!source.contains(':'), "{source}: a named segment that is not used becomes a query parameter");
            let mut pattern = String::from("^");
            let mut depth = 0;
            for c in source.chars() {
                depth += i32::from(c == '(');
                pattern += &if depth == 0 { fancy_regex::escape(&c.to_string()).into_owned() } else { c.to_string() };
                depth -= i32::from(c == ')');
            }
            (Regex::new(&format!("{pattern}$")).unwrap(), text(&rewrite["destination"]).to_owned())
        })
        .collect()
}

/// Every place where a path leads: at most one, if all is well.
fn leads(path: &str) -> Vec<String> {
    rewrites().iter().filter_map(|(source, destination)| rewritten(source, destination, path)).collect()
}

#[test]
fn every_route_leads_to_its_function_and_only_there() {
    for route in routes::all() {
        assert_eq!(leads(&route.sample()), [format!("/api/{}", route.function)], "{}", route.path);
    }
}

/// What is no route leads nowhere, or into a function that does not have it: the Partner API takes all of `/v1`.
#[test]
fn nothing_else_leads_anywhere() {
    for path in [
        "/",
        "/cron",
        "/cron/",
        "/cron/usage",
        "/cron/billing/",
        "/cron/billing/more",
        "/cron/billing.rs",
        "/health",
        "/health/",
        "/health/tradepost",
        "/health/billing/more",
        "/partner",
        "/partner/invoices/",
        "/partner/invoices/a/b/refund",
        "/partner/resources//secrets",
        "/partner/resources/a/secrets/more",
        "/webhooks",
        "/webhooks/vercel/",
        "/callback/",
        "/installation/icfg_1",
        "/v2/installations",
        "/x/v1/installations",
        "/api",
        "/Cargo.toml",
        "/crates/provider/src/lib.rs",
    ] {
        assert_eq!(leads(path), Vec::<String>::new(), "{path}");
    }
    assert_eq!(leads("/v1/anything/at/all"), ["/api/installations"]);
}

/// Vercel makes a function of every file of `api/` but those that begin with `_`, and builds the binary whose `path` it
/// is.
#[test]
fn every_function_is_configured_and_is_a_binary() {
    let sources: BTreeSet<String> = std::fs::read_dir(file("api"))
        .unwrap()
        .map(|entry| format!("api/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|path| !path.starts_with("api/_"))
        .collect();
    assert_eq!(sources, FUNCTIONS.map(|name| format!("api/{name}.rs")).into());
    let configuration = configuration();
    let functions = configuration["functions"].as_object().unwrap();
    assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), sources);
    let manifest = std::fs::read_to_string(file("Cargo.toml")).unwrap();
    for (path, function) in functions {
        let seconds = function["maxDuration"].as_u64().unwrap();
        assert!(seconds > settings::DEADLINE_SECONDS, "{path} is cut off before it thinks so");
        let name = path.trim_start_matches("api/").trim_end_matches(".rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")), "{path} is no [[bin]]");
    }
}

/// The schedules of `vercel.json`, by path.
pub fn schedules() -> BTreeMap<String, String> {
    let configuration = configuration();
    let crons = configuration["crons"].as_array().unwrap().iter();
    crons.map(|cron| (text(&cron["path"]).to_owned(), text(&cron["schedule"]).to_owned())).collect()
}

/// Vercel's cron makes a GET of each.
#[test]
fn every_scheduled_route_is_called_and_nothing_else_is() {
    let scheduled: BTreeMap<String, Route> =
        routes::all().into_iter().filter(Route::is_scheduled).map(|route| (route.path.clone(), route)).collect();
    let called = schedules();
    assert_eq!(called.keys().collect::<Vec<_>>(), scheduled.keys().collect::<Vec<_>>());
    assert!(scheduled.values().all(|route| route.methods.contains("GET")));
    assert_eq!(scheduled.values().map(|route| route.function).collect::<BTreeSet<_>>(), SCHEDULED.into());
    assert_eq!(scheduled.len(), SCHEDULED.len());
}

/// Without a folder `public`, Vercel publishes the files of the root: the source.
#[test]
fn nothing_is_published_but_what_is_meant_to_be() {
    let files: Vec<_> = std::fs::read_dir(file("public")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["robots.txt"]);
    let configuration = configuration();
    assert_eq!(configuration["framework"], Value::Null);
    for other in ["outputDirectory", "routes", "builds", "redirects", "cleanUrls", "trailingSlash"] {
        assert_eq!(configuration.get(other), None, "{other} changes what is served: look here first");
    }
}
