//! Every function in the process of a test: what it needs and what it serves, as its file in `api/` says.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]

use axum::Router;
use tradepost_provider::settings::{self, Needs};
use tradepost_provider::{Provider, flows};

#[derive(Clone, Copy)]
pub struct Flow {
    pub needs: Needs,
    pub router: fn(&Provider) -> Router,
}

impl Flow {
    pub fn name(&self) -> &'static str {
        self.needs.function
    }
}

pub const FLOWS: [Flow; 9] = [
    Flow { needs: settings::INSTALLATIONS, router: flows::installations::router },
    Flow { needs: settings::SSO, router: flows::sso::router },
    Flow { needs: settings::WEBHOOKS, router: flows::webhooks::router },
    Flow { needs: settings::EVENTS, router: flows::events::router },
    Flow { needs: settings::USAGE, router: flows::usage::router },
    Flow { needs: settings::BILLING, router: flows::billing::router },
    Flow { needs: settings::INVOICES, router: flows::invoices::router },
    Flow { needs: settings::SECRETS, router: flows::secrets::router },
    Flow { needs: settings::OUTBOX, router: flows::outbox::router },
];
