//! One customer's month, whole, on the release binary of `tradepost demo`: balanced, repeatable, and
//! unmoved by faults, repeats and kills. Each run is some ten seconds, so these are few:
//! `.ci/full` plays the other faults, too, which every history of `tests/histories.rs` has among its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::release::tradepost;

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(tradepost());
    command.arg("demo").args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    demo(arguments).output().unwrap()
}

fn shown(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let tail =
        |text: &str| text.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    format!("{}\n{}\n{}", output.status, tail(&out), tail(&err))
}

fn balanced(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", shown(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["balanced"], true, "{arguments:?}");
    report
}

#[test]
fn the_month_balances_and_the_same_seed_gives_the_same_bytes() {
    let (first, second) = (run(&["--seed", "7", "--json"]), run(&["--seed", "7", "--json"]));
    assert_eq!(first.status.code(), Some(0), "{}", shown(&first));
    assert!(first.stdout == second.stdout, "two runs of one seed differ");
    let report: Value = serde_json::from_slice(&first.stdout).unwrap();
    // What the month is: if less happened, balancing says little.
    assert_eq!(report["invoices"].as_array().unwrap().len(), 2, "{}", report["invoices"]);
    assert_eq!(report["refunds"].as_array().unwrap().len(), 1, "{}", report["refunds"]);
    assert!(report["acts"].as_array().unwrap().len() > 40);
    let other = balanced(&["--seed", "8"]);
    assert_ne!(other["invoices"], report["invoices"], "another seed is another month");
}

