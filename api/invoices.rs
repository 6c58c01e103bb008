//! Submit, read, refund; the scheduled close of billing periods.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Invoices, flows::invoices::router)
}
