//! Event dispatch: partner systems tell Vercel that something changed.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Events, flows::events::router)
}
