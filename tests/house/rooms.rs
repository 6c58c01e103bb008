//! Who imports whom inside `crates/provider`, and whether any of it goes round in a circle.
//!
//! A room is a top-level module of the crate; of `flows` and `effects`, each of their modules is one (`flows::usage`)
//! and their `mod.rs` another (`flows`), which holds the list. What counts is what is built: `use` and paths in the
//! code, not doc comments, not what is for tests. What `lib.rs` hands on (`crate::Provider`) is found where it is from.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowed::Found;
use crate::paths::{Path, ROOT, module, paths, tokens};
use crate::source::{Source, Tree};

/// One import: from a room to another, at a line.
#[derive(Debug, Clone)]
pub struct Import {
    pub from: String,
    pub to: String,
    pub path: String,
    pub line: usize,
}

impl Import {
    fn found(&self, what: String) -> Found {
        Found { path: self.path.clone(), line: self.line, what }
    }
}

/// The room of a path: where it is from if the root hands it on; none for the root itself.
fn room(path: &Path, rooms: &BTreeSet<String>, root: &BTreeMap<String, Path>) -> Option<String> {
    let first = path.first()?;
    if !rooms.contains(first) {
        let real = root.get(first).filter(|real| real.first() != Some(first))?;
        return room(real, rooms, root);
    }
    if let (true, Some(second)) = (matches!(first.as_str(), "flows" | "effects"), path.get(1)) {
        let inner = format!("{first}::{second}");
        return Some(if rooms.contains(&inner) { inner } else { first.clone() });
    }
    Some(first.clone())
}

/// All imports from one room of the provider into another.
pub fn imports(tree: &Tree) -> Vec<Import> {
    let sources: Vec<&Source> = tree.with("rs").filter(|it| it.path.starts_with(ROOT)).collect();
    let mut rooms = BTreeSet::new();
    for source in &sources {
        let module = module(&source.path);
        rooms.extend(module.first().cloned());
        if let [first @ ("flows" | "effects"), second, ..] = module.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            rooms.insert(format!("{first}::{second}"));
        }
    }
    let is_root = |source: &&&Source| source.path == format!("{ROOT}lib.rs");
    let root = sources.iter().find(is_root).map(|it| paths(it).names).unwrap_or_default();
    let mut imports = Vec::new();
    for source in sources.iter().filter(|it| !is_root(it)) {
        let Some(from) = room(&module(&source.path), &rooms, &root) else { continue };
        let paths = paths(source);
        let mut known: BTreeSet<(String, usize)> = BTreeSet::new();
        let to = |path: &Path| room(path, &rooms, &root).filter(|to| *to != from);
        known.extend(paths.written.iter().filter_map(|(at, path)| Some((to(path)?, source.line(*at)))));
        for (at, path) in &paths.through {
            // A name that was brought in counts where it was, unless it leads to another room from there.
            let to = to(path).filter(|to| !known.iter().any(|(known, _)| known == to));
            known.extend(to.map(|to| (to, source.line(*at))));
        }
        let import = |(to, line)| Import { from: from.clone(), to, path: source.path.clone(), line };
        imports.extend(known.into_iter().map(import));
    }
    imports
}

fn is_in(room: &str, top: &str) -> bool {
    room.split("::").next() == Some(top)
}

/// Flows that import flows, an outbox or a delivery that knows an effect, an effect that knows a flow.
pub fn doors(imports: &[Import]) -> Vec<Found> {
    let mut found = Vec::new();
    for it in imports {
        let (from, to) = (it.from.as_str(), it.to.as_str());
        let why = if from == "flows" || from == "effects" {
            continue; // the list may name what it lists; the circles are another rule
        } else if is_in(from, "flows") && is_in(to, "flows") {
            "no flow imports a flow; move what both need into a room of its own"
        } else if matches!(from, "outbox" | "delivery") && (is_in(to, "flows") || is_in(to, "effects")) {
            "it knows no effect by name; go through the trait"
        } else if is_in(from, "effects") && is_in(to, "flows") {
            "no effect imports a flow; move what both need into a room of its own"
        } else {
            continue;
        };
        found.push(it.found(format!("{from} imports {to}: {why}")));
    }
    found
}

const MONEY: [&str; 5] = ["catalog", "period", "metering", "pricing", "ledger"];
const NO_IO: [&str; 8] =
    ["tradepost_store", "tokio", "reqwest", "axum", "http", "aws_sdk_dynamodb", "async_trait", "http_body_util"];

/// The rooms of money, as long as they are in the provider: they know the protocol and each other, and do no I/O.
pub fn money(tree: &Tree) -> Vec<Found> {
    let mut found = Vec::new();
    for source in tree.with("rs").filter(|it| it.path.starts_with(ROOT)) {
        if !module(&source.path).first().is_some_and(|room| MONEY.contains(&room.as_str())) {
            continue;
        }
        let tokens = tokens(&source.code);
        for pair in tokens.windows(2).filter(|pair| !source.in_test(pair[0].0)) {
            if NO_IO.contains(&pair[0].1) && pair[1].1 == "::" {
                let what = format!("money does no I/O, and {} is there for it; hand in a value", pair[0].1);
                found.push(Found::new(source, source.line(pair[0].0), what));
            }
        }
    }
    found
}

