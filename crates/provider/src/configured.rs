//! The one place where a provider is made: what it is configured with, and the doors it gets, become a [`Provider`].
//!
//! A function's settings make it of the environment ([`crate::settings`]); the local server, the seeded histories and
//! the world of the tests of the keys of development; the fuzz targets of their own. Nobody else can: [`Provider`]'s
//! parts are private to this crate.

use http::Uri;
use tradepost_marketplace::client::Client;
use tradepost_marketplace::endpoint::Endpoint;
use tradepost_marketplace::http_door::HttpDoor;
use tradepost_marketplace::ids::ClientId;
use tradepost_marketplace::oidc::Verifier;
use tradepost_store::seal::KeyRing;

use crate::provider::{Doors, Parts, Provider, RotatingSecret, SignOn};
use crate::provisioner::Provisioner;
use crate::signing::{PartnerKeys, SigningSecret};
use crate::state::vault::Vault;
use tradepost_pricing::catalog::Catalog;

/// What opens and seals at rest.
#[derive(Debug)]
pub struct Keys {
    /// The key ring.
    pub ring: KeyRing,
    /// The table that values are encrypted for. A restored table keeps the name of the first.
    pub sealed_as: String,
}

/// Whose tokens, and for whom they must be.
#[derive(Debug)]
pub struct Tokens {
    /// Who signs them.
    pub issuer: Endpoint,
    /// The audience.
    pub client_id: ClientId,
}

/// Where the provisioner is, and with what orders are signed.
#[derive(Debug)]
pub struct Orders {
    /// Where orders are sent.
    pub url: Uri,
    /// What signs them.
    pub secret: SigningSecret,
}

/// What a provider is configured with: one field for each [`Concern`](crate::function::Concern), empty without it.
#[derive(Debug, Default)]
pub struct Configured {
    /// What opens and seals at rest.
    pub keys: Option<Keys>,
    /// Vercel's API.
    pub vercel: Option<Endpoint>,
    /// What verifies Vercel's tokens.
    pub tokens: Option<Tokens>,
    /// How a person is signed in.
    pub sign_on: Option<SignOn>,
    /// The client secrets that verify Vercel's webhooks.
    pub webhooks: Option<RotatingSecret>,
    /// The keys of partner systems.
    pub partners: Option<PartnerKeys>,
    /// What the scheduler may show; an empty list where the platform schedules (AWS).
    pub cron: Option<RotatingSecret>,
    /// Where orders to the product go, and what signs them.
    pub provisioner: Option<Orders>,
    /// Products, plans and prices.
    pub catalog: Option<Catalog>,
}

impl Configured {
    /// The provider, behind these doors. Vercel and the provisioner are reached through `http`.
    pub fn provider(self, http: &HttpDoor, doors: Doors) -> Provider {
        let Doors { clock, lease, sleeper, entropy, .. } = &doors;
        let vault = |keys: Keys| Vault::new(keys.ring, keys.sealed_as, entropy.clone());
        let client = |api| Client::new(http.clone(), api, lease.clone(), sleeper.clone(), entropy.clone());
        let verifier = |tokens: Tokens| Verifier::new(http.clone(), tokens.issuer, tokens.client_id);
        let provisioner =
            |there: Orders| Provisioner::new(http.clone(), there.url, there.secret, clock.clone(), lease.clone());
        Provider::new(Parts {
            keys: self.keys.map(vault),
            vercel: self.vercel.map(client),
            tokens: self.tokens.map(verifier),
            provisioner: self.provisioner.map(provisioner),
            sign_on: self.sign_on,
            webhooks: self.webhooks,
            partners: self.partners,
            cron: self.cron,
            catalog: self.catalog,
            doors,
        })
    }
}
