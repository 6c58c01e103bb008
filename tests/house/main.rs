//! The rules of the house (docs/architecture.md), held by a test: who may know whom, how long anything may be, that
//! what is pointed at is there, and how prose is written.
//!
//! Each rule reads the source tree and reports everything that breaks it, with the line and what would be right. Each
//! checker has a test of its own beside it, on a small source that breaks the rule and one that keeps it. Exceptions
//! are below, by name and with a reason; one that nothing needs any longer fails, too. Where there was much before the
//! rule, `left.txt` has how much, and that may only get less.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod allowed;
mod cites;
mod crates;
mod keys;
mod lexer;
mod paths;
mod prose;
mod rooms;
mod sizes;
mod source;

use allowed::{Exception, Found, beyond_what_is_left, report, without};
use source::{Source, Tree, is};

/// What may be longer than the rules say: the file, the beginning of the finding, the reason.
const LONG: &[Exception] = &[
    ("crates/marketplace/src/client/tests/lost.rs", "fn perform ", "a match with an arm for each of 33 operations"),
    ("crates/rehearsal/src/history/audit.rs", "a file", "one audit, read from its top to its end"),
    ("crates/provider/src/operation.rs", "a file", "one life of an operation, reservation to answer"),
    ("crates/provider/src/operation/apply.rs", "fn done ", "an arm for each kind of operation"),
    ("crates/rehearsal/src/world/mod.rs", "a file", "the world itself; its parts have files of their own"),
];

#[test]
fn crates_depend_downwards_only() {
    report("crates", &without(&[], &crates::all(Tree::read())));
}

#[test]
fn no_flow_imports_a_flow_and_no_outbox_an_effect() {
    report("rooms", &without(&[], &rooms::doors(&rooms::imports(Tree::read()))));
}

#[test]
fn the_rooms_of_the_provider_are_no_circle() {
    report("circles", &without(&[], &rooms::circles(&rooms::imports(Tree::read()))));
}

#[test]
fn money_does_no_io() {
    report("money", &without(&[], &rooms::money(Tree::read())));
}

#[test]
fn files_and_functions_are_short() {
    let tree = Tree::read();
    let found: Vec<Found> =
        tree.with("rs").flat_map(|it| sizes::file(it).into_iter().chain(sizes::functions(it))).collect();
    report("sizes", &without(LONG, &found));
}

#[test]
fn lines_are_short() {
    let tree = Tree::read();
    let found: Vec<Found> = tree.0.iter().flat_map(sizes::lines).collect();
    report("lines", &beyond_what_is_left("line", &found));
}

/// What the function binaries have in common, and the one that is not deployed.
const BODIES: &[Exception] = &[("api/_function.rs", "", "not a function: what all nine share, once")];

#[test]
fn functions_are_a_few_lines() {
    let tree = Tree::read();
    let found: Vec<Found> =
        tree.with("rs").filter(|it| it.path.starts_with("api/")).filter_map(sizes::binary).collect();
    report("api", &without(BODIES, &found));
}

#[test]
fn what_is_cited_of_the_protocol_is_there() {
    let tree = Tree::read();
    let pages = tree.0.iter().filter(|it| it.path == "docs/protocol.md" || it.path.starts_with("docs/protocol/"));
    let sections: std::collections::BTreeSet<String> = pages.flat_map(|it| cites::sections(&it.text)).collect();
    assert!(!sections.is_empty(), "docs/protocol.md has no section; the comments that say `spec A.13` cite it");
    let citing = |it: &&Source| !it.path.starts_with("tests/house/");
    let found: Vec<Found> = tree.0.iter().filter(citing).flat_map(|it| cites::citations(it, &sections)).collect();
    report("citations", &without(&[], &found));
}

#[test]
fn links_lead_somewhere() {
    let tree = Tree::read();
    let found: Vec<Found> =
        tree.0.iter().filter(|it| cites::is_page(&it.path)).flat_map(|it| cites::links(tree, it)).collect();
    report("links", &without(&[], &found));
}

/// Whether a text is one that people read: pages, and code that is ours.
fn is_read(source: &Source) -> bool {
    (is(&source.path, "rs") || cites::is_page(&source.path)) && !source.path.starts_with("tests/house/")
}

#[test]
fn prose_says_it_plainly() {
    let tree = Tree::read();
    let found: Vec<Found> = tree.0.iter().filter(|it| is_read(it)).flat_map(prose::turns_of).collect();
    report("prose", &beyond_what_is_left("turn", &found));
}

#[test]
fn comments_of_fields_say_something() {
    let tree = Tree::read();
    let found: Vec<Found> = tree.with("rs").filter(|it| is_read(it)).flat_map(prose::empty_comments).collect();
    report("comments", &beyond_what_is_left("comment", &found));
}

#[test]
fn keys_are_made_in_one_place() {
    let tree = Tree::read();
    report("keys", &beyond_what_is_left("key", &keys::all(tree, keys::prefixes)));
}

#[test]
fn margins_have_names() {
    let tree = Tree::read();
    report("margins", &beyond_what_is_left("margin", &keys::all(tree, keys::margins)));
}
