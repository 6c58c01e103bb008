//! The routes, read from the source of the flows, and what each of them is about: the one list that both clouds are
//! held against. Asked of the routers themselves, so that a mistake in the reading is seen.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tower::ServiceExt as _;
use tradepost_marketplace::doors::Environment;
use tradepost_provider::settings::{self, Platform};

use crate::FUNCTIONS;
use crate::flows::FLOWS;
use crate::template::file;

/// A path with all its methods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub function: &'static str,
    /// As the router has it: `/partner/invoices/{invoice}/refund`.
    pub path: String,
    pub methods: BTreeSet<String>,
}

impl Route {
    /// A path that it serves. Ids have dots in them, and perhaps more.
    pub fn sample(&self) -> String {
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { "icfg_1.r2-%7E" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Whether it is for the cloud's scheduler alone.
    pub fn is_scheduled(&self) -> bool {
        self.path.starts_with("/cron/")
    }
}

/// Every route of every function, health included, which the host adds.
pub fn all() -> Vec<Route> {
    let mut all: Vec<Route> = FUNCTIONS.into_iter().flat_map(of).collect();
    all.extend(FUNCTIONS.map(|function| Route {
        function,
        path: format!("/health/{function}"),
        methods: BTreeSet::from(["GET".to_owned()]),
    }));
    assert!(all.len() > 30, "the source is not read any more: {all:?}");
    all
}

fn of(function: &'static str) -> Vec<Route> {
    let flows = file("crates/provider/src/flows");
    let source = sources(&flows.join(function)) + &sources(&flows.join(format!("{function}.rs")));
    let literal = |arguments: &str| {
        let text = arguments.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
        text.unwrap_or_else(|| panic!("{function} has a path that is no literal: {arguments}")).to_owned()
    };
    let mut bases: Vec<String> = arguments(&source, ".nest(").iter().map(|nest| literal(nest)).collect();
    if bases.is_empty() {
        bases.push(String::new());
    }
    let route = |arguments: &String| {
        let path = literal(arguments);
        let methods: BTreeSet<String> = ["get", "put", "post", "patch", "delete"]
            .into_iter()
            .filter(|method| arguments.replace(char::is_whitespace, "").contains(&format!("{method}(")))
            .map(str::to_uppercase)
            .collect();
        assert!(!methods.is_empty(), "{path} has no method");
        bases
            .iter()
            .map(|base| Route { function, path: format!("{base}{path}"), methods: methods.clone() })
            .collect::<Vec<_>>()
    };
    arguments(&source, ".route(").iter().flat_map(route).collect()
}

/// The text of a file, or of all files of a folder.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| sources(&entry.unwrap().path()));
        return entries.collect();
    }
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What stands in the parentheses of every such call.
fn arguments(source: &str, call: &str) -> Vec<String> {
    let rest = source.split(call).skip(1);
    rest.map(|rest| {
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        rest[..end.expect("a closing parenthesis")].to_owned()
    })
    .collect()
}

/// As much configuration as lets every router be built; nothing is called.
struct Anywhere;

impl Environment for Anywhere {
    fn var(&self, name: &str) -> Option<String> {
        let samples = crate::aws::SAMPLES.into_iter().chain([("CRON_SECRET", "cron-secret-of-the-tests-0123456789")]);
        samples.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }
}

/// The list is true: each route is served by its function's router with these methods and no other, and by no other
/// function's.
#[tokio::test]
async fn the_routers_have_these_routes_each_its_own() {
    let routes = all();
    for (function, router) in FLOWS {
        let provider = settings::provider(&Anywhere, Platform::Localhost, function).unwrap();
        let served_by = router(&provider);
        for route in routes.iter().filter(|route| !route.path.starts_with("/health/")) {
            for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                let request = Request::builder().method(method.clone()).uri(route.sample()).body(Body::empty());
                let status = served_by.clone().oneshot(request.unwrap()).await.unwrap().status();
                let served = ![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
                let own = route.function == function.name();
                let wanted = own && route.methods.contains(method.as_str());
                assert_eq!(served, wanted, "{}: {method} {}: {status}", function.name(), route.path);
                assert!(own || status == StatusCode::NOT_FOUND, "{}: {method} {}", function.name(), route.path);
            }
        }
    }
}
