//! The Partner API: what Vercel calls (spec B), under `/v1` and the older
//! `/v1/integrations/marketplace`.
//!
//! Who uses it: Vercel, on behalf of a customer who installs, provisions, renames, changes plans, rotates,
//! deletes, uninstalls. What fails: Vercel repeats a request (answered once), two requests meet (409), the
//! provisioner is down (503, a retry goes on), a token of another installation (403).

mod delete;
mod plans;
mod provision;
mod read;
mod remove;
mod rotate;
mod update;
mod upsert;

use axum::Router;
use axum::routing::{get, post};

use crate::layer;
use crate::provider::Provider;

/// The most live resources of an installation: what one hourly push carries (decisions, "Hourly push").
pub const RESOURCES_MAX: u32 = 500;
/// The most resources kept in the slice, deleted ones included: those stay while readings of theirs may come.
pub const RESOURCES_KEPT_MAX: u32 = 2_000;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/products/{product}/plans", get(plans::of_product))
        .route(
            "/installations/{installation}",
            get(read::installation).put(upsert::handle).patch(update::installation).delete(delete::handle),
        )
        .route("/installations/{installation}/plans", get(plans::of_installation))
        .route("/installations/{installation}/resources", post(provision::handle))
        .route(
            "/installations/{installation}/resources/{resource}",
            get(read::resource).patch(update::resource).delete(remove::handle),
        )
        .route("/installations/{installation}/resources/{resource}/plans", get(plans::of_resource))
        .route("/installations/{installation}/resources/{resource}/secrets/rotate", post(rotate::handle));
    let both = Router::new().nest("/v1/integrations/marketplace", routes.clone()).nest("/v1", routes);
    layer::wrap(provider, both)
}
