//! The list of routes is true: asked of the routers themselves.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tower::ServiceExt as _;
use tradepost_marketplace::doors::Environment;
use tradepost_provider::flows::ROUTERS;
use tradepost_provider::settings::{self, Platform};

pub use crate::routed::{Route, all};

/// As much configuration as lets every router be built; nothing is called.
struct Anywhere;

impl Environment for Anywhere {
    fn var(&self, name: &str) -> Option<String> {
        let samples = crate::aws::SAMPLES.into_iter().chain([("CRON_SECRET", "cron-secret-of-the-tests-0123456789")]);
        samples.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }
}

/// The list is true: each route is served by its function's router with these methods and no other, and by no other
/// function's.
#[tokio::test]
async fn the_routers_have_these_routes_each_its_own() {
    let routes = all();
    for (function, router) in ROUTERS {
        let provider = settings::provider(&Anywhere, Platform::Localhost, function).unwrap();
        let served_by = router(&provider);
        for route in routes.iter().filter(|route| !route.path.starts_with("/health/")) {
            for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                let request = Request::builder().method(method.clone()).uri(route.sample()).body(Body::empty());
                let status = served_by.clone().oneshot(request.unwrap()).await.unwrap().status();
                let served = ![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
                let own = route.function == function.name();
                let wanted = own && route.methods.contains(method.as_str());
                assert_eq!(served, wanted, "{}: {method} {}: {status}", function.name(), route.path);
                assert!(own || status == StatusCode::NOT_FOUND, "{}: {method} {}", function.name(), route.path);
            }
        }
    }
}
