//! Configuration: read once from the environment, checked whole at start, errors that name the variable.
//!
//! A function reads what it needs ([`Needs`]) and nothing else. Variables and defaults: `docs/configuration.md`.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tradepost_marketplace::client::Client;
use tradepost_marketplace::doors::{
    BusinessClock, Entropy, Environment, LeaseClock, Sleeper, SystemClock, SystemEntropy, SystemSleeper,
};
use tradepost_marketplace::endpoint::{self, Endpoint, VERCEL_API, VERCEL_ISSUER};
use tradepost_marketplace::http_door::{HttpDoor, Network};
use tradepost_marketplace::ids::ClientId;
use tradepost_marketplace::oidc::Verifier;
use tradepost_store::seal::KeyRing;
use tradepost_store::{DynamoBackend, DynamoConfig, Store};

use crate::catalog::{Catalog, Plan, PlanType, Scope};
use crate::provider::{Parts, Provider};
use crate::provisioner::Provisioner;
use crate::signing::{PartnerKeys, SigningSecret};
use crate::state::vault::Vault;

/// What our calls say they are.
pub const USER_AGENT: &str = concat!("Tradepost/", env!("CARGO_PKG_VERSION"));
/// The catalog of the demo provider: what is served until `TRADEPOST_CATALOG` says otherwise.
pub const DEMO_CATALOG: &str = include_str!("../../../catalog.toml");
/// How long a request may take if nothing is said: the HTTP API of AWS cuts at 30 s.
pub const DEADLINE_SECONDS: u64 = 25;
/// Below this the scheduled functions could not finish one call and write down what came of it.
const DEADLINE_SECONDS_MIN: u64 = 20;
const DEADLINE_SECONDS_MAX: u64 = 900;

/// What a function needs beyond the table, the catalog and the key ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a list of independent needs")]
pub struct Needs {
    /// The function's name, for messages.
    pub function: &'static str,
    /// `INTEGRATION_CLIENT_ID`: verifies Vercel's tokens.
    pub client_id: bool,
    /// `INTEGRATION_CLIENT_SECRET`: verifies webhooks, exchanges codes.
    pub client_secret: bool,
    /// `TRADEPOST_PARTNER_KEYS`.
    pub partners: bool,
    /// `CRON_SECRET`, except where the platform schedules.
    pub cron: bool,
    /// `TRADEPOST_PROVISIONER_URL` and its secret.
    pub provisioner: bool,
}

/// The Partner API.
pub const INSTALLATIONS: Needs = Needs { function: "installations", client_id: true, provisioner: true, ..NOTHING };
/// Sign-on.
pub const SSO: Needs = Needs { function: "sso", client_id: true, client_secret: true, partners: true, ..NOTHING };
/// Vercel's webhooks. An uninstall by webhook releases resources at the provisioner.
pub const WEBHOOKS: Needs = Needs { function: "webhooks", client_secret: true, provisioner: true, ..NOTHING };
/// Event dispatch.
pub const EVENTS: Needs = Needs { function: "events", partners: true, ..NOTHING };
/// Metering.
pub const USAGE: Needs = Needs { function: "usage", partners: true, ..NOTHING };
/// The hourly push.
pub const BILLING: Needs = Needs { function: "billing", cron: true, ..NOTHING };
/// Invoices.
pub const INVOICES: Needs = Needs { function: "invoices", partners: true, cron: true, ..NOTHING };
/// Rotation.
pub const SECRETS: Needs = Needs { function: "secrets", partners: true, cron: true, provisioner: true, ..NOTHING };
/// The sweeper.
pub const OUTBOX: Needs = Needs { function: "outbox", cron: true, provisioner: true, ..NOTHING };

const NOTHING: Needs =
    Needs { function: "", client_id: false, client_secret: false, partners: false, cron: false, provisioner: false };

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

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is not there.
    #[error("{name} is not set; the {function} function cannot start without it")]
    Missing {
        /// The variable.
        name: &'static str,
        /// The function.
        function: &'static str,
    },
    /// A variable's value is not usable.
    #[error("{name} is not valid for the {function} function: {why}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// The function.
        function: &'static str,
        /// Why; never a secret's value.
        why: String,
    },
    /// The store's variables.
    #[error(transparent)]
    Store(#[from] tradepost_store::ConfigError),
    /// The HTTP client.
    #[error("the HTTP client cannot be made: {0}")]
    Network(String),
}

/// Reads single variables for one function.
struct Reader<'a> {
    environment: &'a dyn Environment,
    function: &'static str,
}

impl Reader<'_> {
    fn optional(&self, name: &'static str) -> Option<String> {
        self.environment.var(name)
    }

    fn required(&self, name: &'static str) -> Result<String, SettingsError> {
        self.optional(name).ok_or(SettingsError::Missing { name, function: self.function })
    }

    fn invalid(&self, name: &'static str, why: impl Display) -> SettingsError {
        SettingsError::Invalid { name, function: self.function, why: why.to_string() }
    }

    /// A secret and, while it rotates, the one before.
    fn rotating(&self, name: &'static str, previous: &'static str) -> Result<Vec<SecretString>, SettingsError> {
        let current = SecretString::from(self.required(name)?);
        Ok(std::iter::once(current).chain(self.optional(previous).map(SecretString::from)).collect())
    }

    fn endpoint(&self, name: &'static str, default: &str) -> Result<Endpoint, SettingsError> {
        let set = self.optional(name);
        let endpoint =
            endpoint::checked(set.as_deref().unwrap_or(default)).map_err(|error| self.invalid(name, error))?;
        if set.is_some() {
            // Whoever sets the issuer decides who is let in: it must be seen.
            tracing::warn!(variable = name, endpoint = endpoint.as_str(), "Vercel's address is overridden");
        }
        Ok(endpoint)
    }
}