/// The rooms that reach each other in a circle, with the imports that close it.
pub fn circles(imports: &[Import]) -> Vec<Found> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for it in imports {
        reach.entry(&it.from).or_default().insert(&it.to);
    }
    let rooms: Vec<&str> = reach.keys().copied().collect();
    for over in &rooms {
        let beyond = reach[over].clone();
        for from in &rooms {
            if reach[from].contains(over) {
                reach.entry(from).or_default().extend(&beyond);
            }
        }
    }
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|them| them.contains(to));
    let mut found = Vec::new();
    for it in imports.iter().filter(|it| reaches(&it.to, &it.from)) {
        let circle: Vec<&str> =
            rooms.iter().filter(|room| reaches(&it.from, room) && reaches(room, &it.from)).copied().collect();
        found.push(it.found(format!("{} imports {}, in the circle of {}", it.from, it.to, circle.join(", "))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(&format!("{ROOT}{path}"), text)).collect();
        let root =
            "pub mod outbox;\npub mod flows;\nmod provider;\npub mod state;\npub use provider::{Deadline, Provider};\n";
        sources.push(Source::new(&format!("{ROOT}lib.rs"), root));
        sources.push(Source::new(&format!("{ROOT}provider.rs"), "pub struct Provider;\n"));
        sources.push(Source::new(&format!("{ROOT}state/mod.rs"), "pub struct State;\n"));
        Tree::new(sources)
    }

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        imports(&tree(files)).iter().map(|it| format!("{} {} {}", it.from, it.to, it.line)).collect()
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        let usage = "use crate::{Provider, state::{self, State}};\nuse super::{events as other, secrets::read};\n\
                     pub(in crate::outbox) fn a() { other::b(); crate::outbox::c(); }\n//! [`crate::doc`]\n\
                     #[cfg(test)]\nmod tests { use crate::flows::secrets::d; }\nconst E: &str = \"crate::outbox\";\n";
        let files = [
            ("flows/usage.rs", usage),
            ("flows/events/mod.rs", "mod inner;\nuse inner::x;\n"),
            ("flows/events/inner.rs", "use super::super::secrets;\nfn a() { secrets::b() }\n"),
            ("flows/secrets.rs", ""),
            ("outbox.rs", ""),
        ];
        assert_eq!(
            edges(&files),
            [
                "flows::usage flows::events 2",
                "flows::usage flows::secrets 2",
                "flows::usage outbox 3",
                "flows::usage provider 1",
                "flows::usage state 1",
                "flows::events flows::secrets 1",
            ]
        );
    }

    #[test]
    fn a_flow_that_imports_a_flow_is_seen() {
        let lines =
            |files: &[(&str, &str)]| doors(&imports(&tree(files))).iter().map(ToString::to_string).collect::<Vec<_>>();
        let good = [
            ("flows/mod.rs", "pub mod a;\nuse a::router;\n"),
            ("flows/a.rs", "use crate::outbox;\n"),
            ("outbox.rs", ""),
        ];
        assert!(lines(&good).is_empty());
        let bad = [
            ("flows/mod.rs", "pub mod a;\npub mod b;\npub fn shared() {}\n"),
            ("flows/a.rs", "use super::b::x;\nuse super::shared;\n"),
            ("flows/b.rs", ""),
            ("effects/mod.rs", "mod send;\n"),
            ("effects/send.rs", "use crate::flows::a::y;\n"),
            ("outbox.rs", "use crate::effects::send::z;\n"),
            ("delivery.rs", "fn f() { crate::flows::a::y() }\n"),
        ];
        let found = lines(&bad);
        assert_eq!(found.len(), 5, "{found:#?}");
        let first = "crates/provider/src/flows/a.rs:1: flows::a imports flows::b: ";
        assert!(found.iter().any(|it| it.starts_with(first)), "{found:#?}");
    }

    #[test]
    fn a_circle_is_seen_with_the_lines_that_close_it() {
        let files = [
            ("a.rs", "use crate::b::X;\n"),
            ("b.rs", "\nuse crate::c::X;\n"),
            ("c.rs", "use crate::d::X;\n"),
            ("d.rs", ""),
        ];
        assert!(circles(&imports(&tree(&files))).is_empty());
        let mut round = files;
        round[2].1 = "use crate::d::X;\nfn f() { crate::a::g() }\n";
        let found = circles(&imports(&tree(&round)));
        let places: Vec<(&str, usize)> =
            found.iter().map(|it| (it.path.rsplit('/').next().expect("a name"), it.line)).collect();
        assert_eq!(places, [("a.rs", 1), ("b.rs", 2), ("c.rs", 2)]);
        assert!(found[0].what.ends_with("in the circle of a, b, c"), "{found:?}");
    }

    #[test]
    fn money_that_does_io_is_seen() {
        let found = money(&tree(&[
            ("ledger.rs", "use jiff::Timestamp;\nuse tradepost_store::Store;\n"),
            ("outbox.rs", "use axum::Router;\n"),
        ]));
        assert_eq!(found.iter().map(|it| it.line).collect::<Vec<_>>(), [2]);
    }
}
