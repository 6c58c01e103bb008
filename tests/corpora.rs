//! The fuzz targets over their committed corpora, without a fuzzer: what was once found stays found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::path::{Path, PathBuf};

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn no_input_of_a_corpus_fails_its_target() {
    for (target, run) in fuzz::TARGETS {
        let files = corpus(target);
        assert!(files.len() >= 5, "the corpus of {target} is almost empty");
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{} fails {target}", file.display());
        }
    }
}

/// Every target is a binary of the fuzz crate, and every binary is in [`fuzz::TARGETS`].
#[test]
fn the_targets_are_those_of_the_fuzz_crate() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    let mut binaries: Vec<&str> =
        manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut targets = fuzz::TARGETS.map(|(name, _)| name);
    binaries.sort_unstable();
    targets.sort_unstable();
    assert_eq!(binaries, targets);
}
