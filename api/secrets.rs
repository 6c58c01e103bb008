//! Rotation, and the scheduled expiry of old secrets.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Secrets, flows::secrets::router)
}
