//! Seeded histories on the release binary of `tradepost history`: three hundred without a violation, the same bytes for
//! the same seed, and for each way to break the system the invariant that sees it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::release::tradepost;

/// How many histories every commit plays (`.ci/full`: 5,000).
const HISTORIES: &str = "300";

fn history(arguments: &[&str]) -> Output {
    let mut command = Command::new(tradepost());
    command.arg("history").args(arguments).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn three_hundred_histories_violate_nothing() {
    let output = history(&["--count", HISTORIES, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["violated"], serde_json::json!([]), "tradepost history --seed N shows the trace");
    assert_eq!(output.status.code(), Some(0), "{report}");
    // What they contained, so that an empty run shows.
    let contained = &report["contained"];
    keep(contained);
    for (what, least) in [
        ("installations", 300),
        ("readings", 3_000),
        ("invoices", 300),
        ("invoices refunded", 50),
        ("rotations", 300),
        ("plan changes", 300),
        ("events", 200),
        ("uninstalls", 100),
        ("crashes", 500),
        ("faults", 5_000),
        ("fault lost answer", 300),
        ("fault duplicate", 100),
        ("fault delay", 100),
        ("fault timeout after", 50),
        ("fault hides", 50),
        ("crons missed", 1_000),
        ("crons doubled", 1_000),
        ("trespasses", 100),
        ("with taxPercent", 20),
        ("with refundTotal", 20),
        ("with refundTax", 20),
        ("with refundWebhooks", 20),
        ("with leaving", 20),
        ("with envelopes", 20),
        ("with removedTeam", 20),
        ("with lock", 20),
        ("with gone", 50),
    ] {
        assert!(contained[what].as_u64().unwrap_or_default() >= least, "{what}: {contained}");
    }
}

/// Keeps what the histories contained where CI prints it.
fn keep(contained: &Value) {
    let all = contained.as_object().unwrap().iter();
    let lines: Vec<String> = all.map(|(name, n)| format!("{n:>9} {name}\n")).collect();
    let lines = lines.concat();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("histories");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("contained"), format!("{HISTORIES:>9} histories without a violation\n{lines}")).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_another_history() {
    let (first, second) = (history(&["--seed", "7"]), history(&["--seed", "7"]));
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(first.stdout == second.stdout, "two runs of one seed differ");
    assert!(text(&first).lines().count() > 100, "{}", text(&first));
    assert_ne!(first.stdout, history(&["--seed", "8"]).stdout);
    // The line of a long run names the seed and the trace that it gives alone.
    let line =
        |output: &Output| text(output).lines().find(|line| line.starts_with("history --seed 7 ")).map(str::to_owned);
    let among = line(&history(&["--seed", "5", "--count", "4"]));
    assert!(among.is_some() && among == line(&first), "{among:?}");
}

/// Breaks the system in some histories, and wants the invariant to say so.
#[track_caller]
fn is_caught(how: &str, count: &str, invariant: &str) {
    let output = history(&["--break", how, "--count", count, "--json"]);
    assert_eq!(output.status.code(), Some(1), "{how} is not caught: {}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["violated"].to_string().contains(invariant), "{how}: {report}");
}

#[test]
fn what_is_billed_and_not_metered_is_caught() {
    is_caught("lost-batch", "3", "what is billed equals what was metered");
}

#[test]
fn a_ledger_that_does_not_balance_is_caught() {
    is_caught("forged-entry", "3", "debits equal credits");
}

#[test]
fn a_second_invoice_is_caught() {
    is_caught("double-invoice", "3", "one invoice per resource, plan and period");
}

#[test]
fn a_refund_beyond_what_was_asked_for_is_caught() {
    is_caught("over-refund", "8", "refunded ≤ asked for");
}

#[test]
fn secrets_revoked_under_vercels_hands_are_caught() {
    is_caught("lost-secrets", "3", "secrets that Vercel holds are never revoked");
}

#[test]
fn an_outbox_that_does_not_drain_is_caught() {
    is_caught("hidden-lane", "3", "the outbox drains");
}

#[test]
fn an_item_in_a_strangers_collection_is_caught() {
    is_caught("foreign-item", "3", "no tenant sees another");
}
