//! One folder a flow, one router each. This list knows them all; none knows another.

pub mod billing;
pub mod events;
pub mod installations;
pub mod invoices;
pub mod outbox;
pub mod secrets;
pub mod sso;
pub mod usage;
pub mod webhooks;

use axum::Router;

use crate::function::Function;
use crate::provider::Provider;

/// Makes a flow's router.
pub type Make = fn(&Provider) -> Router;

/// What each function serves. (A function's own binary names its router itself, and links no other.)
pub const ROUTERS: [(Function, Make); 9] = [
    (Function::Installations, installations::router),
    (Function::Sso, sso::router),
    (Function::Webhooks, webhooks::router),
    (Function::Events, events::router),
    (Function::Usage, usage::router),
    (Function::Billing, billing::router),
    (Function::Invoices, invoices::router),
    (Function::Secrets, secrets::router),
    (Function::Outbox, outbox::router),
];

/// All flows in one router: the local server. Each works with no more than its function is configured for.
pub fn all(provider: &Provider) -> Router {
    let narrowed = ROUTERS.into_iter().map(|(function, router)| router(&provider.only(function)));
    narrowed.fold(Router::new(), Router::merge)
}
