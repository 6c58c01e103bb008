//! Metering: partner systems report consumption.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::USAGE, flows::usage::router)
}
