//! Every function in the process of a test: what it serves, as its file in `api/` says.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]

use axum::Router;
use tradepost_provider::settings::Function;
use tradepost_provider::{Provider, flows};

/// Makes a function's router.
pub type Routes = fn(&Provider) -> Router;

pub const FLOWS: [(Function, Routes); 9] = [
    (Function::Installations, flows::installations::router),
    (Function::Sso, flows::sso::router),
    (Function::Webhooks, flows::webhooks::router),
    (Function::Events, flows::events::router),
    (Function::Usage, flows::usage::router),
    (Function::Billing, flows::billing::router),
    (Function::Invoices, flows::invoices::router),
    (Function::Secrets, flows::secrets::router),
    (Function::Outbox, flows::outbox::router),
];
