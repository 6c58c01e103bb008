//! Where the table is and who we are there.
//!
//! [`StoreSettings`] is what the environment says ([`read`](StoreSettings::read), all problems at once);
//! [`DynamoConfig`] is that with an [`Identity`], which gives the credentials of each call: fixed keys, or, on
//! Vercel, a role that each request takes with its own token. Nothing else is looked up: no files, no metadata
//! service, so a start costs no time and a wrong account is impossible.

mod assume;
pub mod identity;
mod read;
mod xml;

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::LeaseClock;
use tradepost_marketplace::http_door::HttpDoor;

use crate::seal::KeyRing;
#[cfg(feature = "kms")]
use crate::seal::kms::Kms;

pub use identity::{Identity, IdentityError};
pub use read::{ConfigError, TABLE_VARIABLE, check_table_name};

/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long DynamoDB may take to begin its answer.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take in all.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Who we are at AWS.
#[derive(Debug, Clone)]
pub struct DynamoCredentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// Comes with temporary credentials, such as Lambda's.
    pub session_token: Option<SecretString>,
}

/// A role to be taken by web identity, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::…:role/…`.
    pub arn: String,
    /// The address of the Security Token Service.
    pub sts: String,
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the environment.
    Keys(DynamoCredentials),
    /// By web identity, with each request's own token.
    Role(Role),
}

/// What the environment says about the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The table's name.
    pub table: String,
    /// Its region.
    pub region: String,
    /// Another endpoint than the region's own: an emulator.
    pub endpoint: Option<String>,
    /// The address of the Key Management Service, should keys be wrapped.
    pub kms: String,
    /// Where credentials come from.
    pub source: Source,
}

impl StoreSettings {
    /// Adds what calls need: the network and the clock by which a role's credentials expire. Calls nobody yet.
    pub fn connect(&self, http: &HttpDoor, clock: &LeaseClock) -> DynamoConfig {
        let identity = match &self.source {
            Source::Keys(keys) => Identity::fixed(keys.clone()),
            Source::Role(role) => Identity::by_request(role.clone(), http.clone(), clock.clone()),
        };
        let Self { table, region, endpoint, kms: _, source: _ } = self.clone();
        DynamoConfig { table, region, endpoint, identity }
    }

    /// The ring, with what unwraps its wrapped keys: the same identity as the table's.
    #[cfg(feature = "kms")]
    pub fn unwrapping(&self, ring: KeyRing, identity: &Identity, http: &HttpDoor, clock: &LeaseClock) -> KeyRing {
        let (http, identity, clock) = (http.clone(), identity.clone(), clock.clone());
        ring.unwrapped_by(Kms { http, identity, clock, region: self.region.clone(), endpoint: self.kms.clone() })
    }

    /// The ring as it is: this build takes none with wrapped keys.
    #[cfg(not(feature = "kms"))]
    pub fn unwrapping(&self, ring: KeyRing, _: &Identity, _: &HttpDoor, _: &LeaseClock) -> KeyRing {
        ring
    }
}

/// Where the table is and who we are there.
#[derive(Clone)]
pub struct DynamoConfig {
    /// The table's name.
    pub table: String,
    /// Its region.
    pub region: String,
    /// Another endpoint than the region's own: an emulator.
    pub endpoint: Option<String>,
    /// Who we are.
    pub identity: Identity,
}

impl fmt::Debug for DynamoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, region, endpoint, identity: _ } = self;
        f.debug_struct("DynamoConfig")
            .field("table", table)
            .field("region", region)
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

impl DynamoConfig {
    /// Builds a client with these credentials. No retries of the SDK's own; timeouts as named above.
    pub fn client(&self, credentials: &DynamoCredentials) -> Client {
        Client::from_conf(self.sdk_config(credentials).build())
    }

    /// The same client, its requests through another connector than the network's.
    #[cfg(feature = "embedded")]
    pub(crate) fn client_through(
        &self,
        credentials: &DynamoCredentials,
        connector: impl aws_sdk_dynamodb::config::HttpClient + 'static,
    ) -> Client {
        Client::from_conf(self.sdk_config(credentials).http_client(connector).build())
    }

    fn sdk_config(&self, credentials: &DynamoCredentials) -> aws_sdk_dynamodb::config::Builder {
        let DynamoCredentials { access_key_id, secret_access_key, session_token } = credentials;
        let credentials = aws_sdk_dynamodb::config::Credentials::new(
            access_key_id,
            secret_access_key.expose_secret(),
            session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "tradepost",
        );
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        config
    }
}
