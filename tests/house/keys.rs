//! Two things that are written down once: the prefixes of the table's keys, and how long anything may take.

use crate::allowed::Found;
use crate::source::{Source, Tree, is_word, item_end};

const PROVIDER: &str = "crates/provider/src/";
/// Where the prefixes of keys are.
const KEYS: &str = "crates/provider/src/state/keys.rs";

/// Literals that begin as a key of the table does (`S#…`), elsewhere than where keys are made.
pub fn prefixes(source: &Source) -> Vec<Found> {
    if !source.path.starts_with(PROVIDER) || source.path == KEYS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for it in source.strings.iter().filter(|it| !source.in_test(it.at)) {
        let letters = it.text.bytes().take_while(u8::is_ascii_uppercase).count();
        if (1..=2).contains(&letters) && it.text[letters..].starts_with('#') {
            let what = format!("\"{}\" is a key of the table; make it in state/keys.rs", it.text);
            found.push(Found::new(source, it.line, what));
        }
    }
    found
}

const SPANS: [&str; 5] = ["from_hours(", "from_mins(", "from_secs(", "from_millis(", ".less("];

/// Spans and margins that are numbers in the middle of the code, not constants with a name.
pub fn margins(source: &Source) -> Vec<Found> {
    if !source.path.starts_with(PROVIDER) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for span in SPANS {
        for (at, _) in source.code.match_indices(span) {
            let written: String = source.code[at..].chars().take_while(|it| *it != ')').collect();
            let value = &written[span.len().min(written.len())..];
            let is_number = value.contains(|it: char| it.is_ascii_digit()) && !value.contains(char::is_alphabetic);
            if is_number && !source.in_test(at) && !in_const(&source.code, at) {
                let what = format!(
                    "`{})` is a margin without a name; make it a constant that says why",
                    written.trim_start_matches('.')
                );
                found.push(Found::new(source, source.line(at), what));
            }
        }
    }
    found.sort_by_key(|it| it.line);
    found
}

/// Whether a place is in the value of a `const` or a `static`.
fn in_const(code: &str, at: usize) -> bool {
    ["const ", "static "].iter().any(|word| {
        let last = code[..at].rfind(word).filter(|it| *it == 0 || !is_word(code.as_bytes()[it - 1]));
        last.is_some_and(|begin| !code[begin..].starts_with("const fn") && item_end(code, begin) > at)
    })
}

/// Both for all of the provider.
pub fn all(tree: &Tree, rule: fn(&Source) -> Vec<Found>) -> Vec<Found> {
    tree.with("rs").flat_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: &[Found]) -> Vec<usize> {
        found.iter().map(|it| it.line).collect()
    }

    #[test]
    fn a_key_that_is_made_elsewhere_is_seen() {
        let code = "let a = \"S#1#\";\nlet b = format!(\"U#{x}\"); // \"E#\"\n\
                    let c = \"a S#\";\nlet d = \"#fff\";\nlet e = \"ABC#\";\n";
        assert_eq!(lines(&prefixes(&Source::new("crates/provider/src/flows/a.rs", code))), [1, 2]);
        assert!(prefixes(&Source::new(KEYS, code)).is_empty());
        assert!(prefixes(&Source::new("crates/cli/src/a.rs", code)).is_empty());
    }

    #[test]
    fn a_margin_without_a_name_is_seen() {
        let code = "const A: Span = Span::from_secs(\n    3);\n\
                    fn f() { let b = Span::from_mins(3); d.less(2); d.less(A); }\n\
                    impl X { pub const B: [u8; 3] = [Span::from_hours(1)]; }\nfn g() { Span::from_secs(24 * HOURS) }\n\
                    #[cfg(test)]\nmod t { fn h() { Span::from_secs(9) } }\n";
        assert_eq!(lines(&margins(&Source::new("crates/provider/src/a.rs", code))), [3, 3]);
    }
}
