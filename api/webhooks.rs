//! Events from Vercel.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::WEBHOOKS, flows::webhooks::router)
}
