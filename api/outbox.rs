//! The sweeper: delivers every effect that is due.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Outbox, flows::outbox::router)
}
