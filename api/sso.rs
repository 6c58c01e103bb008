//! Open in Provider: code exchange, verification, session, redirect.

use std::process::ExitCode;

use tradepost_provider::flows;
use tradepost_provider::settings::Function;

fn main() -> ExitCode {
    tradepost_functions::serve(Function::Sso, flows::sso::router)
}
