//! `tradepost simulate`: the simulated Vercel alone, for a provider in any language.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use tradepost_marketplace::doors::{Clock as _, SystemClock};
use tradepost_rehearsal::local;
use tradepost_simulator::{ClockMode, Options as SimulatorOptions, Simulator};

use crate::dev::stopped;
use crate::terminal::say;

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where to serve; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3211", value_parser = local::parse_address)]
    listen: SocketAddr,
    /// Keep Vercel's state in this file
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// What all ids and tokens are derived from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// When simulated time begins; it then runs at wall speed, or stands still with --frozen
    #[arg(long, value_name = "now|RFC3339", default_value = "now", value_parser = parse_start)]
    start: Start,
    /// Time stands still between calls and is moved by /_sim/clock only
    #[arg(long)]
    frozen: bool,
    /// Print one line of JSON with the address once it serves
    #[arg(long)]
    json: bool,
    /// Print nothing
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Now,
    At(Timestamp),
}

fn parse_start(text: &str) -> Result<Start, String> {
    if text == "now" {
        return Ok(Start::Now);
    }
    text.parse().map(Start::At).map_err(|_| "neither `now` nor an instant such as 2027-01-01T00:00:00Z".to_owned())
}

/// Serves until told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let listener = local::bind(options.listen).await?;
    let address = listener.local_addr().context("the listener has no address")?;
    if !address.ip().is_loopback() {
        tracing::warn!(server.address = %address, "the simulator's signing key is public: whoever reaches it can be Vercel");
    }
    let start = match options.start {
        Start::Now => SystemClock.now(),
        Start::At(at) => at,
    };
    let clock = if options.frozen { ClockMode::Frozen { start } } else { ClockMode::Running { start } };
    let simulator = Simulator::open(SimulatorOptions { seed: options.seed, store: options.store, clock })?;
    let url = format!("http://{address}");
    if options.json {
        say(&serde_json::json!({ "simulator": url }).to_string());
    } else if !options.quiet {
        say(&format!("A simulated Vercel is at {url}; it is {}.", simulator.clock().now()));
        say(&format!("Set VERCEL_API_URL={url} and VERCEL_OIDC_ISSUER={url} in the provider, then register it:"));
        say(&format!(
            "  curl -s -X POST {url}/_sim/partner -H 'content-type: application/json' -d '{{\"baseUrl\":\"http://127.0.0.1:3000\"}}'"
        ));
    }
    simulator.serve(listener, stopped()?).await.context("the simulator cannot serve")
}
