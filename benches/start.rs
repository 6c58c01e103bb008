//! How lean a function starts: from spawn to its first complete answer, peak memory, size; each in `profile.dist`,
//! side by side with a bare `lambda_http` and a bare `vercel_runtime` function in the same run.
//!
//! `cargo bench --bench start`, on an idle machine. Rounds are interleaved, so that whatever else the machine does
//! hits all alike; the figures are medians. The functions are asked for `GET /health/{function}`, under the emulator
//! of Lambda's Runtime API and as Vercel's server with its IPC socket. Nothing here fails by time: `.ci/full`
//! prints the table, and `docs/start-up.md` keeps one.

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking, as a test does")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../tests/support/configured.rs"]
mod configured;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::events;
use support::lambda::Lambda;
use support::process::{Environment, Process};
use support::release::{FUNCTIONS, Program, dist};
use support::vercel::Ipc;

/// How often each is started on each platform.
const ROUNDS: usize = 30;

/// What one start took.
#[derive(Clone, Copy)]
struct Start {
    answer: Duration,
    peak_kilobytes: u64,
}

/// A program under measurement.
struct Subject {
    name: &'static str,
    path: PathBuf,
    lambda: Vec<Start>,
    vercel: Vec<Start>,
}

fn main() {
    let built = dist();
    let mut subjects: Vec<_> = ["bare_lambda", "bare_vercel"].into_iter().map(|name| subject(&built, name)).collect();
    subjects.extend(FUNCTIONS.into_iter().map(|name| subject(&built, name)));
    let (on_lambda, on_vercel) = (configured::on_lambda(), configured::on_vercel());
    for _ in 0..ROUNDS {
        for it in &mut subjects {
            if it.name != "bare_vercel" {
                it.lambda.push(lambda(it.name, &it.path, &on_lambda));
            }
            if it.name != "bare_lambda" {
                it.vercel.push(vercel(it.name, &it.path, &on_vercel));
            }
        }
    }
    print(&subjects);
}

fn subject(built: &BTreeMap<Program, PathBuf>, name: &'static str) -> Subject {
    let path = built.get(name).cloned().expect("every subject is built");
    Subject { name, path, lambda: Vec::new(), vercel: Vec::new() }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn lambda(name: &str, program: &Path, configured: &Environment) -> Start {
    let event = events::http("GET", &format!("/health/{name}"), &[], "");
    let begun = Instant::now();
    let lambda = Lambda::start(program, configured);
    let (status, body) = lambda.request(event);
    let answer = begun.elapsed();
    assert_eq!(status, 200, "{body}");
    Start { answer, peak_kilobytes: peak(lambda.process()) }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn vercel(name: &str, program: &Path, configured: &Environment) -> Start {
    let begun = Instant::now();
    let server = Ipc::start(program, configured);
    let response = server.request("GET", &format!("/health/{name}"), &[], b"");
    let answer = begun.elapsed();
    assert_eq!(response.status(), 200, "{}", response.text());
    Start { answer, peak_kilobytes: peak(server.process()) }
}

/// The high-water mark of the process's resident memory.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}

fn print(subjects: &[Subject]) {
    println!("| function | size | Lambda, first answer | memory | Vercel, first answer | memory |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for it in subjects {
        let bytes = std::fs::metadata(&it.path).expect("built").len();
        let (lambda, vercel) = (cells(&it.lambda), cells(&it.vercel));
        println!("| `{}` | {} MB | {lambda} | {vercel} |", it.name, tenths(bytes, 1_000_000));
    }
}

/// Median time and median peak memory.
fn cells(starts: &[Start]) -> String {
    let Some(answer) = median(starts.iter().map(|it| it.answer.as_micros())) else { return "| ".to_owned() };
    let peak = median(starts.iter().map(|it| u128::from(it.peak_kilobytes))).unwrap_or_default();
    let (answer, peak) = (u64::try_from(answer).unwrap_or(u64::MAX), u64::try_from(peak).unwrap_or(u64::MAX));
    format!("{} ms | {} MB", tenths(answer, 1_000), tenths(peak * 1_024, 1_000_000))
}

fn median(values: impl Iterator<Item = u128>) -> Option<u128> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// With one decimal, rounded half up; no float.
fn tenths(value: u64, unit: u64) -> String {
    let tenths = (value * 10 + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}
