//! What a provider in here is configured with: every concern, with the keys of development.
//!
//! Used by the local server, by each process of a seeded history and by the world of the tests, which bring the doors
//! (`tradepost_provider::Configured::provider`). Fails on an address that is none.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tradepost_marketplace::endpoint;
use tradepost_marketplace::ids::ClientId;
use tradepost_provider::catalog::Catalog;
use tradepost_provider::signing::{PartnerKeys, SigningSecret};
use tradepost_provider::{Configured, Keys, Orders, RotatingSecret, SignOn, Tokens};
use tradepost_store::KeyRing;
use tradepost_store::embedded::TABLE_NAME;

use crate::development;

/// The time that a request to the provider gets.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(25);

/// Everything, for a Vercel and a provisioner at these addresses.
pub(crate) fn configured(vercel_url: &str, provisioner_url: &str, catalog: Catalog) -> anyhow::Result<Configured> {
    let secret = |text: &str| SecretString::from(text);
    let vercel = endpoint::checked(vercel_url).context("Vercel's address")?;
    let client_id = ClientId::new(development::CLIENT_ID)?;
    let orders = SigningSecret::parse("the provisioner's secret", &secret(development::PROVISIONER_SECRET))?;
    let provisioner_url = provisioner_url.parse().context("the provisioner's address")?;
    Ok(Configured {
        keys: Some(Keys { ring: KeyRing::parse(development::KEY_RING)?, sealed_as: TABLE_NAME.to_owned() }),
        vercel: Some(vercel.clone()),
        tokens: Some(Tokens { issuer: vercel, client_id: client_id.clone() }),
        catalog: Some(catalog),
        provisioner: Some(Orders { url: provisioner_url, secret: orders }),
        partners: Some(PartnerKeys::parse(&SecretString::from(development::partner_keys()))?),
        sign_on: Some(SignOn {
            client_id,
            client_secret: secret(development::CLIENT_SECRET),
            dashboard_url: None,
            insecure_cookies: true,
        }),
        webhooks: Some(RotatingSecret(vec![secret(development::CLIENT_SECRET)])),
        cron: Some(RotatingSecret(vec![secret(development::CRON_SECRET)])),
    })
}
