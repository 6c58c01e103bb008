//! What the rules let pass, by name and with a reason, and how much of it is left from before the rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::source::Source;

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file, from the root.
    pub path: String,
    /// From one.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Found {
    /// At a line of a source.
    pub fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, what: what.into() }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Fails with everything that was found.
pub fn report(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}: {} violations\n{}\n", found.len(), found.join("\n"));
}

/// A named exception: the file, a word that the finding holds, and the reason.
pub type Exception = (&'static str, &'static str, &'static str);

/// What is left of what was found when the exceptions are taken out, and the exceptions that nothing needs.
pub fn without(exceptions: &[Exception], found: &[Found]) -> Vec<String> {
    let excuses = |exception: &Exception, found: &Found| found.path == exception.0 && found.what.contains(exception.1);
    let mut left: Vec<String> = found
        .iter()
        .filter(|it| !exceptions.iter().any(|exception| excuses(exception, it)))
        .map(ToString::to_string)
        .collect();
    for exception in exceptions {
        assert!(!exception.2.is_empty(), "an exception without a reason: {}", exception.0);
        if !found.iter().any(|it| excuses(exception, it)) {
            left.push(format!("{}: the exception \"{}\" is no longer needed; remove it", exception.0, exception.1));
        }
    }
    left
}

/// What was there before a rule was: `rule count path` a line. A count may only go down.
const LEFT: &str = "tests/house/left.txt";

/// What is more than was left, and what is less: then the number must go down with it.
pub fn beyond(rule: &str, left: &str, found: &[Found]) -> Vec<String> {
    let mut counts: BTreeMap<&str, (usize, Vec<&Found>)> = BTreeMap::new();
    for line in left.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(of), Some(count), Some(path)) = (words.next(), words.next(), words.next()) else {
            panic!("{LEFT}: not `rule count path`: {line}");
        };
        if of == rule {
            counts.entry(path).or_default().0 = count.parse().expect("a count");
        }
    }
    for it in found {
        counts.entry(&it.path).or_default().1.push(it);
    }
    let mut beyond = Vec::new();
    for (path, (left, found)) in counts {
        if found.len() > left {
            let were = if left == 0 { String::new() } else { format!(" ({left} of these were there before)") };
            beyond.extend(found.iter().map(|it| format!("{it}{were}")));
        } else if found.len() < left {
            let now = found.len();
            beyond.push(format!("{LEFT}: {path} has {now} of \"{rule}\" now, not {left}; lower the number"));
        }
    }
    beyond
}

/// The same for the repository. Where lines moved from file to file, the list that would be right is written
/// beside the build, to be looked at and copied.
pub fn beyond_what_is_left(rule: &str, found: &[Found]) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(LEFT);
    let left = std::fs::read_to_string(path).expect("the list of what is left");
    let mut beyond = beyond(rule, &left, found);
    if !beyond.is_empty() {
        let mut right: BTreeMap<&str, usize> = BTreeMap::new();
        for it in found {
            *right.entry(&it.path).or_default() += 1;
        }
        let lines = right.iter().fold(String::new(), |mut lines, (path, count)| {
            let _ = writeln!(lines, "{rule} {count} {path}");
            lines
        });
        let beside = std::path::Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target"));
        let place = beside.join(format!("house-{rule}.txt"));
        if std::fs::write(&place, lines).is_ok() {
            let place = place.display();
            beyond.push(format!("(if text only moved: the lines of {LEFT} for this tree are in {place})"));
        }
    }
    beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, what: &str) -> Found {
        Found { path: path.to_owned(), line: 3, what: what.to_owned() }
    }

    #[test]
    fn an_exception_excuses_what_it_names_and_must_be_needed() {
        let exceptions = [("a.rs", "file", "it is one table"), ("c.rs", "file", "gone by now")];
        let left = without(&exceptions, &[found("a.rs", "file of 500"), found("b.rs", "file of 500")]);
        assert_eq!(left, ["b.rs:3: file of 500", "c.rs: the exception \"file\" is no longer needed; remove it"]);
    }

    #[test]
    fn what_is_left_may_only_go_down() {
        let left = "# a note\nturn 1 a.rs\nturn 2 b.rs\nturn 1 c.rs\nother 9 d.rs\n";
        let now = [found("a.rs", "x"), found("a.rs", "y"), found("b.rs", "x"), found("c.rs", "x"), found("e.rs", "z")];
        assert_eq!(
            beyond("turn", left, &now),
            [
                "a.rs:3: x (1 of these were there before)",
                "a.rs:3: y (1 of these were there before)",
                "tests/house/left.txt: b.rs has 1 of \"turn\" now, not 2; lower the number",
                "e.rs:3: z",
            ]
        );
    }
}
