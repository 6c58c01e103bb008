//! How long files, functions and lines may be.

use std::ops::Range;

use crate::allowed::Found;
use crate::source::{Piece, Source, is, is_word, item_end};

pub const FILE_LINES_MAX: usize = 400;
pub const FUNCTION_LINES_MAX: usize = 70;
pub const LINE_CHARS_MAX: usize = 120;
pub const LINE_CHARS_MAX_PROSE: usize = 160;
pub const API_LINES_MAX: usize = 20;

/// A Rust file that has more lines than a reader keeps in mind.
pub fn file(source: &Source) -> Option<Found> {
    let lines = source.text.lines().count();
    let what = format!("a file of {lines} lines; split it by subject, {FILE_LINES_MAX} are the most");
    (lines > FILE_LINES_MAX).then(|| Found::new(source, 1, what))
}

/// The functions that are longer than a screen, from `fn` to the brace that closes them.
pub fn functions(source: &Source) -> Vec<Found> {
    let code = source.code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("fn ") {
        let name: String = source.code[at + 3..].chars().take_while(|it| *it != '(' && *it != '<').collect();
        if (at > 0 && is_word(code[at - 1])) || name.is_empty() || name.contains([' ', ')', ',']) {
            continue;
        }
        let first = source.line(at);
        let lines = source.line(item_end(&source.code, at) - 1) + 1 - first;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("fn {name} has {lines} lines; move a step of it out, {FUNCTION_LINES_MAX} are the most");
            found.push(Found::new(source, first, what));
        }
    }
    found
}

/// The lines that do not fit. Not counted: tables, addresses and code blocks of prose; a sample of JSON or a path of
/// Vercel's, which reads worse in pieces (a long raw string or literal without a space).
pub fn lines(source: &Source) -> Vec<Found> {
    let prose = is(&source.path, "md");
    let max = if prose { LINE_CHARS_MAX_PROSE } else { LINE_CHARS_MAX };
    let mut fenced = false;
    let mut begin = 0;
    let mut found = Vec::new();
    for (nth, line) in source.text.split_inclusive('\n').enumerate() {
        let range = begin..begin + line.len();
        begin = range.end;
        let line = line.trim_end();
        let chars = line.chars().count();
        fenced ^= prose && line.trim_start().starts_with("```");
        let inner = line.trim_start_matches(['/', '!', ' ']);
        let lets_pass =
            inner.starts_with('|') || prose && (fenced || inner.starts_with('<') || line.contains("]: http"));
        if chars > max && !lets_pass && chars.saturating_sub(unbreakable(source, &range)) > max {
            let what = format!("a line of {chars} characters; break it, {max} are the most");
            found.push(Found::new(source, nth + 1, what));
        }
    }
    found
}

/// How many characters of a line are in literals that stay in one piece.
fn unbreakable(source: &Source, line: &Range<usize>) -> usize {
    const LONG: usize = 60;
    let stays = |it: &&Piece| it.text.len() >= LONG && (it.raw || !it.text.contains(' '));
    let literals = source.strings.iter().filter(stays);
    let parts = literals.map(|it| it.at.max(line.start)..(it.at + it.text.len()).min(line.end));
    parts.filter(|part| part.start < part.end).map(|part| source.text[part].chars().count()).sum()
}

/// A file of `api/` that does more than name its flow and its host.
pub fn binary(source: &Source) -> Option<Found> {
    let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
    let what = format!("{lines} lines of code; move them into a crate, {API_LINES_MAX} are the most in api/");
    (lines > API_LINES_MAX).then(|| Found::new(source, 1, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_functions_and_lines_are_seen() {
        let body = "    let brace = '{'; // {\n".repeat(67);
        let good = Source::new("a.rs", &format!("fn a(b: fn (u8) -> u8)\n{{\n{body}}}\n"));
        assert_eq!((file(&good), functions(&good), lines(&good)), (None, vec![], vec![]));
        let bad = Source::new("a.rs", &format!("trait T {{ fn z(); }}\n\nfn a<T>()\n{{\n{body}\n\n}}\nfn b() {{}}\n"));
        let found = functions(&bad);
        assert_eq!((found.len(), found[0].line), (1, 3), "{found:?}");
        assert!(found[0].what.starts_with("fn a has 72 lines"), "{found:?}");
        assert!(file(&Source::new("a.rs", &"\n".repeat(401))).is_some());
        assert!(file(&Source::new("a.rs", &"\n".repeat(400))).is_none());
        let long = lines(&Source::new("a.toml", &format!("{}\n{}\n", "é".repeat(120), "é".repeat(121))));
        assert_eq!((long.len(), long[0].line), (1, 2));
        let (sample, text) = ("{ \"a\": 1 }".repeat(20), "words ".repeat(30));
        let code = format!("//! | {text} |\nlet a = r#\"{sample}\"#;\nlet b = \"{text}\";\n// {text}\n");
        let long = lines(&Source::new("a.rs", &code));
        assert_eq!(long.iter().map(|it| it.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn prose_has_room_and_tables_have_more() {
        let (fits, long) = ("a".repeat(160), "a".repeat(161));
        let page = format!("{fits}\n| {long} |\n```sh\n{long}\n```\n{long}\n");
        let found = lines(&Source::new("a.md", &page));
        assert_eq!(found.iter().map(|it| it.line).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn a_binary_with_a_body_is_seen() {
        let code = "//! Doc.\n\n// note\n".to_owned() + &"let a = 1;\n".repeat(20);
        assert_eq!(binary(&Source::new("api/a.rs", &code)), None);
        assert!(binary(&Source::new("api/a.rs", &(code + "b();\n"))).is_some());
    }
}
