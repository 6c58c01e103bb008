//! Rotation, and the scheduled expiry of old secrets.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::SECRETS, flows::secrets::router)
}
