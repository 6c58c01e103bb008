//! Which crate may depend on which.

use crate::allowed::Found;
use crate::source::{Source, Tree};

/// What one crate may know of the others, and whom it must not know at all.
struct Rule {
    /// The crate, without `tradepost-`.
    name: &'static str,
    /// The crates of the workspace that it may depend on.
    may: &'static [&'static str],
    /// The ones that its tests may know besides.
    tests_may: &'static [&'static str],
    /// Packages that it must not depend on, even for tests.
    never: &'static [&'static str],
}

/// What does I/O, by the beginning of the package's name.
const IO: &[&str] = &[
    "tokio",
    "reqwest",
    "aws-",
    "axum",
    "hyper",
    "http-body",
    "tower",
    "futures",
    "async-trait",
    "dynoxide",
    "lambda",
];

const RULES: &[Rule] = &[
    Rule { name: "marketplace", may: &[], tests_may: &[], never: &[] },
    Rule { name: "store", may: &["marketplace"], tests_may: &["store"], never: &[] },
    Rule { name: "pricing", may: &["marketplace"], tests_may: &[], never: IO },
    Rule { name: "provider", may: &["store", "marketplace", "pricing"], tests_may: &[], never: &[] },
    Rule { name: "host", may: &["provider", "store", "marketplace"], tests_may: &[], never: &[] },
    Rule { name: "simulator", may: &["marketplace"], tests_may: &[], never: &[] },
    Rule {
        name: "rehearsal",
        may: &["provider", "simulator", "host", "store", "marketplace", "pricing"],
        tests_may: &[],
        never: &[],
    },
    Rule {
        name: "cli",
        may: &["rehearsal", "provider", "simulator", "host", "store", "marketplace", "pricing"],
        tests_may: &[],
        never: &[],
    },
    Rule {
        name: "functions",
        may: &["provider", "host", "marketplace", "store", "pricing"],
        tests_may: &["rehearsal", "cli", "simulator"],
        never: &[],
    },
    Rule {
        name: "fuzz",
        may: &["marketplace", "provider", "store", "pricing", "rehearsal", "cli"],
        tests_may: &[],
        never: &[],
    },
];

/// What the functions may have only behind a feature that no function is built with.
const OPTIONAL_IN_FUNCTIONS: &[&str] = &["rehearsal", "simulator", "cli"];

/// One dependency of a manifest.
#[derive(Debug)]
struct Dependency {
    name: String,
    line: usize,
    for_tests: bool,
    optional: bool,
}

/// The name of a package, and what it depends on.
fn manifest(source: &Source) -> (String, Vec<Dependency>) {
    let mut section = String::new();
    let mut package = String::new();
    let mut dependencies: Vec<Dependency> = Vec::new();
    for (nth, line) in source.text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[') {
            section = String::from(name.trim_matches(['[', ']']));
            let Some((kind, name)) = section.rsplit_once("dependencies.") else { continue };
            dependencies.push(dependency(kind, name, "", nth + 1));
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        if section == "package" && key == "name" {
            package.push_str(value.trim_matches('"'));
        } else if section.ends_with("dependencies") && !section.starts_with("workspace") {
            let name = key.split('.').next().unwrap_or_default();
            dependencies.push(dependency(&section, name, value, nth + 1));
        }
    }
    (package, dependencies)
}

fn dependency(section: &str, name: &str, value: &str, line: usize) -> Dependency {
    let real = value.split("package = \"").nth(1).and_then(|rest| rest.split('"').next());
    Dependency {
        name: real.unwrap_or(name).to_owned(),
        line,
        for_tests: section.contains("dev-"),
        optional: value.contains("optional = true"),
    }
}

/// What a manifest depends on and should not.
pub fn manifest_of(source: &Source) -> Vec<Found> {
    let (package, dependencies) = manifest(source);
    let name = package.trim_start_matches("tradepost-");
    let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
        return vec![Found::new(
            source,
            1,
            format!("the crate {package} has no rule; give it one in tests/house/crates.rs"),
        )];
    };
    let mut found = Vec::new();
    for it in dependencies {
        if rule.never.iter().any(|never| it.name.starts_with(never)) {
            let what = format!("{package} depends on {}: it does no I/O, hand in what it needs as a value", it.name);
            found.push(Found::new(source, it.line, what));
        }
        let Some(other) = it.name.strip_prefix("tradepost-") else { continue };
        let behind_feature = name == "functions" && it.optional && OPTIONAL_IN_FUNCTIONS.contains(&other);
        let may = rule.may.contains(&other) || (it.for_tests && rule.tests_may.contains(&other)) || behind_feature;
        if !may {
            let whom = if rule.may.is_empty() { "nobody".to_owned() } else { rule.may.join(", ") };
            let what = format!("{package} depends on {}; it may know {whom} (docs/architecture.md)", it.name);
            found.push(Found::new(source, it.line, what));
        }
    }
    found
}

/// The same for all manifests of the workspace.
pub fn all(tree: &Tree) -> Vec<Found> {
    let manifests = tree.0.iter().filter(|it| it.path == "Cargo.toml" || it.path.ends_with("/Cargo.toml"));
    manifests.flat_map(manifest_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<usize> {
        manifest_of(&Source::new("Cargo.toml", text)).iter().map(|it| it.line).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_seen() {
        let good = "[package]\nname = \"tradepost-store\"\n[dependencies]\ntradepost-marketplace.workspace = true\n\
                    [dev-dependencies]\ntradepost-store = { path = \".\" }\n";
        assert!(check(good).is_empty());
        assert_eq!(check(&format!("{good}tradepost-provider.workspace = true\n")), [7]);
        assert_eq!(
            check("[package]\nname = \"tradepost-provider\"\n[dependencies.tradepost-simulator]\npath = \"x\"\n"),
            [3]
        );
        assert_eq!(
            check("[package]\nname = \"tradepost-provider\"\n[dependencies]\nit = { package = \"tradepost-host\" }\n"),
            [4]
        );
        assert_eq!(check("[package]\nname = \"tradepost-new\"\n"), [1]);
    }

    #[test]
    fn money_does_no_io() {
        let text = "[package]\nname = \"tradepost-pricing\"\n[dependencies]\njiff.workspace = true\n\
                    aws-sdk-dynamodb.workspace = true\n[dev-dependencies]\ntokio.workspace = true\n";
        assert_eq!(check(text), [5, 7]);
    }

    #[test]
    fn the_functions_have_the_rehearsal_behind_a_feature_only() {
        let head = "[package]\nname = \"tradepost-functions\"\n[dependencies]\n";
        assert!(check(&format!("{head}tradepost-rehearsal = {{ workspace = true, optional = true }}\n")).is_empty());
        assert_eq!(check(&format!("{head}tradepost-rehearsal.workspace = true\n")), [4]);
        assert!(check(&format!("{head}[dev-dependencies]\ntradepost-simulator.workspace = true\n")).is_empty());
    }
}
