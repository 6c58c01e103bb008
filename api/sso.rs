//! Open in Provider: code exchange, verification, session, redirect.

use std::process::ExitCode;

use tradepost_provider::{flows, settings};

fn main() -> ExitCode {
    tradepost_functions::serve(settings::SSO, flows::sso::router)
}
