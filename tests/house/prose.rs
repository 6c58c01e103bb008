//! Turns that make a reader read twice ("Prose" of the conventions), as far as a list can tell.
//!
//! Looked for in pages, in doc comments and in what the code says (string literals outside tests). What was there
//! before the rule is counted in `tests/house/left.txt`, a file a line, and may only get less.

use crate::allowed::Found;
use crate::cites::prose_lines;
use crate::source::{Kind, Source, is};

/// A turn as a pattern, and what to write instead. `|` is between words that may stand there, `*` is any one word.
const TURNS: &[(&str, &str)] = &[
    ("is|are|was|were|be|been|being told", "say who tells whom: \"we tell Vercel\""),
    ("comes|come|came|coming to be", "\"becomes\", \"starts\", \"takes effect\""),
    ("comes|come|came|coming again", "\"Vercel retries\", \"is repeated\""),
    ("is|are|was|were|be|been taken back", "\"we undo\""),
    ("of which|whom the|it|they", "split the sentence, or \"whose\""),
    ("in vain", "\"fails\", \"without success\""),
    ("never came|comes|come back|again", "\"never retries\""),
    ("caller|nobody|one repeats|repeat|came|comes back", "\"nobody retries\""),
    ("anew", "\"again\""),
    ("once more", "\"again\""),
    ("for ever", "\"permanently\", \"for good\""),
    ("is|are none that", "\"must be one of: …\""),
    ("may have told", "\"after an answer was lost\""),
    ("as they do it", "\"the way each does\""),
    ("from where it is|was", "name the place"),
    ("should an|a|it|they|anybody|nobody|everything have|be|come|fail", "\"if …\""),
    ("it never will", "\"it will never\""),
    ("that is owed", "name it: \"the effect\", \"what we owe Vercel\""),
    ("what * * does|do is", "subject, verb, object"),
    ("is|are gone already", "\"no longer exists\""),
    ("mended", "\"fixed\""),
    ("whereof|thereof|whereby|thereby|wherein|therein|herein|whence|thence|lest", "the common word"),
];

/// A word as it is compared, without what stands around it.
fn plain(word: &str) -> String {
    word.trim_matches(|it: char| !it.is_alphanumeric()).to_lowercase()
}

/// The turns in a run of words, each with the line where it begins.
fn turns(words: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (turn, instead) in TURNS {
        let pattern: Vec<&str> = turn.split(' ').collect();
        for run in words.windows(pattern.len()) {
            let fits = |(word, (_, is)): (&&str, &(usize, String))| *word == "*" || word.split('|').any(|it| it == is);
            if pattern.iter().zip(run).all(fits) {
                let said: Vec<&str> = run.iter().map(|(_, word)| word.as_str()).collect();
                found.push((run[0].0, format!("\"{}\": write {instead}", said.join(" "))));
            }
        }
    }
    found.sort();
    found
}

/// Words with their lines; a full stop or an empty line ends a run, so that no turn goes over it.
fn words<'a>(lines: impl IntoIterator<Item = (usize, &'a str)>) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut last = 0;
    for (line, text) in lines {
        if text.trim().is_empty() || line > last + 1 {
            words.push((line, ".".to_owned()));
        }
        last = line;
        for word in text.split_whitespace() {
            words.push((line, plain(word)));
            if word.ends_with(['.', ':', ';', '?', '!', '|']) {
                words.push((line, ".".to_owned()));
            }
        }
    }
    words
}

/// The turns of a page or a source.
pub fn turns_of(source: &Source) -> Vec<Found> {
    let mut all = if is(&source.path, "md") {
        turns(&words(prose_lines(&source.text)))
    } else {
        let docs =
            source.comments.iter().filter(|(kind, _)| *kind == Kind::Doc).map(|(_, it)| (it.line, it.text.as_str()));
        let mut all = turns(&words(docs));
        for said in source.strings.iter().filter(|said| !source.in_test(said.at)) {
            all.extend(turns(&words(std::iter::once((said.line, said.text.as_str())))));
        }
        all
    };
    all.sort();
    all.into_iter().map(|(line, what)| Found::new(source, line, what)).collect()
}

/// Words of a comment that say nothing by themselves.
const EMPTY: [&str; 27] = [
    "", "a", "an", "the", "its", "their", "his", "it", "this", "that", "which", "whose", "when", "why", "who", "whom",
    "what", "where", "how", "many", "much", "long", "of", "is", "are", "was", "in",
];

/// Comments of fields that say no more than the field's name.
pub fn empty_comments(source: &Source) -> Vec<Found> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (nth, line) in lines.iter().enumerate() {
        let Some(said) = line.trim_start().strip_prefix("/// ") else { continue };
        let above = nth > 0 && lines[nth - 1].trim_start().starts_with("///");
        let after = lines[nth + 1..].iter().map(|line| line.trim()).find(|line| !line.starts_with("#["));
        let Some(name) = after.and_then(field).filter(|_| !above) else { continue };
        let of_name: Vec<String> = name.split('_').map(|word| word.trim_end_matches('s').to_lowercase()).collect();
        let adds = |word: &str| {
            let word = plain(word);
            !EMPTY.contains(&word.as_str()) && !of_name.iter().any(|it| it == word.trim_end_matches('s'))
        };
        if !said.split_whitespace().any(adds) {
            let what = format!(
                "\"{said}\" says no more than `{name}`: say what the reader needs (unit, source, when it is absent)"
            );
            found.push(Found::new(source, nth + 1, what));
        }
    }
    found
}

/// The name of the field that a line declares.
fn field(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) if rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    };
    let (name, _) = rest.split_once(": ")?;
    let is_name =
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    (is_name && line.ends_with(',')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_read_twice_is_seen() {
        let code = "/// What Vercel is\n/// told; if it\n/// is. Told apart.\n// in vain\n\
                    const A: &str = \"tried in vain\";\n\
                    #[cfg(test)]\nmod t { const B: &str = \"in vain\"; }\n";
        let found: Vec<String> = turns_of(&Source::new("a.rs", code)).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.rs:1: \"is told\": write say who tells whom: \"we tell Vercel\"",
                "a.rs:5: \"in vain\": write \"fails\", \"without success\"",
            ]
        );
        let page = "A plan Comes to be.\n\n```sh\n# in vain\n```\n| it is taken | back, *anew* |\n";
        let lines: Vec<usize> = turns_of(&Source::new("a.md", page)).iter().map(|it| it.line).collect();
        assert_eq!(lines, [1, 6]);
    }

    #[test]
    fn a_comment_that_only_repeats_the_name_is_seen() {
        let code = "struct A {\n    /// Whose.\n    pub installation: Id,\n    /// Its key.\n    #[serde(x)]\n\
                    keys: Key,\n\n    /// Its key, from the table.\n    key: Key,\n\
                    /// The answer;\n    /// a second line.\n    answer: A,\n}\n\
                    /// Its key.\nfn key() {}\n";
        let lines: Vec<usize> = empty_comments(&Source::new("a.rs", code)).iter().map(|it| it.line).collect();
        assert_eq!(lines, [2, 4]);
    }
}
