//! `docs/configuration.md`: its table is made of the settings' own.

use std::fmt::Write as _;

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
