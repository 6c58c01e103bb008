//! What every flow works with: the doors, the keys, the catalog and the clients, built once at start.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tradepost_marketplace::client::Client;
use tradepost_marketplace::doors::{BusinessClock, Entropy, LeaseClock, Sleeper};
use tradepost_marketplace::ids::ClientId;
use tradepost_marketplace::oidc::Verifier;
use tradepost_store::Store;

use crate::catalog::Catalog;
use crate::edge::ApiError;
use crate::provisioner::Provisioner;
use crate::signing::PartnerKeys;
use crate::state::vault::Vault;

/// When a request must have been answered, in lease time.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Timestamp);

impl Deadline {
    /// The same deadline, earlier by `seconds`: what is kept back for the commit and the response.
    #[must_use]
    pub fn less(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(self.0))
    }
}

/// The parts of a [`Provider`].
pub struct Parts {
    /// The table.
    pub store: Store,
    /// Seals and opens secrets at rest.
    pub vault: Vault,
    /// Vercel's API.
    pub vercel: Client,
    /// Verifies Vercel's tokens.
    pub verifier: Verifier,
    /// Products, plans and prices.
    pub catalog: Catalog,
    /// The provider's own product, for the functions that call it.
    pub provisioner: Option<Provisioner>,
    /// The keys of partner systems.
    pub partners: PartnerKeys,
    /// The integration's client id.
    pub client_id: ClientId,
    /// The client secrets that verify webhooks; the first is used to call.
    pub client_secrets: Vec<SecretString>,
    /// The secrets the scheduler may show. Empty where the platform schedules (AWS).
    pub cron_secrets: Vec<SecretString>,
    /// Where a signed-in person is sent; none for the built-in page.
    pub dashboard_url: Option<String>,
    /// Whether cookies may go over plain HTTP: only where the provider is served on loopback.
    pub insecure_cookies: bool,
    /// The time a request gets.
    pub deadline: Duration,
    /// Business time.
    pub clock: BusinessClock,
    /// Lease time.
    pub lease: LeaseClock,
    /// Waiting.
    pub sleeper: Arc<dyn Sleeper>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// A shared handle on the [`Parts`].
#[derive(Clone)]
pub struct Provider(Arc<Parts>);

impl Provider {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Parts {
    /// The provisioner. A function that meets an effect for it and is not configured for it leaves the effect
    /// to the sweeper, which is.
    pub(crate) fn provisioner(&self) -> Result<&Provisioner, ApiError> {
        self.provisioner.as_ref().ok_or_else(|| ApiError::unavailable("this function does not call the provisioner"))
    }
}

impl Deref for Provider {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
