//! The routes, read from the source of the flows, and what each of them is about: the one list that both clouds and the
//! table of races are held against. `tests/clouds/routes.rs` asks the routers themselves, so that a mistake in the
//! reading is seen.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use tradepost_provider::settings::Function;

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
    let mut all: Vec<Route> = Function::ALL.into_iter().map(Function::name).flat_map(of).collect();
    all.extend(Function::ALL.map(Function::name).map(|function| Route {
        function,
        path: format!("/health/{function}"),
        methods: BTreeSet::from(["GET".to_owned()]),
    }));
    assert!(all.len() > 30, "the source is not read any more: {all:?}");
    all
}

fn of(function: &'static str) -> Vec<Route> {
    let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/provider/src/flows");
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