/// Builds a function's provider from the environment and the machine's own doors.
pub fn provider(environment: &dyn Environment, platform: Platform, needs: Needs) -> Result<Provider, SettingsError> {
    let read = Reader { environment, function: needs.function };
    let http: HttpDoor = Arc::new(Network::new(USER_AGENT).map_err(|error| SettingsError::Network(error.to_string()))?);
    let sleeper: Arc<dyn Sleeper> = Arc::new(SystemSleeper);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let clock = BusinessClock(Arc::new(SystemClock));
    let lease = LeaseClock(Arc::new(SystemClock));
    let dynamo = DynamoConfig::from_environment(environment, platform == Platform::Vercel)?;
    let table = dynamo.table.clone();
    let ring = KeyRing::parse(&read.required("TRADEPOST_KEY_RING")?);
    let ring = ring.map_err(|error| read.invalid("TRADEPOST_KEY_RING", error))?;
    let api = read.endpoint("VERCEL_API_URL", VERCEL_API)?;
    let client_id = if needs.client_id { read.required("INTEGRATION_CLIENT_ID")? } else { "unused".to_owned() };
    let client_id = ClientId::new(client_id).map_err(|error| read.invalid("INTEGRATION_CLIENT_ID", error))?;
    let issuer = read.endpoint("VERCEL_OIDC_ISSUER", VERCEL_ISSUER)?;
    let parts = Parts {
        store: Store::new(Arc::new(DynamoBackend::new(dynamo)), Arc::clone(&sleeper), Arc::clone(&entropy)),
        vault: Vault::new(ring, table, Arc::clone(&entropy)),
        vercel: Client::new(Arc::clone(&http), api, lease.clone(), Arc::clone(&sleeper), Arc::clone(&entropy)),
        verifier: Verifier::new(Arc::clone(&http), issuer, client_id.clone()),
        catalog: catalog(&read)?,
        provisioner: provisioner(&read, needs, http, &clock, &lease)?,
        partners: partners(&read, needs)?,
        client_id,
        client_secrets: if needs.client_secret {
            read.rotating("INTEGRATION_CLIENT_SECRET", "INTEGRATION_CLIENT_SECRET_PREVIOUS")?
        } else {
            Vec::new()
        },
        cron_secrets: if needs.cron && platform != Platform::Lambda {
            read.rotating("CRON_SECRET", "CRON_SECRET_PREVIOUS")?
        } else {
            Vec::new()
        },
        dashboard_url: read.optional("TRADEPOST_DASHBOARD_URL").map(|url| dashboard(&read, &url)).transpose()?,
        insecure_cookies: platform == Platform::Localhost,
        deadline: deadline(&read)?,
        clock,
        lease,
        sleeper,
        entropy,
    };
    Ok(Provider::new(parts))
}

fn catalog(read: &Reader<'_>) -> Result<Catalog, SettingsError> {
    let text = read.optional("TRADEPOST_CATALOG");
    let text = text.as_deref().unwrap_or(DEMO_CATALOG);
    served_catalog(text).map_err(|why| read.invalid("TRADEPOST_CATALOG", why))
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

fn partners(read: &Reader<'_>, needs: Needs) -> Result<PartnerKeys, SettingsError> {
    if !needs.partners {
        return Ok(PartnerKeys::default());
    }
    let json = SecretString::from(read.required("TRADEPOST_PARTNER_KEYS")?);
    PartnerKeys::parse(&json).map_err(|error| read.invalid("TRADEPOST_PARTNER_KEYS", error))
}

fn provisioner(
    read: &Reader<'_>,
    needs: Needs,
    http: HttpDoor,
    clock: &BusinessClock,
    lease: &LeaseClock,
) -> Result<Option<Provisioner>, SettingsError> {
    if !needs.provisioner {
        return Ok(None);
    }
    let text = read.required("TRADEPOST_PROVISIONER_URL")?;
    let endpoint = endpoint::checked(&text).map_err(|error| read.invalid("TRADEPOST_PROVISIONER_URL", error))?;
    let uri = endpoint.as_str().parse().map_err(|error| read.invalid("TRADEPOST_PROVISIONER_URL", error))?;
    let secret = SecretString::from(read.required("TRADEPOST_PROVISIONER_SECRET")?);
    let secret = SigningSecret::parse("TRADEPOST_PROVISIONER_SECRET", &secret)
        .map_err(|error| read.invalid("TRADEPOST_PROVISIONER_SECRET", error))?;
    Ok(Some(Provisioner::new(http, uri, secret, clock.clone(), lease.clone())))
}

fn dashboard(read: &Reader<'_>, text: &str) -> Result<String, SettingsError> {
    let endpoint = endpoint::checked(text).map_err(|error| read.invalid("TRADEPOST_DASHBOARD_URL", error))?;
    Ok(endpoint.as_str().to_owned())
}

fn deadline(read: &Reader<'_>) -> Result<Duration, SettingsError> {
    let name = "TRADEPOST_DEADLINE_SECONDS";
    let Some(text) = read.optional(name) else { return Ok(Duration::from_secs(DEADLINE_SECONDS)) };
    match text.parse() {
        Ok(seconds @ DEADLINE_SECONDS_MIN..=DEADLINE_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(read.invalid(
            name,
            format!("it must be a number of seconds from {DEADLINE_SECONDS_MIN} to {DEADLINE_SECONDS_MAX}"),
        )),
    }
}
