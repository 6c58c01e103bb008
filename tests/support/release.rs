//! The release binaries: the functions', built as Vercel builds them (`cargo build --release --bin NAME`, in one call),
//! and the command line's; once in a test process, into the target directory that is in use.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

pub const FUNCTIONS: [&str; 9] =
    ["installations", "sso", "webhooks", "events", "usage", "billing", "invoices", "secrets", "outbox"];

/// Those that a schedule calls.
pub const SCHEDULED: [&str; 4] = ["billing", "invoices", "secrets", "outbox"];

/// The release binary of a function. The first call builds all nine.
pub fn function(name: &str) -> &'static Path {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| build(&FUNCTIONS)).get(name).unwrap_or_else(|| panic!("no function is named {name}"))
}

/// The release binary of the command line.
pub fn tradepost() -> &'static Path {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    &BUILT.get_or_init(|| build(&["tradepost"]))["tradepost"]
}

/// A function at a simulator's time, named by its first argument, in release.
pub fn simulation() -> &'static Path {
    static BUILT: OnceLock<BTreeMap<Program, PathBuf>> = OnceLock::new();
    let arguments = ["--release", "--features", "tradepost-functions/simulation", "--bin", "simulation"];
    &BUILT.get_or_init(|| cargo_build(&arguments))["simulation"]
}

/// A program's name.
pub type Program = String;

/// The functions and the bare ones beside them (`examples/`) as they are shipped, in `profile.dist`.
pub fn dist() -> BTreeMap<Program, PathBuf> {
    let examples = ["bare_lambda", "bare_vercel"];
    let mut arguments = vec!["--profile", "dist"];
    arguments.extend(FUNCTIONS.iter().flat_map(|name| ["--bin", name]));
    arguments.extend(examples.iter().flat_map(|name| ["--example", name]));
    cargo_build(&arguments)
}

fn build(names: &[&str]) -> HashMap<String, PathBuf> {
    let mut arguments = vec!["--release"];
    arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
    let binaries: HashMap<_, _> = cargo_build(&arguments).into_iter().collect();
    assert!(names.iter().all(|name| binaries.contains_key(*name)), "built {binaries:?}, wanted {names:?}");
    binaries
}

fn cargo_build(arguments: &[&str]) -> BTreeMap<Program, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg("build").args(arguments).arg("--message-format=json-render-diagnostics");
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(built.status.success(), "the binaries do not build");
    let messages = built.stdout.split(|byte| *byte == b'\n');
    messages.filter_map(|line| binary(&serde_json::from_slice(line).ok()?)).collect()
}

fn binary(message: &Value) -> Option<(String, PathBuf)> {
    let path = message["executable"].as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
}
