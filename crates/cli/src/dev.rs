//! `tradepost dev`: provider, simulated Vercel, DynamoDB and a demo provisioner in one process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tradepost_rehearsal::local::{self, Local};
use tradepost_simulator::{ClockMode, DEFAULT_START_SECONDS};

use crate::terminal::say;

/// The seed of the simulated Vercel of `dev`.
const SEED: u64 = 0;

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the provider is served; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3210", value_parser = local::parse_loopback)]
    provider: SocketAddr,
    /// Where the simulated Vercel is served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3211", value_parser = local::parse_loopback)]
    simulator: SocketAddr,
    /// Where the embedded DynamoDB is served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3212", value_parser = local::parse_loopback)]
    dynamodb: SocketAddr,
    /// `memory`, or a file to keep everything in (beside it FILE.vercel and FILE.provisioner)
    #[arg(long, value_name = "memory|FILE", default_value = "memory")]
    store: PathBuf,
    /// Print one line of JSON with the addresses once all can serve
    #[arg(long)]
    json: bool,
    /// Print nothing
    #[arg(long, short)]
    quiet: bool,
}

/// Completes when the process is told to stop, by Ctrl-C or SIGTERM.
pub fn stopped() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Serves until told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stopped()?;
    let start = Timestamp::from_second(DEFAULT_START_SECONDS).context("the simulated start is out of range")?;
    let store = local::file(&options.store).map(Path::to_owned);
    let local = Local::open(local::Options {
        provider: options.provider,
        simulator: options.simulator,
        dynamodb: options.dynamodb,
        store,
        ..local::Options::new(SEED, ClockMode::Running { start })
    })
    .await?;
    local.register(1).await?;
    if options.json {
        say(&addresses(&local));
    } else if !options.quiet {
        say(&welcome(&local, &options));
    }
    stop.await;
    local.close().await;
    Ok(())
}

fn addresses(local: &Local) -> String {
    serde_json::json!({
        "dynamodb": local.dynamodb_url,
        "provider": local.provider_url,
        "simulator": local.simulator_url,
    })
    .to_string()
}

fn welcome(local: &Local, options: &Options) -> String {
    let Local { provider_url, simulator_url, dynamodb_url, .. } = local;
    let place =
        local::file(&options.store).map_or_else(|| "in memory".to_owned(), |file| format!("in {}", file.display()));
    let json = "-H 'content-type: application/json'";
    format!(
        "Tradepost is ready.\n\
         \x20 provider   {provider_url}  all flows, with the development keys\n\
         \x20 simulator  {simulator_url}  a simulated Vercel; its control face is /_sim\n\
         \x20 dynamodb   {dynamodb_url}  {place}\n\
         Install it as a customer, let an hour pass, see what Vercel knows:\n\
         \x20 curl -s -X POST {simulator_url}/_sim/installations {json} -d '{{}}'\n\
         \x20 curl -s -X POST {simulator_url}/_sim/clock {json} -d '{{\"advance\":\"1h\"}}'\n\
         \x20 curl -s {simulator_url}/_sim/state\n\
         Ctrl-C stops it."
    )
}
