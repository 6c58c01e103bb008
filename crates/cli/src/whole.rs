//! The provider whole: every concern configured, with the keys of development. Its doors are the caller's.
//!
//! Used by the local server, and by each process of a seeded history. Fails on an address that is none.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tradepost_marketplace::client::Client;
use tradepost_marketplace::doors::{BusinessClock, Entropy, LeaseClock, Sleeper};
use tradepost_marketplace::endpoint;
use tradepost_marketplace::http_door::HttpDoor;
use tradepost_marketplace::ids::ClientId;
use tradepost_marketplace::oidc::Verifier;
use tradepost_provider::catalog::Catalog;
use tradepost_provider::provisioner::Provisioner;
use tradepost_provider::signing::{PartnerKeys, SigningSecret};
use tradepost_provider::state::vault::Vault;
use tradepost_provider::{Doors, Parts, Provider, RotatingSecret, SignOn};
use tradepost_store::embedded::TABLE_NAME;
use tradepost_store::{Backend, KeyRing, Store};

use crate::development;

/// The time that a request to the provider gets.
const REQUEST_DEADLINE: Duration = Duration::from_secs(25);

/// What the provider gets from outside.
pub(crate) struct Outside<'a> {
    pub(crate) vercel_url: &'a str,
    pub(crate) provisioner_url: &'a str,
    pub(crate) catalog: Catalog,
    pub(crate) table: Arc<dyn Backend>,
    pub(crate) http: HttpDoor,
    pub(crate) clock: BusinessClock,
    pub(crate) lease: LeaseClock,
    pub(crate) sleeper: Arc<dyn Sleeper>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Outside<'_> {
    pub(crate) fn provider(self) -> anyhow::Result<Provider> {
        let Self { vercel_url, provisioner_url, catalog, table, http, clock, lease, sleeper, entropy } = self;
        let secret = |text: &str| SecretString::from(text);
        let vercel = endpoint::checked(vercel_url).context("Vercel's address")?;
        let client_id = ClientId::new(development::CLIENT_ID)?;
        let ring = KeyRing::parse(development::KEY_RING)?;
        let orders = SigningSecret::parse("the provisioner's secret", &secret(development::PROVISIONER_SECRET))?;
        let provisioner_url = provisioner_url.parse().context("the provisioner's address")?;
        Ok(Provider::new(Parts {
            keys: Some(Vault::new(ring, TABLE_NAME, entropy.clone())),
            vercel: Some(Client::new(http.clone(), vercel.clone(), lease.clone(), sleeper.clone(), entropy.clone())),
            tokens: Some(Verifier::new(http.clone(), vercel, client_id.clone())),
            catalog: Some(catalog),
            provisioner: Some(Provisioner::new(http, provisioner_url, orders, clock.clone(), lease.clone())),
            partners: Some(PartnerKeys::parse(&SecretString::from(development::partner_keys()))?),
            sign_on: Some(SignOn {
                client_id,
                client_secret: secret(development::CLIENT_SECRET),
                dashboard_url: None,
                insecure_cookies: true,
            }),
            webhooks: Some(RotatingSecret(vec![secret(development::CLIENT_SECRET)])),
            cron: Some(RotatingSecret(vec![secret(development::CRON_SECRET)])),
            doors: Doors {
                store: Store::new(table, sleeper.clone(), entropy.clone()).without_ttl(),
                deadline: REQUEST_DEADLINE,
                clock,
                lease,
                sleeper,
                entropy,
            },
        }))
    }
}
