//! Whoever may not come in is refused, with the right status and envelope, and nothing is written.
//!
//! Tables: every route times every bad credential. A route that is added to the provider and not to these tables
//! fails `every_route_is_in_a_table`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod others;
mod partners;
mod vercel;

use serde_json::Value;
use tradepost_rehearsal::world;
use world::World;

/// Which tokens a route takes (spec B, the Auth column).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Admin,
    System,
    Both,
    Anyone,
}

/// The Partner API: method, path under its base, and whom it is for.
const PARTNER_API: [(&str, &str, Takes); 12] = [
    ("GET", "/products/{product}/plans", Takes::Anyone),
    ("GET", "/installations/{installation}", Takes::System),
    ("PUT", "/installations/{installation}", Takes::Admin),
    ("PATCH", "/installations/{installation}", Takes::Admin),
    ("DELETE", "/installations/{installation}", Takes::Both),
    ("GET", "/installations/{installation}/plans", Takes::System),
    ("POST", "/installations/{installation}/resources", Takes::Admin),
    ("GET", "/installations/{installation}/resources/{resource}", Takes::System),
    ("PATCH", "/installations/{installation}/resources/{resource}", Takes::Admin),
    ("DELETE", "/installations/{installation}/resources/{resource}", Takes::Both),
    ("GET", "/installations/{installation}/resources/{resource}/plans", Takes::System),
    ("POST", "/installations/{installation}/resources/{resource}/secrets/rotate", Takes::Both),
];

const BASES: [&str; 2] = ["/v1", "/v1/integrations/marketplace"];

/// The partner API: type, route, scope.
const PARTNERS: [(&str, &str, &str); 13] = [
    ("usage.recorded", "/partner/usage", "usage"),
    ("resource.updated", "/partner/events", "events"),
    ("installation.updated", "/partner/events", "events"),
    ("effects.query", "/partner/effects/query", "read"),
    ("provisioner.report", "/partner/provisioner/reports", "provisioner"),
    ("invoice.close", "/partner/invoices", "invoices"),
    ("invoice.adjust", "/partner/invoices", "invoices"),
    ("invoice.settle", "/partner/invoices", "invoices"),
    ("effect.settle", "/partner/invoices", "invoices"),
    ("invoice.query", "/partner/invoices/query", "read"),
    ("invoice.refund", "/partner/invoices/{invoice}/refund", "refunds"),
    ("secrets.rotate", "/partner/resources/{resource}/secrets", "secrets"),
    ("sessions.redeem", "/partner/sessions/redeem", "read"),
];

/// A stretch in which nothing may happen: no commit, no changed item, no call to Vercel's API, no order.
struct Quiet {
    committed: u64,
    table: Vec<Value>,
    orders: usize,
    mark: u64,
}

impl Quiet {
    async fn begin(world: &World) -> Self {
        Self {
            committed: world.committed(),
            table: world.dump().await,
            orders: world.provisioner.orders().len(),
            mark: world.mark().await,
        }
    }

    #[track_caller]
    fn so_far(&self, world: &World, what: &str) {
        assert_eq!(world.committed(), self.committed, "{what} wrote something");
    }

    async fn end(self, world: &World) {
        self.so_far(world, "something");
        assert_eq!(world.dump().await, self.table);
        assert_eq!(world.provisioner.orders().len(), self.orders);
        assert_eq!(world.calls_since(self.mark).await, Vec::<String>::new());
    }
}

fn filled(path: &str, installation: &str, resource: &str) -> String {
    path.replace("{installation}", installation).replace("{resource}", resource).replace("{product}", world::PRODUCT)
}
