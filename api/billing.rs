//! The hourly push of interim billing data.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Billing, flows::billing::router)
}
