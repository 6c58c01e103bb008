//! The fixed keys of development: known to everybody, so good for nothing but a loopback address.
//!
//! Used by `dev` and `demo`, and by tests that need the same. [`check_loopback`] is what keeps them at home.

use std::net::SocketAddr;

use anyhow::bail;

/// The integration's client id.
pub const CLIENT_ID: &str = "oac_tradepost_development";
/// The integration's client secret.
pub const CLIENT_SECRET: &str = "development-client-secret-5d0f6a27c1";
/// What the scheduler shows.
pub const CRON_SECRET: &str = "development-cron-secret-91b7e3d840";
/// The id of the one partner key, which has every scope.
pub const PARTNER_KEY_ID: &str = "development";
/// Its secret.
pub const PARTNER_SECRET: &str = "whsec_dHJhZGVwb3N0IGRldmVsb3BtZW50IHBhcnRuZXIgMDE=";
/// What orders to the demo provisioner are signed with.
pub const PROVISIONER_SECRET: &str = "whsec_dHJhZGVwb3N0IGRldmVsb3BtZW50IHByb3Zpc2lvbiAx";
/// The key ring, as `TRADEPOST_KEY_RING` has it.
pub const KEY_RING: &str = "development:dHJhZGVwb3N0IGRldmVsb3BtZW50IHJpbmcgMDAwMDE=";
/// The catalog of the repository.
pub const CATALOG: &str = include_str!("../../../catalog.toml");

/// The partner keys, as `TRADEPOST_PARTNER_KEYS` has them.
pub fn partner_keys() -> String {
    let scopes = r#"["usage","events","secrets","invoices","refunds","read","provisioner"]"#;
    format!(r#"[{{"id":"{PARTNER_KEY_ID}","secrets":["{PARTNER_SECRET}"],"scopes":{scopes}}}]"#)
}

/// Every fixed secret, for tests that look for them where they must not be.
pub fn secrets() -> [&'static str; 5] {
    let ring = KEY_RING.split_once(':').map_or(KEY_RING, |(_, key)| key);
    [CLIENT_SECRET, CRON_SECRET, PARTNER_SECRET, PROVISIONER_SECRET, ring]
}

/// Refuses an address that others could reach: these keys would let them in.
pub fn check_loopback(addresses: &[SocketAddr]) -> anyhow::Result<()> {
    for address in addresses {
        if !address.ip().is_loopback() {
            bail!(
                "{address} is not a loopback address, and the development keys are known to everybody; use 127.0.0.1"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tradepost_provider::signing::{PartnerKeys, SigningSecret};
    use tradepost_store::KeyRing;

    use super::*;

    #[test]
    fn the_fixed_keys_are_usable() {
        assert!(PartnerKeys::parse(&SecretString::from(partner_keys())).is_ok());
        assert!(SigningSecret::parse("x", &SecretString::from(PROVISIONER_SECRET)).is_ok());
        assert!(KeyRing::parse(KEY_RING).is_ok());
    }

    #[test]
    fn only_loopback_is_home() {
        let at = |text: &str| [text.parse::<SocketAddr>().unwrap()];
        assert!(check_loopback(&at("127.0.0.1:1")).is_ok() && check_loopback(&at("[::1]:1")).is_ok());
        for open in ["0.0.0.0:1", "192.168.0.1:1", "[::]:1"] {
            assert!(check_loopback(&at(open)).unwrap_err().to_string().contains("use 127.0.0.1"), "{open}");
        }
    }
}
