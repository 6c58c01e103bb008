//! The hourly push of interim billing data.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::BILLING, flows::billing::router)
}
