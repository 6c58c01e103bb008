//! The feature `test-keys` holds a private key that is published: nothing that is built from here may turn it on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

const FEATURE: &str = "test-keys";

/// The manifests of the workspace, or none where this crate stands alone.
fn manifests() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("crates/provider/Cargo.toml").exists() {
        return Vec::new();
    }
    let crates = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    std::iter::once(root.clone())
        .chain(crates)
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn no_crate_of_the_workspace_turns_the_test_keys_on() {
    let manifests = manifests();
    if manifests.is_empty() {
        // Past the capture of the test's output.
        writeln!(std::io::stderr(), "SKIPPED: this crate stands alone, so there is no workspace to look at").unwrap();
        return;
    }
    assert!(manifests.len() >= 6, "{manifests:?}");
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = |line: &&str| !line.trim_start().starts_with('#');
        let named: Vec<&str> = text.lines().filter(code).filter(|line| line.contains(FEATURE)).collect();
        let is_ours = path.ends_with("crates/marketplace/Cargo.toml");
        // Its own definition turns nothing on, and no `default` names it.
        let allowed: &[&str] = if is_ours { &["test-keys = []"] } else { &[] };
        assert_eq!(named, allowed, "{}", path.display());
        // It documents the feature; whoever else asks for all features has it.
        assert!(is_ours || !text.contains("all-features = true"), "{}", path.display());
    }
}

/// Without the feature the module is not there; a test of ours that needs it would say so by not compiling.
#[test]
fn the_key_stays_out_of_what_is_built_without_the_feature() {
    let source = include_str!("../src/lib.rs");
    let (before, _) = source.split_once("pub mod test_keys;").unwrap();
    assert!(before.trim_end().ends_with(r#"#[cfg(any(test, feature = "test-keys"))]"#));
}