#[test]
fn a_price_that_is_not_the_referees_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("catalog.toml");
    let catalog = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/catalog.toml")).unwrap();
    let cheaper = catalog.replace("price = \"0.000025\"", "price = \"0.000024\"");
    assert_ne!(catalog, cheaper, "the price to break is not in the catalog");
    std::fs::write(&broken, cheaper).unwrap();
    let output = run(&["--quiet", "--catalog", broken.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Not balanced."), "{}", shown(&output));
}

/// The fewest second sends: crons until the end, reports, webhooks and the customer's acts.
const SENDS_MIN: u64 = 4_000;

#[test]
fn every_request_of_the_month_sent_twice_changes_nothing_the_second_time() {
    let report = balanced(&["--repeat"]);
    let repeats = &report["repeats"];
    assert_eq!(repeats["changed"], 0, "{repeats}");
    assert_eq!(repeats["differing"], 0, "{repeats}");
    // Four crons in each of more than 800 hours, 744 reports, and what the customer does.
    assert!(repeats["sent"].as_u64().unwrap() >= SENDS_MIN, "{repeats}");
    // And the month came out as it does without.
    let plain = balanced(&[]);
    for part in ["usage", "charges", "invoices", "refunds", "ledger", "vercel"] {
        assert_eq!(report[part], plain[part], "{part}");
    }
}

/// How often the fault struck, from the statement.
fn struck(output: &Output, on: &str) -> u32 {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("Faults: ")).unwrap_or_default();
    let part = line.split(", ").find(|part| part.ends_with(on)).unwrap_or_default();
    part.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

const VERCEL: &str = " on calls to Vercel";
const STORE: &str = " on calls to the store";
const INVOICES: &str = " on invoices";

fn survives(fault: &str, on: &str, at_least: u32) -> Output {
    let output = run(&["--quiet", "--fault", fault]);
    assert_eq!(output.status.code(), Some(0), "{fault}: {}", shown(&output));
    assert!(struck(&output, on) >= at_least, "{fault} hardly struck: {}", shown(&output));
    output
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_answer_of_vercels_lost() {
    survives("vercel:reset_after/10", VERCEL, 60);
}

/// So often that not only pushes are struck, which are nearly all of the calls.
#[test]
fn the_month_passes_with_every_third_answer_of_vercels_lost_those_about_money_too() {
    let output = survives("vercel:reset_after/3", VERCEL, 250);
    assert!(struck(&output, INVOICES) >= 1, "no call about money was struck: {}", shown(&output));
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_call_to_vercel_cut_before_it_is_done() {
    survives("vercel:reset_before/10", VERCEL, 60);
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_call_to_vercel_refused_in_passing() {
    survives("vercel:status/10", VERCEL, 60);
}

/// The README's line.
#[test]
fn the_month_passes_with_faults_on_both_sides() {
    let output = run(&["--fault", "vercel:reset_after/10", "--fault", "store:conflict/10"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    for (on, at_least) in [(VERCEL, 60), (STORE, 20)] {
        assert!(struck(&output, on) >= at_least, "hardly struck{on}: {}", shown(&output));
    }
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_store_call_conflicting() {
    survives("store:conflict/10", STORE, 20);
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_store_call_throttled() {
    survives("store:throttled/10", STORE, 20);
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_store_call_timing_out_before_it_is_done() {
    survives("store:timeout_before/10", STORE, 20);
}

#[test]
fn the_month_passes_with_every_tenth_store_call_timing_out_after_it_was_done() {
    survives("store:timeout_after/10", STORE, 20);
}

#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_tenth_index_read_stale() {
    // What struck is a page that was not as it should have been: few are, since most reads find what they found before.
    survives("store:stale_index/10", STORE, 1);
}

/// An hour makes eight index reads, so every tenth never meets half of the kinds; every seventh meets all.
#[test]
#[ignore = "a month each: .ci/full"]
fn the_month_passes_with_every_seventh_index_read_stale() {
    survives("store:stale_index/7", STORE, 3);
}

#[test]
fn the_month_passes_with_an_index_that_is_always_behind() {
    survives("store:stale_index/1", STORE, 20);
}

/// The readings of `docs/demo.md`, as a partner would copy them.
#[test]
fn the_month_balances_with_readings_from_a_file() {
    let docs = include_str!("../docs/demo.md");
    let (_, rest) = docs.split_once("```csv\n").unwrap();
    let (csv, _) = rest.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("usage.csv");
    std::fs::write(&file, csv).unwrap();
    let report = balanced(&["--usage", file.to_str().unwrap()]);
    // What is in the file was measured, and nothing else; that it is charged so is what `balanced` says.
    assert_eq!(report["usage"]["orders"]["queries"], "1250", "{}", report["usage"]);
    assert_eq!(report["usage"]["orders"]["storage_gb"], "3.25", "{}", report["usage"]);
    assert_eq!(report["usage"]["search"]["queries"], "0", "{}", report["usage"]);
}

#[test]
fn a_month_that_is_killed_goes_on_and_comes_out_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("month.db");
    let store = ["--store", file.to_str().unwrap()];
    // After which act: a start tells the acts that are done, too. Early, mid-month, then the invoice (41), its payment,
    // the refund (43), the uninstall (45), the final invoice, the finalization (47).
    for lines in [1, 2, 10, 14, 17, 20, 24, 40, 41, 42, 43, 45, 46, 47] {
        let mut child = demo(&store).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let progress = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let last = progress.filter(|line| line.starts_with("act ")).take(lines).last().unwrap_or_default();
        // SIGKILL: nothing is tidied up.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(last.starts_with(&format!("act {lines} ")), "killed after {last:?}, not after act {lines}");
    }
    let resumed = balanced(&store);
    let plain = balanced(&[]);
    for part in ["usage", "charges", "invoices", "refunds", "ledger", "vercel"] {
        assert_eq!(resumed[part], plain[part], "{part}");
    }
}

/// All files of a directory, as bytes, by name.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

/// How many bytes are looked at together in [`Needles`].
const WINDOW: usize = 16;

/// Looks for many texts in one pass: the log has 600 MB. A text of at least `2 * WINDOW - 1` bytes, wherever it begins,
/// covers a whole window of those that the haystack falls into; so only windows are looked up.
struct Needles<'a>(HashMap<&'a [u8], Vec<(&'a str, usize)>>);

impl<'a> Needles<'a> {
    fn of(texts: &'a BTreeSet<String>) -> Self {
        let mut windows: HashMap<_, Vec<_>> = HashMap::new();
        for text in texts {
            assert!(text.len() >= 2 * WINDOW - 1, "a secret is too short to be looked for so");
            for (at, window) in text.as_bytes().windows(WINDOW).enumerate() {
                windows.entry(window).or_default().push((text.as_str(), at));
            }
        }
        Self(windows)
    }

    fn found_in(&self, haystack: &[u8]) -> BTreeSet<&'a str> {
        let candidates =
            haystack.chunks_exact(WINDOW).enumerate().filter_map(|(n, window)| Some((n, self.0.get(window)?)));
        let whole = candidates.flat_map(|(n, texts)| texts.iter().map(move |(text, at)| (n * WINDOW, *text, *at)));
        let is_there = |found: &(usize, &str, usize)| {
            let (window, text, at) = *found;
            window.checked_sub(at).is_some_and(|start| haystack[start..].starts_with(text.as_bytes()))
        };
        whole.filter(is_there).map(|(_, text, _)| text).collect()
    }
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    let secrets = BTreeSet::from(["vercel_access_token_0123456789abcdef".to_owned(), "w".repeat(31)]);
    let needles = Needles::of(&secrets);
    for before in 0..40 {
        for secret in &secrets {
            let text = format!("{}{secret}, and more", " ".repeat(before));
            assert_eq!(needles.found_in(text.as_bytes()), BTreeSet::from([secret.as_str()]), "after {before}");
            let short = &text[..before + secret.len() - 1];
            assert!(needles.found_in(short.as_bytes()).is_empty(), "its beginning only, after {before}");
        }
    }
}

#[test]
fn no_secret_of_the_month_is_in_a_log_line_or_in_a_byte_of_the_store() {
    let (kept, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let canaries = elsewhere.path().join("canaries");
    let store = kept.path().join("month.db");
    let arguments = ["--store", store.to_str().unwrap(), "--canaries", canaries.to_str().unwrap()];
    let output = demo(&arguments).env("TRADEPOST_LOG", "trace").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let secrets: BTreeSet<String> = std::fs::read_to_string(&canaries).unwrap().lines().map(str::to_owned).collect();
    assert!(secrets.len() > 700, "only {} secrets were told", secrets.len());
    let mut places = files(kept.path());
    assert!(
        places.len() >= 3,
        "the store keeps three files: {:?}",
        places.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert!(output.stderr.len() > 100_000, "the log of a whole month at trace is longer");
    places.push(("the log".to_owned(), output.stderr));
    places.push(("the output".to_owned(), output.stdout));
    let needles = Needles::of(&secrets);
    for (name, bytes) in &places {
        assert_eq!(needles.found_in(bytes).len(), 0, "so many secrets stand in {name}");
    }
    // The search finds what is there: the canaries themselves.
    assert_eq!(needles.found_in(&std::fs::read(&canaries).unwrap()).len(), secrets.len());
}
