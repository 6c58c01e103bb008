//! `docs/simulator-rules.md` is the list of rules, and nothing else.

use std::fmt::Write as _;
use std::path::PathBuf;

use tradepost_simulator::RULES;

const HEAD: &str = "\
# The simulator's rules

Every refusal by the simulated Vercel begins with the rule it comes from: a section of the
[protocol reference](protocol.md), or a limit of the simulator itself. `crates/simulator/src/rules.rs` is the list; a test breaks each rule once, and another holds this
page to it. After a change: `cargo test -p tradepost-simulator --test simulator -- --ignored write_the_page`.

| status | the message begins with |
| --- | --- |
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulator-rules.md")
}

fn page() -> String {
    RULES.iter().fold(HEAD.to_owned(), |mut text, rule| {
        let _ = writeln!(text, "| {} | `{}` |", rule.status, rule.id.replace('|', "\\|"));
        text
    })
}

#[test]
fn the_page_is_the_list() {
    let found = std::fs::read_to_string(path()).unwrap();
    assert!(found == page(), "docs/simulator-rules.md is out of date; it says itself how to write it anew");
}

#[test]
#[ignore = "writes docs/simulator-rules.md"]
fn write_the_page() {
    std::fs::write(path(), page()).unwrap();
}
