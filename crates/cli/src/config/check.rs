//! `tradepost config check`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tradepost_host::Place;
use tradepost_marketplace::doors::Environment;
use tradepost_provider::settings::{Fault, Function, Platform, Presence, Problem, Settings, Variable};

use super::dotenv::{FILE_BYTES_MAX, Variables};
use super::{chosen, parse_function, parse_platform};
use crate::terminal::say;

/// What to check.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this function; may be repeated
    #[arg(long = "function", value_name = "NAME", value_parser = parse_function)]
    functions: Vec<Function>,
    /// Where it is to run; by default where this runs
    #[arg(long, value_name = "vercel|lambda|localhost", value_parser = parse_platform)]
    platform: Option<Platform>,
    /// Check this file in place of the environment; - reads the standard input
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What Lambda sets is not in an environment or a file that is checked elsewhere.
struct AsDeployed<'a> {
    environment: &'a dyn Environment,
    platform: Platform,
}

impl Environment for AsDeployed<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let stands_in =
            |variable: &&Variable| variable.presence == Presence::Required && variable.set_by.contains(&self.platform);
        let set = || Variable::named(name).filter(stands_in).map(|_| "set-by-the-platform".to_owned());
        self.environment.var(name).or_else(set)
    }
}

/// Checks, and tells.
pub fn run(args: &Args, environment: &dyn Environment) -> ExitCode {
    let file = match args.env_file.as_deref().map(read).transpose() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("tradepost: {error:#}");
            return ExitCode::from(2);
        }
    };
    let file = match file.map(|text| Variables::parse(&text)).transpose() {
        Ok(file) => file,
        Err(error) => {
            let name = args.env_file.as_deref().unwrap_or(Path::new("-")).display();
            eprintln!("tradepost: {name} cannot be read as an environment file: {error}");
            return ExitCode::FAILURE;
        }
    };
    let platform = args.platform.unwrap_or_else(|| platform_of(Place::detect(environment)));
    let notes: Vec<String> = file.iter().flat_map(Variables::names).filter_map(unknown).collect();
    let environment = file.as_ref().map_or(environment, |file| file);
    let found =
        chosen(&args.functions).into_iter().map(|function| (function, problems(environment, platform, function)));
    let found: Vec<(Function, Vec<Problem>)> = found.collect();
    if args.json {
        say(&in_json(platform, &found, &notes).to_string());
    } else {
        let notes = notes.iter().map(|note| format!("note: {note}"));
        for line in notes.chain(in_lines(&found)) {
            say(&line);
        }
    }
    if found.iter().all(|(_, problems)| problems.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = |mut from: Box<dyn std::io::Read>| {
        let mut text = String::new();
        // One byte more than is taken, so that it is noticed.
        from.by_ref().take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == Path::new("-") {
        read(Box::new(std::io::stdin()))
    } else {
        std::fs::File::open(path).and_then(|file| read(Box::new(file)))
    };
    text.map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))
}

const fn platform_of(place: Place) -> Platform {
    match place {
        Place::Vercel => Platform::Vercel,
        Place::Lambda => Platform::Lambda,
        Place::Localhost => Platform::Localhost,
    }
}

const fn place_of(platform: Platform) -> Place {
    match platform {
        Platform::Vercel => Place::Vercel,
        Platform::Lambda => Place::Lambda,
        Platform::Localhost => Place::Localhost,
    }
}

/// Everything that would keep the function from starting.
pub fn problems(environment: &dyn Environment, platform: Platform, function: Function) -> Vec<Problem> {
    let environment = AsDeployed { environment, platform };
    let of_host = tradepost_host::problems(&environment, place_of(platform)).into_iter().map(|problem| Problem {
        variable: problem.variable,
        function,
        fault: Fault::Invalid(format!("it must be {}", problem.wanted)),
    });
    let of_function =
        Settings::read(&environment, platform, function).err().map_or_else(Vec::new, |problems| problems.0);
    of_host.chain(of_function).collect()
}

/// A name that looks like ours and is not: nobody would miss it at start.
fn unknown(name: &str) -> Option<String> {
    let ours = ["TRADEPOST_", "INTEGRATION_", "CRON_"].iter().any(|prefix| name.starts_with(prefix));
    (ours && Variable::named(name).is_none()).then(|| format!("no function reads {name}; see docs/configuration.md"))
}

fn in_lines(found: &[(Function, Vec<Problem>)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (function, problems) in found {
        let told = match problems.len() {
            0 => "ok".to_owned(),
            1 => "1 problem".to_owned(),
            more => format!("{more} problems"),
        };
        lines.push(format!("{:<13}  {told}", function.name()));
        lines.extend(problems.iter().map(|problem| format!("  {problem}")));
    }
    lines
}

fn in_json(platform: Platform, found: &[(Function, Vec<Problem>)], notes: &[String]) -> Value {
    let functions = found.iter().map(|(function, problems)| {
        let told = problems.iter().map(|problem| json!({"variable": problem.variable, "message": problem.to_string()}));
        let told: Vec<Value> = told.collect();
        (function.name().to_owned(), json!({"ok": problems.is_empty(), "problems": told}))
    });
    let functions: serde_json::Map<String, Value> = functions.collect();
    let ok = found.iter().all(|(_, problems)| problems.is_empty());
    json!({"functions": functions, "notes": notes, "ok": ok, "platform": platform.name()})
}
