//! The Partner API that Vercel calls.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::INSTALLATIONS, flows::installations::router)
}
