//! What comments and pages point at: sections of the protocol reference, files, headings.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowed::Found;
use crate::source::{Source, Tree, is};

/// The ids of the reference's headings (`## A. …`, `### **A.13** …`, `### B.12 / B.13 …`) and of the rows of its
/// tables that begin with one (`| K.3 | …`).
pub fn sections(page: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (level, title) in headings(page) {
        if (1..=4).contains(&level) {
            for word in title.split([' ', '/', ',']).map(|word| word.trim_matches(['*', '.', ':', '`'])) {
                match section(word) {
                    Some(id) if id.len() == word.len() => ids.insert(id),
                    _ if word.is_empty() || word == "and" => continue,
                    _ => break,
                };
            }
        }
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split(" |").next());
    let ids_of_rows = first.filter(|cell| cell.len() > 1 && section(cell).is_some_and(|id| id.len() == cell.len()));
    ids.extend(ids_of_rows.map(str::to_owned));
    ids
}

/// The id at the beginning of a text: a letter from A to M, and a number behind a dot.
fn section(text: &str) -> Option<String> {
    let letter = text.chars().next().filter(|it| ('A'..='M').contains(it))?;
    let number: String = match text[1..].strip_prefix('.') {
        Some(rest) => rest.chars().take_while(char::is_ascii_digit).collect(),
        None => String::new(),
    };
    let id = if number.is_empty() { letter.to_string() } else { format!("{letter}.{number}") };
    let ends = text[id.len()..].chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_');
    ends.then_some(id)
}

/// The sections that a line cites: `spec A.13`, `spec A.13, A.14 and F`.
fn cited(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (at, _) in line.match_indices("spec ") {
        if line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let mut rest = &line[at + "spec ".len()..];
        while let Some(id) = section(rest) {
            rest = &rest[id.len()..];
            ids.push(id);
            let between = [", ", " and ", " or ", "/", " / ", ", and "]
                .into_iter()
                .find(|it| rest.strip_prefix(*it).is_some_and(|next| section(next).is_some_and(|id| id.len() > 1)));
            let Some(between) = between else { break };
            rest = &rest[between.len()..];
        }
    }
    ids
}

/// The citations of a section that the reference does not have.
pub fn citations(source: &Source, sections: &BTreeSet<String>) -> Vec<Found> {
    let mut found = Vec::new();
    for (nth, line) in source.text.lines().enumerate() {
        for id in cited(line).into_iter().filter(|id| !sections.contains(id)) {
            let what = format!("spec {id} is no section of docs/protocol.md; cite the one that has the rule");
            found.push(Found::new(source, nth + 1, what));
        }
    }
    found
}

/// The headings of a page with their levels; what is in code blocks is none.
fn headings(page: &str) -> Vec<(usize, &str)> {
    let prose = prose_lines(page).into_iter().map(|(_, line)| line);
    let titles = prose.filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#');
        (line.len() - title.len(), title)
    });
    titles.filter(|(_, title)| title.starts_with(' ')).map(|(level, title)| (level, title.trim())).collect()
}

/// The lines of a page that are not in a code block, from one.
pub fn prose_lines(page: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (nth, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((nth + 1, line));
        }
    }
    lines
}

/// The anchors of a page, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, title) in headings(page) {
        let shown = without_targets(title);
        let kept = shown.chars().filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_' | ' '));
        let slug: String = kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect();
        let before = seen.entry(slug.clone()).or_default();
        anchors.insert(if *before == 0 { slug.clone() } else { format!("{slug}-{before}") });
        *before += 1;
    }
    anchors
}

/// A title without what its links lead to.
fn without_targets(title: &str) -> String {
    let mut shown = String::new();
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("](") {
        shown.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    shown + rest
}

/// What the links of a line lead to.
fn targets(line: &str) -> Vec<String> {
    let mut plain = String::new();
    for (nth, part) in line.split('`').enumerate() {
        plain.push_str(if nth % 2 == 0 { part } else { "code" });
    }
    let inline = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut targets: Vec<String> =
        inline.map(|it| it.split_whitespace().next().unwrap_or_default().to_owned()).collect();
    let label = plain.split_once("]: ").filter(|(label, _)| label.starts_with('['));
    targets.extend(label.map(|(_, target)| target.trim().to_owned()));
    targets
}

/// The links of a page that lead nowhere.
pub fn links(tree: &Tree, source: &Source) -> Vec<Found> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (line, text) in prose_lines(&source.text) {
        for target in targets(text) {
            if target.contains("://") || target.starts_with("mailto:") || target.is_empty() {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((target.as_str(), None), |(file, it)| (file, Some(it)));
            let path = if file.is_empty() { source.path.clone() } else { joined(folder, file) };
            if !tree.has(&path) {
                found.push(Found::new(source, line, format!("the link {target} leads to {path}, which is not there")));
            } else if let (Some(anchor), Some(page)) = (anchor, tree.0.iter().find(|it| it.path == path)) {
                let anchors = anchors(&page.text);
                if is(&path, "md") && !anchors.contains(anchor) {
                    let all = anchors.into_iter().collect::<Vec<_>>().join(", ");
                    let what = format!("the link {target}: {path} has no heading #{anchor}, it has {all}");
                    found.push(Found::new(source, line, what));
                }
            }
        }
    }
    found
}

fn joined(folder: &str, file: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// The pages whose links are looked up.
pub fn is_page(path: &str) -> bool {
    is(path, "md") && !path.starts_with("fuzz/") && !path.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_of_no_section_is_seen() {
        let page = "# The protocol\n## A. What we call\n### **A.13** Submit\n### B.12 / B.13 List plans\n#### `F` Money\n\
                    | K.3 | a question |\n| H | x |\n";
        let sections = sections(page);
        assert_eq!(sections.iter().map(String::as_str).collect::<Vec<_>>(), ["A", "A.13", "B.12", "B.13", "F", "K.3"]);
        let good = Source::new(
            "a.rs",
            "// (spec A.13, B.12 and F); spec A. A rule; spec B.13: \"spec A.13\", a spec Assembly, inspec Z.9\n",
        );
        assert_eq!(citations(&good, &sections), []);
        let bad = Source::new("a.rs", "// spec A.13\n// as spec A.14 and B.1 say\n// spec C\n");
        let found: Vec<String> = citations(&bad, &sections).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("a.rs:2: spec A.14 is no section"), "{found:?}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_seen() {
        let good = "# The `one` page: a [link](x.md)\n## Twice\n## Twice\n[a](#the-one-page-a-link)\n\
                    [b](../r/other.md#a-b_c)\n\
                    [c](#twice-1) `[d](nowhere.md)` [e](https://e) [f](Cargo.toml)\n```\n[g](nowhere.md)\n```\n";
        let other = Source::new("r/other.md", "### A b_c!\n");
        let of = |page: &str| {
            let tree = Tree::new(vec![
                Source::new("docs/p.md", page),
                Source::new("r/other.md", &other.text),
                Source::new("docs/Cargo.toml", ""),
                Source::new("docs/x.md", ""),
            ]);
            links(&tree, &tree.0[0]).iter().map(|it| it.line).collect::<Vec<_>>()
        };
        assert_eq!(of(good), [0_usize; 0]);
        assert_eq!(of("[a](gone.md)\n\n[b](#gone) and [c](../r/other.md#gone)\n\n[d]: gone.md\n"), [1, 3, 3, 5]);
    }
}
