//! The `tradepost` command. All behaviour is in the library; here are the arguments and the exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tradepost_cli::{config, demo, dev, dynamodb, history, log, simulate};
use tradepost_marketplace::doors::{Environment as _, ProcessEnvironment, SystemEntropy};

/// Sell a product on the Vercel Marketplace, and rehearse it against a simulated Vercel
///
/// Without a command: `dev`.
#[derive(Parser)]
#[command(name = "tradepost", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the provider, a simulated Vercel and DynamoDB in one process
    Dev(dev::Options),
    /// Serve the simulated Vercel alone
    Simulate(simulate::Options),
    /// Serve the embedded DynamoDB alone
    Dynamodb(dynamodb::Options),
    /// Check a configuration, or print one to begin with
    #[command(subcommand)]
    Config(config::Command),
    /// Play one customer's month and check it to the cent
    Demo(demo::Args),
    /// Play seeded histories with faults at every door, and judge them
    History(history::Args),
}

fn main() -> ExitCode {
    let Arguments { command, dev } = Arguments::parse();
    match start(command.unwrap_or(Command::Dev(dev))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tradepost: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    let environment = ProcessEnvironment;
    match command {
        // Without logs: what they are set to is checked, too.
        Command::Config(command) => Ok(config::run(command, &environment, &SystemEntropy)),
        Command::Dev(options) => in_runtime(async { dev::run(options).await.map(|()| ExitCode::SUCCESS) }),
        Command::Simulate(options) => in_runtime(async { simulate::run(options).await.map(|()| ExitCode::SUCCESS) }),
        Command::Dynamodb(options) => in_runtime(async { dynamodb::run(options).await.map(|()| ExitCode::SUCCESS) }),
        Command::Demo(args) => in_runtime(demo::play(args, &environment)),
        Command::History(args) => {
            // Without logs unless they are asked for: thousands of faults on purpose, and the trace says what happened.
            if environment.var(log::VARIABLE).is_some() {
                log::init(&environment)?;
            }
            history::play(&args, &environment)
        }
    }
}

fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    log::init(&ProcessEnvironment)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
