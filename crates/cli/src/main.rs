//! The `tradepost` command. All behaviour is in the library; here are the arguments and the exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tradepost_cli::{demo, dev, log, simulate};
use tradepost_marketplace::doors::ProcessEnvironment;

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
    /// Play one customer's month and check it to the cent
    Demo(demo::command::Args),
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
    log::init(&environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Dev(options) => dev::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Simulate(options) => simulate::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Demo(args) => demo::command::play(args, &environment).await,
        }
    })
}
