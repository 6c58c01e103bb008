//! What the documentation has of the code: the table of variables, and the tests that show the promises.

use std::fmt::Write as _;
use std::path::Path;

use tradepost_provider::settings::{Function, Platform, Presence, VARIABLES, Variable};

const BEGIN: &str = "<!-- The table is the code's: `cargo test --test config` prints it when they differ. -->\n";
const END: &str = "<!-- End of the table. -->\n";

fn whom(variable: &Variable) -> String {
    let needs = |function: &Function| variable.concerns.iter().any(|concern| function.needs(*concern));
    let (with, without): (Vec<Function>, Vec<Function>) = Function::ALL.into_iter().partition(needs);
    let names = |functions: Vec<Function>| functions.into_iter().map(Function::name).collect::<Vec<_>>().join(", ");
    let whom = match without.len() {
        0 => "all".to_owned(),
        1 | 2 => format!("all but {}", names(without)),
        _ => names(with),
    };
    let platforms: Vec<&str> = variable.platforms.iter().map(|platform| platform.name()).collect();
    let place = if platforms.len() == Platform::ALL.len() {
        String::new()
    } else {
        format!("; on {}", platforms.join(" and "))
    };
    let optional = if variable.presence == Presence::Optional { "optional; " } else { "" };
    format!("{optional}{whom}{place}")
}

fn table() -> String {
    let head = "| variable | needed by | what |\n| --- | --- | --- |\n".to_owned();
    VARIABLES.iter().fold(head, |mut table, variable| {
        let set_by: Vec<&str> = variable.set_by.iter().map(|platform| platform.name()).collect();
        let set_by = if set_by.is_empty() { String::new() } else { format!("; {} sets it", set_by.join(", ")) };
        let _ = writeln!(table, "| `{}` | {} | {}{set_by} |", variable.name, whom(variable), variable.what);
        table
    })
}

#[test]
fn the_table_of_the_documentation_is_the_codes() {
    let page = include_str!("../../docs/configuration.md");
    let (_, rest) = page.split_once(BEGIN).expect("the table's begin");
    let (written, _) = rest.split_once(END).expect("the table's end");
    let table = table();
    assert!(written == table, "docs/configuration.md has another table than the code:\n{table}");
}

/// All Rust source under a path of the repository.
fn sources(path: &Path) -> String {
    if path.is_file() {
        return std::fs::read_to_string(path).expect("a source");
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_dir() || path.extension().is_some_and(|it| it == "rs")).map(|it| sources(&it)).collect()
}

/// Each promise names a place and tests in it, and those are there.
#[test]
fn each_promise_is_shown_by_a_test_that_exists() {
    let page = include_str!("../../docs/reliability.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| **") || line.starts_with("| … ")).collect();
    assert!(rows.len() >= 12, "the table of promises is not found");
    for row in rows {
        let mut place = String::new();
        let mut tests = 0;
        let shown_by = row.rsplit('|').nth(1).expect("two columns");
        for quoted in shown_by.split('`').skip(1).step_by(2) {
            if quoted.contains('/') {
                place = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(quoted));
            } else {
                let is_there = ['(', '<'].iter().any(|after| place.contains(&format!("fn {quoted}{after}")));
                let is_macro =
                    quoted.ends_with('!') && place.contains(&format!("macro_rules! {}", quoted.trim_end_matches('!')));
                assert!(is_there || is_macro, "{quoted} is not there: {row}");
                tests += 1;
            }
        }
        assert!(tests > 0, "nothing shows it: {row}");
    }
}
