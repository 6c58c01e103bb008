//! The command's ways: exit codes, what `dev` prints, what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;
use tradepost_marketplace::http_door::{Http as _, Network};
use tradepost_provider::settings::served_catalog;
use tradepost_rehearsal::development;

fn tradepost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradepost"));
    command.args(arguments).env_remove("TRADEPOST_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn usage_errors_end_with_2_and_failures_with_1() {
    let code = |arguments: &[&str]| tradepost(arguments).output().unwrap().status.code();
    assert_eq!(code(&["bogus"]), Some(2));
    assert_eq!(code(&["demo", "--fault", "vercel:x/1"]), Some(2));
    assert_eq!(code(&["dev", "--provider", "0.0.0.0:0"]), Some(2));
    let missing = tradepost(&["demo", "--usage", "/nonexistent.csv"]).output().unwrap();
    let told = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(told.starts_with("tradepost: the usage file /nonexistent.csv: "), "{told}");
}

#[tokio::test]
async fn dev_says_where_it_is_serves_and_stops_cleanly() {
    let free = "127.0.0.1:0";
    let arguments = ["dev", "--provider", free, "--simulator", free, "--dynamodb", free, "--json"];
    let mut child = tradepost(&arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    let network = Network::new("test").unwrap();
    for (name, path) in [("provider", "/health/tradepost"), ("simulator", "/_sim/health")] {
        let url = format!("{}{path}", addresses[name].as_str().unwrap());
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let response = network.send(request, Duration::from_secs(10)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{name}");
    }
    assert!(addresses["dynamodb"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
}

/// What the functions refuse is not sold here, either.
#[test]
fn a_catalog_with_plans_that_are_not_served_is_refused() {
    served_catalog(development::CATALOG).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("catalog.toml");
    let refused = |text: String| {
        std::fs::write(&file, text).unwrap();
        let output = tradepost(&["demo", "--catalog", file.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = refused(format!("{}\nnonsense", development::CATALOG));
    assert!(told.starts_with("tradepost: the catalog /") && told.contains("catalog.toml: "), "{told}");
    let unserved = development::CATALOG.replacen("scope = \"resource\"", "scope = \"installation\"", 1);
    let told = refused(unserved);
    assert!(told.contains("not served yet"), "{told}");
}

/// The lines that `dev` prints to start with, in a shell as it is: install, an hour, a look.
#[test]
fn the_lines_that_dev_prints_work_when_they_are_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no curl here, so the lines that dev prints were not run");
        return;
    }
    let free = "127.0.0.1:0";
    let arguments = ["dev", "--provider", free, "--simulator", free, "--dynamodb", free];
    let mut child = tradepost(&arguments).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let welcome: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let curls: Vec<&str> = welcome.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl ")).collect();
    let answers: Vec<Value> = curls
        .iter()
        .map(|line| {
            let output = Command::new("sh").args(["-c", line]).output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"))
        })
        .collect();
    let [installed, hour, state] = &answers[..] else { panic!("three lines to paste: {welcome:#?}") };
    let installation = installed["installationId"].as_str().unwrap_or_else(|| panic!("{installed}"));
    assert!(hour["now"].as_str().is_some_and(|now| now.starts_with("2027-01-01T01:00:")), "{hour}");
    assert_eq!(state["installations"][0]["id"], installation, "{state}");
    for name in ["provider ", "simulator ", "dynamodb "] {
        assert!(welcome.iter().any(|line| line.trim().starts_with(name)), "{name}: {welcome:#?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
