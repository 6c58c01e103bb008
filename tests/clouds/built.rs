//! What the clouds' own tools built: `.vercel/output` and `.aws-sam/build`. `.ci/full` makes both and runs these tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fancy_regex::Regex;
use serde_json::Value;

use crate::support::vercel::Ipc;
use crate::template::{file, logical, text};
use crate::vercel::{rewritten, schedules};
use crate::{FUNCTIONS, aws, events, routes};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn output() -> PathBuf {
    file(".vercel/output")
}

/// Every file below a folder, as paths relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

/// The executable of a function, as the output names it.
fn executable(name: &str) -> PathBuf {
    let configuration = json(&output().join(format!("functions/api/{name}.func/.vc-config.json")));
    let from_root = text(&configuration["filePathMap"][text(&configuration["handler"])]);
    assert_eq!(configuration["filePathMap"].as_object().unwrap().len(), 1, "{name} has more than its binary");
    file(from_root)
}

/// Where Vercel leads a path, by the output's own routes: the phases in their order, each route's pattern in its; a
/// destination is looked up among files and functions at once (`check`).
fn leads(configuration: &Value, path: &str) -> Option<String> {
    let present = |path: &str| {
        let name = path.trim_start_matches('/');
        let function = output().join(format!("functions/{name}.func"));
        (function.is_dir() || output().join("static").join(name).is_file()).then(|| path.to_owned())
    };
    let mut phase = "";
    for route in configuration["routes"].as_array().unwrap() {
        if let Some(next) = route["handle"].as_str() {
            phase = next;
            if phase == "filesystem"
                && let Some(found) = present(path)
            {
                return Some(found);
            }
            continue;
        }
        // Errors have pages of their own; what nothing was found for goes through `miss`.
        if phase == "error" {
            continue;
        }
        let source = Regex::new(text(&route["src"])).unwrap();
        let Some(destination) = rewritten(&source, text(&route["dest"]), path) else { continue };
        assert!(!destination.contains('?'), "{path} gets a query that nobody sent: {destination}");
        if route["status"].is_u64() {
            return None;
        }
        assert_eq!(route["check"], true, "{route}");
        if let Some(found) = present(&destination) {
            return Some(found);
        }
    }
    None
}

#[test]
#[ignore = "looks at what .ci/full builds"]
fn vercels_output_has_the_functions_the_crons_and_nothing_of_the_source() {
    let functions: BTreeSet<_> = files(&output().join("functions"));
    assert_eq!(functions, FUNCTIONS.map(|name| format!("api/{name}.func/.vc-config.json")).into());
    assert_eq!(files(&output().join("static")), files(&file("public")), "what is published");
    let configuration = json(&output().join("config.json"));
    let crons = configuration["crons"].as_array().unwrap().iter();
    let crons: BTreeMap<_, _> =
        crons.map(|cron| (text(&cron["path"]).to_owned(), text(&cron["schedule"]).to_owned())).collect();
    assert_eq!(crons, schedules());
    for name in FUNCTIONS {
        let built = json(&output().join(format!("functions/api/{name}.func/.vc-config.json")));
        assert_eq!(text(&built["runtimeLanguage"]), "rust");
        let wanted = json(&file("vercel.json"))["functions"][format!("api/{name}.rs")].clone();
        assert_eq!((&built["memory"], &built["maxDuration"]), (&wanted["memory"], &wanted["maxDuration"]), "{name}");
        println!("{name:14} {:9} bytes on Vercel", fs::metadata(executable(name)).unwrap().len());
    }
}

#[test]
#[ignore = "looks at what .ci/full builds"]
fn vercels_routes_lead_every_route_to_its_function_and_nothing_else_anywhere() {
    let configuration = json(&output().join("config.json"));
    for route in routes::all() {
        let led = leads(&configuration, &route.sample());
        assert_eq!(led, Some(format!("/api/{}", route.function)), "{}", route.path);
    }
    for path in ["/", "/cron", "/cron/usage", "/v2/x", "/partner", "/Cargo.toml", "/api", "/api/_function", "/404.html"]
    {
        assert_eq!(leads(&configuration, path), None, "{path}");
    }
    assert_eq!(leads(&configuration, "/robots.txt").as_deref(), Some("/robots.txt"));
}

/// Started as Vercel starts it, each takes its own routes and no other, the bare path of its file least of all.
#[test]
#[ignore = "looks at what .ci/full builds"]
fn vercels_executables_serve_their_routes() {
    let configuration = json(&output().join("config.json"));
    let mut configured: Vec<_> = aws::SAMPLES.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (name, value) in [
        ("CRON_SECRET", "cron-secret-of-the-tests-0123456789"),
        ("TRADEPOST_AWS_REGION", "eu-central-1"),
        ("TRADEPOST_AWS_ACCESS_KEY_ID", "own"),
        ("TRADEPOST_AWS_SECRET_ACCESS_KEY", "own"),
        ("TRADEPOST_AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ] {
        configured.push((name.to_owned(), value.to_owned()));
    }
    for name in FUNCTIONS {
        let server = Ipc::start(&executable(name), &configured);
        for route in routes::all() {
            let led = leads(&configuration, &route.sample()) == Some(format!("/api/{name}"));
            for method in &route.methods {
                let response = server.request(method, &route.sample(), &[], b"");
                let what = format!("{name}: {method} {}: {response:?}", route.path);
                match (led, route.path.starts_with("/health/")) {
                    (true, true) => assert_eq!(response.status(), 200, "{what}"),
                    (true, false) => assert!([400, 401, 403].contains(&response.status()), "{what}"),
                    (false, _) => assert_eq!(response.status(), 404, "{what}"),
                }
            }
        }
        for path in [format!("/api/{name}"), format!("/api/{name}.rs")] {
            assert_eq!(server.request("GET", &path, &[], b"").status(), 404, "{name}: {path}");
        }
    }
}

/// A built bootstrap, to be started as a program: under an emulator of its processor if this machine has another.
fn bootstrap(name: &str) -> PathBuf {
    let path = file(".aws-sam/build").join(logical(name)).join("bootstrap");
    let head = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // ELF's e_machine.
    let machine = u16::from_le_bytes([head[18], head[19]]);
    assert_eq!(machine, 183, "{name} is not built for arm64");
    println!("{name:14} {:9} bytes on AWS, arm64", head.len());
    if cfg!(target_arch = "aarch64") {
        return path;
    }
    emulated(&path)
}

/// A script that runs a program of arm64 under QEMU.
fn emulated(program: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let emulator =
        ["/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64"].into_iter().find(|it| Path::new(it).exists());
    let emulator = emulator.expect("qemu-user, to run what is built for arm64: .ci/full installs it");
    let script = program.with_file_name("emulated");
    let text = format!("#!/bin/sh\nexec {emulator} -L /usr/aarch64-linux-gnu {}\n", program.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
#[ignore = "looks at what .ci/full builds"]
fn sams_output_takes_every_form_of_its_events() {
    for name in FUNCTIONS {
        events::all(name, &bootstrap(name));
    }
}
