//! Events from Vercel.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Webhooks, flows::webhooks::router)
}
