//! What a file of the provider names of its own crate: in `use`s, in paths, and through the names that these bring in.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::source::{Source, is_word};

/// The crate whose rooms the rules know.
pub const ROOT: &str = "crates/provider/src/";

/// A path in the code, from the crate's root.
pub type Path = Vec<String>;

/// A token: a word, `::`, or any other byte, with its place.
pub type Token<'a> = (usize, &'a str);

pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        if is_word(bytes[at]) {
            while at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
        } else if bytes[at..].starts_with(b"::") {
            at += 2;
        } else {
            at += 1;
        }
        if !bytes[begin].is_ascii_whitespace() {
            tokens.push((begin, &code[begin..at]));
        }
    }
    tokens
}

/// The module that a file is.
pub fn module(path: &str) -> Path {
    let inner = path.strip_prefix(ROOT).unwrap_or(path).trim_end_matches(".rs");
    let parts = inner.split('/').filter(|part| !matches!(*part, "mod" | "lib"));
    parts.map(str::to_owned).collect()
}

/// All paths that a `use` names, each with the name it has afterwards.
fn use_tree(tokens: &[Token], at: &mut usize, prefix: &Path, out: &mut Vec<(usize, Path, String)>) {
    let mut path = prefix.clone();
    let begin = tokens.get(*at).map_or(0, |token| token.0);
    while let Some((_, token)) = tokens.get(*at) {
        match *token {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token.1 != "}") {
                    use_tree(tokens, at, &path, out);
                    if tokens.get(*at).is_some_and(|token| token.1 == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "," | "}" | ";" => break,
            "as" => {
                let name = tokens.get(*at + 1).map_or("_", |token| token.1).to_owned();
                *at += 2;
                out.push((begin, path, name));
                return;
            }
            "::" => *at += 1,
            "self" if !path.is_empty() => *at += 1,
            word => {
                path.push(word.to_owned());
                *at += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    out.push((begin, path, name));
}

/// A path as written, from the root: `None` if it does not begin in this crate.
fn resolve(written: &[String], module: &Path, names: &BTreeMap<String, Path>) -> Option<Path> {
    let mut base = match written.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        first => names.get(first)?.clone(),
    };
    let mut rest = written;
    match written[0].as_str() {
        "super" => {
            while rest.first().is_some_and(|it| it == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => rest = &rest[1..],
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// What a file names of this crate.
#[derive(Default)]
pub struct Paths {
    /// In a `use`, or written out from `crate`, `super` or `self`, with the place.
    pub written: Vec<(usize, Path)>,
    /// Through a name that a `use` or a `mod` brought in.
    pub through: Vec<(usize, Path)>,
    /// What each of these names stands for.
    pub names: BTreeMap<String, Path>,
}

/// Reads a file for what it names of this crate.
pub fn paths(source: &Source) -> Paths {
    let module = module(&source.path);
    let tokens: Vec<Token> = tokens(&source.code).into_iter().filter(|token| !source.in_test(token.0)).collect();
    let mut paths = Paths::default();
    let in_uses = uses(&tokens, &module, &mut paths);
    let mut nth = 0;
    while nth < tokens.len() {
        let before = |back: usize| nth.checked_sub(back).map_or("", |at| tokens[at].1);
        let mut end = nth;
        let mut written = vec![tokens[nth].1.to_owned()];
        let is_name = |at: usize| tokens.get(at).is_some_and(|it| is_word(it.1.as_bytes()[0]));
        while tokens.get(end + 1).is_some_and(|it| it.1 == "::") && is_name(end + 2) {
            written.push(tokens[end + 2].1.to_owned());
            end += 2;
        }
        let visibility = before(1) == "in" && before(2) == "(";
        let in_use = in_uses.iter().any(|range| range.contains(&nth));
        let is_path = written.len() > 1 && !matches!(before(1), "::" | ".") && !visibility && !in_use;
        if let Some(path) = is_path.then(|| resolve(&written, &module, &paths.names)).flatten() {
            let from_here = matches!(written[0].as_str(), "crate" | "super" | "self");
            let list = if from_here { &mut paths.written } else { &mut paths.through };
            list.push((tokens[nth].0, path));
        }
        nth = end + 1;
    }
    paths
}

/// Reads the `use`s and `mod`s of a file; gives the tokens that the `use`s are.
fn uses(tokens: &[Token], module: &Path, paths: &mut Paths) -> Vec<Range<usize>> {
    let mut named = Vec::new();
    let mut ranges = Vec::new();
    for (nth, (_, token)) in tokens.iter().enumerate() {
        let word = |ahead: usize| tokens.get(nth + ahead).map_or("", |token| token.1);
        if *token == "mod" && matches!(word(2), ";" | "{") {
            let mut child = module.clone();
            child.push(word(1).to_owned());
            paths.names.insert(word(1).to_owned(), child);
        }
        let begins = nth == 0 || matches!(tokens[nth - 1].1, ";" | "}" | "{" | "]" | ")" | "pub");
        if *token == "use" && begins && word(1) != "<" {
            let mut at = nth + 1;
            use_tree(tokens, &mut at, &Vec::new(), &mut named);
            ranges.push(nth..at);
        }
    }
    for (at, written, name) in named {
        if let Some(path) = resolve(&written, module, &paths.names) {
            paths.names.insert(name, path.clone());
            paths.written.push((at, path));
        }
    }
    ranges
}
