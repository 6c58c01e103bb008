//! Event dispatch: partner systems tell Vercel that something changed.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::EVENTS, flows::events::router)
}
