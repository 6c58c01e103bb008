//! What every flow works with: the doors, and what its function is configured for, built once at start.
//!
//! The doors are everybody's. The rest comes by [`Concern`]: a function that has not a concern has nothing in its
//! place, so a flow that asks for it all the same fails ([`ApiError::internal`]) instead of going on with something
//! made up. Where one process serves all functions (`tradepost dev`, tests), each router gets a provider that is
//! narrowed to its function ([`Provider::only`]), so that it works there with exactly what it will have when it is
//! deployed.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tradepost_marketplace::client::Client;
use tradepost_marketplace::doors::{BusinessClock, Entropy, LeaseClock, Sleeper};
use tradepost_marketplace::ids::ClientId;
use tradepost_marketplace::oidc::Verifier;
use tradepost_store::Store;

use crate::edge::{ApiError, measured};
use crate::function::{Concern, Function};
use crate::provisioner::Provisioner;
use crate::signing::PartnerKeys;
use crate::state::vault::Vault;
use tradepost_pricing::catalog::Catalog;

/// What every function has.
#[derive(Clone)]
pub struct Doors {
    /// The table.
    pub store: Store,
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

/// A secret that others show or sign with: the current one first, then, while it rotates, the one before.
#[derive(Debug, Clone, Default)]
pub struct RotatingSecret(pub Vec<SecretString>);

/// How a person is signed in.
#[derive(Debug, Clone)]
pub struct SignOn {
    /// The integration's client id.
    pub client_id: ClientId,
    /// Its current secret: exchanges the code.
    pub client_secret: SecretString,
    /// Where a signed-in person is sent; none for the built-in page.
    pub dashboard_url: Option<String>,
    /// Whether cookies may go over plain HTTP: only where the provider is served on loopback.
    pub insecure_cookies: bool,
}

/// The parts of a [`Provider`], which only [`Configured`](crate::Configured) puts together: the doors, and one for
/// each concern that it is configured for.
pub(crate) struct Parts {
    /// What every function has.
    pub(crate) doors: Doors,
    /// [`Concern::Keys`].
    pub(crate) keys: Option<Vault>,
    /// [`Concern::Vercel`].
    pub(crate) vercel: Option<Client>,
    /// [`Concern::Tokens`].
    pub(crate) tokens: Option<Verifier>,
    /// [`Concern::SignOn`].
    pub(crate) sign_on: Option<SignOn>,
    /// [`Concern::Webhooks`]: the client secrets that verify them.
    pub(crate) webhooks: Option<RotatingSecret>,
    /// [`Concern::Partners`].
    pub(crate) partners: Option<PartnerKeys>,
    /// [`Concern::Cron`]: what the scheduler may show; nothing where the platform schedules (AWS).
    pub(crate) cron: Option<RotatingSecret>,
    /// [`Concern::Provisioner`].
    pub(crate) provisioner: Option<Provisioner>,
    /// [`Concern::Catalog`].
    pub(crate) catalog: Option<Catalog>,
}

struct Shared {
    parts: Parts,
    /// The concerns that each narrowed provider was asked for, a bit each.
    used: [AtomicU16; Function::ALL.len()],
}

/// A shared handle on the doors and on what is configured. Made by
/// [`Configured::provider`](crate::Configured::provider).
#[derive(Clone)]
pub struct Provider {
    shared: Arc<Shared>,
    /// Whose concerns it is narrowed to, in a process that serves several functions.
    function: Option<Function>,
}

impl Provider {
    /// Shares the parts, their doors measured: each request's calls are counted, and traced where traces are kept.
    pub(crate) fn new(mut parts: Parts) -> Self {
        parts.doors.store = parts.doors.store.through(measured::store);
        parts.vercel = parts.vercel.map(|vercel| vercel.through(measured::vercel));
        parts.tokens = parts.tokens.map(|tokens| tokens.through(measured::vercel));
        parts.provisioner = parts.provisioner.map(|provisioner| provisioner.through(measured::provisioner));
        Self { shared: Arc::new(Shared { parts, used: Default::default() }), function: None }
    }

    /// The same provider with no more than this function is configured for.
    #[must_use]
    pub fn only(&self, function: Function) -> Self {
        Self { shared: self.shared.clone(), function: Some(function) }
    }

    /// What the function's narrowed provider was asked for so far. For the test that holds the table of needs
    /// against what is used.
    pub fn used_by(&self, function: Function) -> Vec<Concern> {
        let used = self.shared.used[function as usize].load(Ordering::Relaxed);
        Concern::ALL.into_iter().filter(|concern| used & bit(*concern) != 0).collect()
    }

    fn part<T>(&self, concern: Concern, of: fn(&Parts) -> &Option<T>) -> Result<&T, ApiError> {
        let allowed = self.function.is_none_or(|function| {
            self.shared.used[function as usize].fetch_or(bit(concern), Ordering::Relaxed);
            function.needs(concern)
        });
        let part = of(&self.shared.parts).as_ref().filter(|_| allowed);
        part.ok_or_else(|| ApiError::internal(format!("this function is not configured for {concern:?}")))
    }

    /// What opens and seals at rest.
    pub fn keys(&self) -> Result<&Vault, ApiError> {
        self.part(Concern::Keys, |parts| &parts.keys)
    }

    /// Vercel's API.
    pub fn vercel(&self) -> Result<&Client, ApiError> {
        self.part(Concern::Vercel, |parts| &parts.vercel)
    }

    /// What verifies Vercel's tokens.
    pub fn tokens(&self) -> Result<&Verifier, ApiError> {
        self.part(Concern::Tokens, |parts| &parts.tokens)
    }

    /// How a person is signed in.
    pub fn sign_on(&self) -> Result<&SignOn, ApiError> {
        self.part(Concern::SignOn, |parts| &parts.sign_on)
    }

    /// What verifies Vercel's webhooks.
    pub fn webhooks(&self) -> Result<&RotatingSecret, ApiError> {
        self.part(Concern::Webhooks, |parts| &parts.webhooks)
    }

    /// The keys of partner systems.
    pub fn partners(&self) -> Result<&PartnerKeys, ApiError> {
        self.part(Concern::Partners, |parts| &parts.partners)
    }

    /// What the scheduler may show.
    pub fn cron(&self) -> Result<&RotatingSecret, ApiError> {
        self.part(Concern::Cron, |parts| &parts.cron)
    }

    /// Products, plans and prices.
    pub fn catalog(&self) -> Result<&Catalog, ApiError> {
        self.part(Concern::Catalog, |parts| &parts.catalog)
    }

    /// The provisioner. A function that meets an effect for it and is not configured for it leaves the effect
    /// to the sweeper, which is.
    pub fn provisioner(&self) -> Result<&Provisioner, ApiError> {
        let part = self.part(Concern::Provisioner, |parts| &parts.provisioner);
        part.map_err(|_| ApiError::unavailable("this function does not call the provisioner"))
    }
}

const fn bit(concern: Concern) -> u16 {
    1 << concern as u16
}

impl Deref for Provider {
    type Target = Doors;
    fn deref(&self) -> &Doors {
        &self.shared.parts.doors
    }
}
