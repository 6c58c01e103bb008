//! Submit, read, refund; the scheduled close of billing periods.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::INVOICES, flows::invoices::router)
}
