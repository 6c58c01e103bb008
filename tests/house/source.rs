//! The source tree as the rules see it: each file with its code apart from its comments and strings.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use crate::lexer::Lexer;

/// A text that stands in a file.
#[derive(Debug)]
pub struct Piece {
    /// Where it begins, in bytes.
    pub at: usize,
    /// Its line, from one.
    pub line: usize,
    /// A comment without its marks, or a string without its quotes.
    pub text: String,
    /// A raw string: it cannot be broken without another value.
    pub raw: bool,
}

/// What kind of comment a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `///`, `//!`, `/** */`
    Doc,
    /// Any other.
    Note,
}

/// One file.
#[derive(Debug)]
pub struct Source {
    /// From the repository's root, with slashes.
    pub path: String,
    /// As it is on the disk.
    pub text: String,
    /// The same bytes, but what is in comments and strings is blank. (The whole text if it is not Rust.)
    pub code: String,
    /// The string literals.
    pub strings: Vec<Piece>,
    /// The comments, one a line.
    pub comments: Vec<(Kind, Piece)>,
    /// The parts that are built for tests only.
    pub tests: Vec<Range<usize>>,
    /// Where its lines begin.
    lines: Vec<usize>,
}

impl Source {
    /// Reads a text.
    pub fn new(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: text.to_owned(),
            strings: Vec::new(),
            comments: Vec::new(),
            tests: Vec::new(),
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
        };
        if is(path, "rs") {
            Lexer::run(text, &mut source);
            source.tests = test_items(&source.code);
        }
        source
    }

    /// The line of a byte, from one.
    pub fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }

    /// Whether a byte is in a part that is built for tests only.
    pub fn in_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }
}

/// Whether a path ends in an extension.
pub fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

/// All files of the repository that a rule looks at.
pub struct Tree(pub Vec<Source>);

const SKIPPED: [&str; 5] = ["target", "node_modules", "corpus", "artifacts", ".git"];
const KINDS: [&str; 4] = ["rs", "md", "toml", "sh"];

impl Tree {
    /// The repository, read once.
    pub fn read() -> &'static Self {
        static TREE: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
        TREE.get_or_init(Self::of_the_repository)
    }

    fn of_the_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        collect(root, "", &mut files);
        files.sort();
        let read = |path: &String| std::fs::read_to_string(root.join(path)).expect("a file that was just listed");
        Self::new(files.iter().map(|path| Source::new(path, &read(path))).collect())
    }

    /// Of sources; files that only a `#[cfg(test)] mod` names are tests as a whole.
    pub fn new(mut sources: Vec<Source>) -> Self {
        let for_tests: BTreeSet<String> = sources.iter().flat_map(test_files).collect();
        for source in &mut sources {
            let named = for_tests.contains(&source.path);
            let below = for_tests.iter().any(|it| {
                let folder = it.trim_end_matches(".rs").trim_end_matches("/mod");
                source.path.starts_with(&format!("{folder}/"))
            });
            let by_place = source.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
            if named || below || by_place {
                let whole = 0..source.text.len();
                source.tests.push(whole);
            }
        }
        Self(sources)
    }

    /// The files with an extension.
    pub fn with(&self, extension: &str) -> impl Iterator<Item = &Source> {
        self.0.iter().filter(move |source| is(&source.path, extension))
    }

    /// Whether a path is there: a file that the rules read, or any other.
    pub fn has(&self, path: &str) -> bool {
        self.0.iter().any(|source| source.path == path) || Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
    }
}

fn collect(root: &Path, below: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(below)).expect("a folder of the repository") {
        let entry = entry.expect("an entry of a folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let hidden = name.starts_with('.') && name != ".ci" && name != ".cargo";
        if entry.path().is_dir() {
            if !hidden && !SKIPPED.contains(&name.as_str()) {
                collect(root, &path, files);
            }
        } else if KINDS.iter().any(|kind| is(&path, kind)) || path.starts_with(".ci/") && !name.contains('.') {
            files.push(path);
        }
    }
}

/// Whether a byte may be in an identifier.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of an item that begins somewhere in code: behind its `;`, or behind the brace that closes its block.
pub fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_i32;
    let mut braced = false;
    for (at, byte) in code.as_bytes().iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' => {
                braced |= depth == 0;
                depth += 1;
            }
            b'}' => {
                depth -= 1;
                if depth <= 0 && braced {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The items under `#[cfg(test)]`, and `#[cfg(all(test, …))]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    for (begin, _) in code.match_indices("#[cfg(") {
        let close = code[begin..].find(']').map_or(code.len(), |at| begin + at + 1);
        let condition = &code[begin..close];
        if condition.starts_with("#[cfg(test)") || condition.starts_with("#[cfg(all(test") {
            let mut after = close;
            while code[after..].trim_start().starts_with("#[") {
                after += code[after..].find(']').map_or(code.len() - after, |at| at + 1);
            }
            items.push(begin..item_end(code, after));
        }
    }
    items
}

/// The files of the modules that a file declares for tests only.
fn test_files(source: &Source) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let base = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        other => format!("{folder}/{}", other.trim_end_matches(".rs")),
    };
    let mut files = Vec::new();
    for range in &source.tests {
        let item = source.code[range.clone()].trim_end();
        let name = item.strip_suffix(';').and_then(|it| it.split_whitespace().rev().take(2).last().zip(Some(it)));
        if let Some(("mod", item)) = name {
            let name = item.split_whitespace().next_back().unwrap_or_default();
            files.push(format!("{base}/{name}.rs"));
            files.push(format!("{base}/{name}/mod.rs"));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_tests_is_known() {
        let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod b { fn c() {} }\nfn d() {}\n#[cfg(test)]\nmod e;\n";
        let tree = Tree::new(vec![
            Source::new("s/f.rs", text),
            Source::new("s/f/e.rs", "fn g() {}"),
            Source::new("s/f/e/h.rs", "fn i() {}"),
            Source::new("s/f/j.rs", "fn k() {}"),
        ]);
        let in_test = |nth: usize, word: &str| tree.0[nth].in_test(tree.0[nth].text.find(word).expect("the word"));
        assert!(!in_test(0, "fn a") && in_test(0, "fn c") && !in_test(0, "fn d"));
        assert!(in_test(1, "fn g") && in_test(2, "fn i") && !in_test(3, "fn k"));
    }
}
