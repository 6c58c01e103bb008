//! The sweeper: delivers every effect that is due.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::OUTBOX, flows::outbox::router)
}
