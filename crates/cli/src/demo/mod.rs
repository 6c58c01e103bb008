//! The command line of `tradepost demo`: progress on stdout, one line an act, flushed; then the statement.

mod statement;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use tradepost_marketplace::doors::Environment;
use tradepost_rehearsal::demo::{Event, Fault, Options, Report, run};

use crate::terminal::{Terminal, say};

/// How to play.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What ids, secrets and usage are drawn from
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Readings from a file with the header `at,resource,meter,quantity`
    #[arg(long, value_name = "FILE.csv")]
    usage: Option<PathBuf>,
    /// Keep everything in FILE, FILE.vercel and FILE.provisioner; started again, a killed run goes on
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Another catalog; the referee keeps its own prices
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Inject a fault at every n-th call of Vercel or of the store
    #[arg(long = "fault", value_name = "vercel:reset_after/N|store:conflict/N|…")]
    faults: Vec<Fault>,
    /// Send every request twice; the second must change nothing
    #[arg(long)]
    repeat: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Print the statement only
    #[arg(long, short)]
    quiet: bool,
    /// Append every secret of the run to this file: for tests that look for them elsewhere
    #[arg(long, value_name = "FILE", hide = true)]
    canaries: Option<PathBuf>,
}

/// Plays, and tells. The exit code is 0 if it balances.
pub async fn play(args: Args, environment: &dyn Environment) -> anyhow::Result<ExitCode> {
    if args.faults.iter().filter(|fault| matches!(fault, Fault::Store(_))).count() > 1 {
        bail!("the store takes one fault at a time; name one --fault store:…");
    }
    let terminal = Terminal::detect(environment, args.quiet);
    let (json, quiet) = (args.json, args.quiet);
    let options = Options {
        seed: args.seed,
        usage: args.usage,
        store: args.store,
        catalog: args.catalog,
        faults: args.faults,
        repeat: args.repeat,
        canaries: args.canaries,
    };
    let mut watch = |event: Event<'_>| match event {
        Event::Act(act) if !json && !quiet => {
            terminal.clear_bar();
            say(&format!("act {} {} {}: {}", act.n, act.at, act.name, act.outcome));
        }
        Event::Act(_) => {}
        Event::Steps(done, of) => terminal.draw_bar(done, of, "the month goes by"),
    };
    let report = run(&options, &mut watch).await;
    terminal.clear_bar();
    tell(&report?, &options, terminal, json)
}

fn tell(report: &Report, options: &Options, terminal: Terminal, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say(&report.json()?);
        report.differences.iter().for_each(|difference| eprintln!("differs: {difference}"));
        if !options.faults.is_empty() {
            eprintln!("faults: {}", report.faults);
        }
    } else {
        say(&statement::statement(report, terminal));
    }
    Ok(if report.balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
