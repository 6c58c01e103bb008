//! `tradepost dynamodb`: the embedded DynamoDB alone, with the table in it, for functions that run as processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use tradepost_rehearsal::local;

use tradepost_store::Embedded;
use tradepost_store::embedded::TABLE_NAME;

use crate::dev::stopped;
use crate::terminal::say;

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where to serve; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3212", value_parser = local::parse_loopback)]
    listen: SocketAddr,
    /// `memory`, or a file to keep everything in
    #[arg(long, value_name = "memory|FILE", default_value = "memory")]
    store: PathBuf,
    /// Print one line of JSON with the address once it serves
    #[arg(long)]
    json: bool,
    /// Print nothing
    #[arg(long, short)]
    quiet: bool,
}

/// Serves until told to stop.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stopped()?;
    let place = local::place(local::file(&options.store));
    let embedded = Embedded::start(place, local::bind(options.listen).await?).await?;
    let url = &embedded.url;
    if options.json {
        say(&serde_json::json!({ "dynamodb": url }).to_string());
    } else if !options.quiet {
        say(&format!("DynamoDB is at {url}, with the table {TABLE_NAME}."));
        say(&format!("Set AWS_ENDPOINT_URL_DYNAMODB={url} and TRADEPOST_TABLE={TABLE_NAME}; any credentials do."));
    }
    stop.await;
    embedded.stop().await;
    Ok(())
}
