//! Configuration: read once from the environment, checked whole at start, every problem told at once.
//!
//! [`crate::function`] says which function has which concern, [`variable`] which variables a concern has; both are data,
//! and the documentation, `tradepost config` and the start go by them. [`Settings::read`] gives a function the
//! typed settings of its concerns and nothing of the others: there is no placeholder that could be used by mistake.
//! What fails: [`Problems`], one line each. Nobody is called; that comes with the first request.

mod problem;
mod read;
pub mod variable;

use std::sync::Arc;
use std::time::Duration;

use tradepost_marketplace::doors::{
    BusinessClock, Entropy, Environment, LeaseClock, Sleeper, SystemClock, SystemEntropy, SystemSleeper,
};
use tradepost_marketplace::http_door::{HttpDoor, Network};
use tradepost_store::{DynamoBackend, Store, StoreSettings};

pub use crate::function::{Concern, Function};
pub use problem::{Fault, Problem, Problems};
pub use read::DEADLINE_SECONDS;
use read::Reader;
pub use variable::{Presence, VARIABLES, Variable};

use crate::configured::{Configured, Keys};
use crate::provider::{Doors, Provider};
use tradepost_pricing::catalog::{Catalog, Plan, PlanType, Scope};

/// What our calls say they are.
pub const USER_AGENT: &str = concat!("Tradepost/", env!("CARGO_PKG_VERSION"));
/// The catalog of the demo provider: what is served until `TRADEPOST_CATALOG` says otherwise.
pub const DEMO_CATALOG: &str = include_str!("../../../catalog.toml");

/// Where the function runs, as far as configuration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Vercel: the standard AWS variables are not ours there; the scheduler is a public GET.
    Vercel,
    /// AWS Lambda: the platform's own schedule needs no secret.
    Lambda,
    /// A laptop.
    Localhost,
}

impl Platform {
    /// All.
    pub const ALL: [Self; 3] = [Self::Vercel, Self::Lambda, Self::Localhost];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vercel => "vercel",
            Self::Lambda => "lambda",
            Self::Localhost => "localhost",
        }
    }
}

/// Why a provider could not be made of good settings.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings were not good.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The HTTP client.
    #[error("the HTTP client cannot be made: {0}")]
    Network(String),
}

/// The settings of one function: of each concern that it has, none of another.
#[derive(Debug)]
pub struct Settings {
    deadline: Duration,
    store: StoreSettings,
    configured: Configured,
}

impl Settings {
    /// Reads and checks everything that the function needs on the platform.
    pub fn read(environment: &dyn Environment, platform: Platform, function: Function) -> Result<Self, Problems> {
        let mut reader = Reader::new(environment, function, platform);
        let store = reader.store();
        let keys = reader.concern(Concern::Keys, |reader| reader.keys(store.as_ref()));
        let tokens = reader.concern(Concern::Tokens, Reader::tokens);
        let sign_on = reader.concern(Concern::SignOn, |reader| reader.sign_on(tokens.as_ref()));
        let webhooks = reader.concern(Concern::Webhooks, Reader::webhooks);
        let cron = reader.concern(Concern::Cron, Reader::cron);
        let partners = reader.concern(Concern::Partners, Reader::partners);
        let provisioner = reader.concern(Concern::Provisioner, Reader::provisioner);
        let catalog = reader.concern(Concern::Catalog, Reader::catalog);
        let vercel = reader.concern(Concern::Vercel, Reader::vercel);
        let deadline = reader.deadline();
        let problems = reader.problems();
        match (store, deadline) {
            (Some(store), Some(deadline)) if problems.is_empty() => Ok(Self {
                deadline,
                store,
                configured: Configured {
                    keys,
                    vercel,
                    tokens,
                    sign_on,
                    webhooks,
                    partners,
                    cron,
                    provisioner,
                    catalog,
                },
            }),
            _ => Err(Problems(problems)),
        }
    }

    /// The provider, on the machine's own doors.
    pub fn provider(self) -> Result<Provider, StartError> {
        self.made(BusinessClock(Arc::new(SystemClock)), LeaseClock(Arc::new(SystemClock)), |store| store)
    }

    /// The provider at a time that is not the machine's. Its items have no TTL: DynamoDB would judge them by the wall.
    pub fn provider_at(self, clock: BusinessClock, lease: LeaseClock) -> Result<Provider, StartError> {
        self.made(clock, lease, Store::without_ttl)
    }

    fn made(
        mut self,
        clock: BusinessClock,
        lease: LeaseClock,
        store: fn(Store) -> Store,
    ) -> Result<Provider, StartError> {
        let network = Network::new(USER_AGENT).map_err(|error| StartError::Network(error.to_string()))?;
        let http: HttpDoor = Arc::new(network);
        let sleeper: Arc<dyn Sleeper> = Arc::new(SystemSleeper);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        self.warn_of_overrides();
        let dynamo = self.store.connect(&http, &lease);
        let unwrapped = |keys: Keys| {
            let ring = self.store.unwrapping(keys.ring, &dynamo.identity, &http, &lease);
            Keys { ring, ..keys }
        };
        self.configured.keys = self.configured.keys.map(unwrapped);
        let table = Arc::new(DynamoBackend::new(dynamo));
        let store = store(Store::new(table, sleeper.clone(), entropy.clone()));
        let doors = Doors { store, deadline: self.deadline, clock, lease, sleeper, entropy };
        Ok(self.configured.provider(&http, doors))
    }

    /// Whoever sets the issuer decides who is let in: it must be seen.
    fn warn_of_overrides(&self) {
        let issuer = self.configured.tokens.as_ref().map(|tokens| &tokens.issuer);
        let all = [
            ("VERCEL_API_URL", self.configured.vercel.as_ref(), tradepost_marketplace::endpoint::VERCEL_API),
            ("VERCEL_OIDC_ISSUER", issuer, tradepost_marketplace::endpoint::VERCEL_ISSUER),
        ];
        for (variable, endpoint, default) in all {
            if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.as_str() != default) {
                tracing::warn!(variable, endpoint = endpoint.as_str(), "Vercel's address is overridden");
            }
        }
    }
}

/// A function's provider from the environment, on the machine's own doors.
pub fn provider(environment: &dyn Environment, platform: Platform, function: Function) -> Result<Provider, StartError> {
    Settings::read(environment, platform, function)?.provider()
}

/// A catalog that this version can bill. Plans that are prepaid or of installation scope parse, but would be
/// sold and never billed: refused.
pub fn served_catalog(text: &str) -> Result<Catalog, String> {
    let catalog = Catalog::parse(text).map_err(|error| error.to_string())?;
    let served = |plan: &&Plan| plan.kind == PlanType::Subscription && plan.scope == Scope::Resource;
    let plans = catalog.products().iter().flat_map(|product| &product.plans);
    if let Some(plan) = plans.into_iter().find(|plan| !served(plan)) {
        return Err(format!("plan {} is prepaid or of installation scope, which is not served yet", plan.id));
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests;
