//! `docs/limits.md`: every limit that it names is a constant of that name in that file, of that value.

use std::path::Path;

/// The texts between pairs of backticks, and the one in the last parentheses.
fn row(line: &str) -> Option<(String, String, String)> {
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let (_, file) = line.rsplit_once('(')?;
    let (file, _) = file.split_once(')')?;
    // What is limited may be quoted, too.
    let [.., value, name] = quoted[..] else { return None };
    file.starts_with("crates/").then(|| (value.to_owned(), name.to_owned(), file.to_owned()))
}

#[test]
fn the_limits_that_are_told_are_the_codes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).filter_map(row).collect();
    assert!(rows.len() > 40, "{rows:?}");
    for (value, name, file) in rows {
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let begin = format!("const {name}: ");
        let constant = text.lines().find_map(|line| line.split_once(&begin)).map(|(_, rest)| rest);
        let said = constant.and_then(|rest| rest.strip_suffix(';')).and_then(|rest| rest.split_once(" = "));
        assert_eq!(said.map(|(_, said)| said), Some(value.as_str()), "{name} in {file}");
    }
}
