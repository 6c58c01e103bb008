//! `tradepost config`: whether a configuration will do, and one to begin with.
//!
//! Both go by the provider's own list of variables, and `check` by the very code that a function starts with, so a
//! configuration that passes here starts there. What fails: a problem (exit code 1), a file that cannot be read (2).
//! No value is ever printed by `check`.

pub mod check;
pub mod dotenv;
pub mod example;

use std::process::ExitCode;

use tradepost_marketplace::doors::{Entropy, Environment};
use tradepost_provider::settings::{Function, Platform};

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Check the environment, or a file, as each function would at its start
    Check(check::Args),
    /// Print an environment file with freshly drawn keys
    Example(example::Args),
}

/// Does it. The exit code is 0 if all is well, 1 for a problem, 2 for a file that cannot be read.
pub fn run(command: Command, environment: &dyn Environment, entropy: &dyn Entropy) -> ExitCode {
    match command {
        Command::Check(args) => check::run(&args, environment),
        Command::Example(args) => example::run(&args, entropy),
    }
}

fn parse_function(name: &str) -> Result<Function, String> {
    Function::parse(name)
        .ok_or_else(|| format!("not a function; they are {}", Function::ALL.map(Function::name).join(", ")))
}

fn parse_platform(name: &str) -> Result<Platform, String> {
    let platform = Platform::ALL.into_iter().find(|platform| platform.name() == name);
    platform.ok_or_else(|| format!("not a platform; they are {}", Platform::ALL.map(Platform::name).join(", ")))
}

/// The functions that were named, or all.
fn chosen(functions: &[Function]) -> Vec<Function> {
    let is_chosen = |function: &Function| functions.is_empty() || functions.contains(function);
    Function::ALL.into_iter().filter(is_chosen).collect()
}
