//! `tradepost config`, as people call it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tradepost_cli::config::dotenv::Variables;
use tradepost_marketplace::doors::Environment as _;

use crate::support::process::Environment;
use crate::support::release::{FUNCTIONS, function, tradepost};
use crate::support::vercel::{Ipc, Server};

fn config(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(tradepost())
        .arg("config")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An example, as it is printed.
fn example(platform: &str, functions: &[&str]) -> String {
    let mut arguments = vec!["example", "--platform", platform];
    for function in functions {
        arguments.extend(["--function", function]);
    }
    let output = config(&arguments, &[], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn check(platform: &str, arguments: &[&str], file: &str) -> (Option<i32>, String, String) {
    let all: Vec<&str> =
        ["check", "--platform", platform, "--env-file", "-"].iter().chain(arguments).copied().collect();
    let output = config(&all, &[], file);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_example_prints_check_accepts_and_the_functions_start_with() {
    for platform in ["vercel", "lambda", "localhost"] {
        let (code, lines, errors) = check(platform, &[], &example(platform, &[]));
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{platform}: {lines}");
        let wanted: Vec<String> = FUNCTIONS.iter().map(|name| format!("{name:<13}  ok")).collect();
        assert_eq!(lines.lines().collect::<Vec<_>>(), wanted);
    }
    for name in FUNCTIONS {
        let variables = |platform| -> Environment {
            let file = Variables::parse(&example(platform, &[name])).unwrap();
            file.names().map(|name| (name.to_owned(), file.var(name).unwrap())).collect()
        };
        let path = format!("/health/{name}");
        assert_eq!(Ipc::start(function(name), &variables("vercel")).request("GET", &path, &[], b"").status(), 200);
        assert_eq!(
            Server::localhost(function(name), &variables("localhost")).request("GET", &path, &[], b"").status(),
            200
        );
    }
}

#[test]
fn check_tells_each_function_its_problems_and_never_a_value() {
    let good = example("vercel", &[]);
    let lines = good.lines().filter(|line| !line.starts_with("CRON_SECRET="));
    let hushed =
        |line| if str::starts_with(line, "TRADEPOST_KEY_RING=") { "TRADEPOST_KEY_RING=k:hushhush" } else { line };
    let bad: Vec<&str> = lines.map(hushed).chain(["TRADEPOST_KEYRING=typo"]).collect();
    let bad = bad.join("\n");
    let (code, lines, _) = check("vercel", &[], &bad);
    assert_eq!(code, Some(1), "{lines}");
    assert!(!lines.contains("hushhush"), "{lines}");
    assert!(lines.contains("note: no function reads TRADEPOST_KEYRING;"), "{lines}");
    for told in [
        "usage          ok",
        "events         1 problem\n  TRADEPOST_KEY_RING cannot be used by the events function: key 1 ",
        "billing        2 problems\n  TRADEPOST_KEY_RING cannot",
        "\n  CRON_SECRET is not set; the billing function cannot start without it: ",
    ] {
        assert!(lines.contains(told), "{told:?} is not in\n{lines}");
    }
    assert_eq!(check("vercel", &["--function", "usage", "--function", "sso"], &bad).0, Some(0));
    // On AWS the schedule needs no secret, and the platform says who we are.
    let (code, lines, _) = check("lambda", &["--function", "outbox"], &bad);
    assert_eq!((code, lines.matches("cannot").count()), (Some(1), 1), "{lines}");

    let (code, json, _) = check("vercel", &["--json"], &bad);
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, told["ok"].clone(), told["platform"].clone()), (Some(1), false.into(), "vercel".into()));
    assert_eq!(told["functions"]["usage"], serde_json::json!({"ok": true, "problems": []}));
    let problems = told["functions"]["billing"]["problems"].as_array().unwrap();
    let named: Vec<&str> = problems.iter().map(|problem| problem["variable"].as_str().unwrap()).collect();
    assert_eq!(named, ["TRADEPOST_KEY_RING", "CRON_SECRET"]);
    assert!(problems[1]["message"].as_str().unwrap().starts_with("CRON_SECRET is not set;"));
}

#[test]
fn without_a_file_the_environment_is_checked_where_it_is() {
    let file = Variables::parse(&example("localhost", &["usage"])).unwrap();
    let variables: Vec<(&str, String)> = file.names().map(|name| (name, file.var(name).unwrap())).collect();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = |variables: &[(&str, &str)]| config(&["check", "--function", "usage"], variables, "").status.code();
    assert_eq!(run(&variables), Some(0));
    // On Vercel other names count.
    variables.push(("VERCEL", "1"));
    assert_eq!(run(&variables), Some(1));
    variables.pop();
    variables.push(("TRADEPOST_LOG", "infos"));
    assert_eq!(run(&variables), Some(1));
}

#[test]
fn what_cannot_be_read_is_no_problem_of_the_configuration() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing");
    let output = config(&["check", "--env-file", missing.to_str().unwrap()], &[], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("missing cannot be read"), "{}", text(&output.stderr));
    for arguments in [&["check", "--function", "bills"][..], &["check", "--platform", "azure"], &["example", "--what"]]
    {
        assert_eq!(config(arguments, &[], "").status.code(), Some(2), "{arguments:?}");
    }
    let (code, lines, errors) = check("vercel", &[], "A=1\nhush hush\n");
    assert_eq!((code, lines.as_str()), (Some(1), ""));
    assert!(errors.contains("line 2: there is no =") && !errors.contains("hush"), "{errors}");
    let file = directory.path().join("env");
    std::fs::write(&file, example("vercel", &["billing"])).unwrap();
    let arguments = ["check", "--platform", "vercel", "--function", "billing", "--env-file", file.to_str().unwrap()];
    assert_eq!(config(&arguments, &[], "").status.code(), Some(0));
}
