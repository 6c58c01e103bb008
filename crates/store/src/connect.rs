//! Where the table is and who we are there, from the environment.
//!
//! On Lambda and on localhost the standard AWS variables count; on Vercel only our own, because Vercel itself
//! runs on Lambda and the standard ones there may belong to it. Nothing else is looked up: no files, no
//! metadata service, so a start costs no time and a wrong account is impossible.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::Environment;

/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long DynamoDB may take to begin its answer.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take in all.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// The variable with the table's name.
pub const TABLE_VARIABLE: &str = "TRADEPOST_TABLE";

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable is not set.
    #[error("{variable} is not set; {way_out}")]
    Missing {
        /// The variable.
        variable: &'static str,
        /// What to do.
        way_out: &'static str,
    },
    /// A variable has a value that cannot be used.
    #[error("{variable} is not usable: {why}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What is wrong and what to do.
        why: &'static str,
    },
}

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
    pub credentials: DynamoCredentials,
}

impl fmt::Debug for DynamoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, region, endpoint, credentials: _ } = self;
        f.debug_struct("DynamoConfig")
            .field("table", table)
            .field("region", region)
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

/// The names that count on one platform.
struct Names {
    region: &'static [&'static str],
    access_key_id: &'static str,
    secret_access_key: &'static str,
    session_token: Option<&'static str>,
    endpoint: &'static [&'static str],
    way_out: &'static str,
}

const STANDARD: Names = Names {
    region: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    access_key_id: "AWS_ACCESS_KEY_ID",
    secret_access_key: "AWS_SECRET_ACCESS_KEY",
    session_token: Some("AWS_SESSION_TOKEN"),
    endpoint: &["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"],
    way_out: "Lambda sets it by itself; elsewhere set it, to any value if AWS_ENDPOINT_URL_DYNAMODB names an emulator",
};

const ON_VERCEL: Names = Names {
    region: &["TRADEPOST_AWS_REGION"],
    access_key_id: "TRADEPOST_AWS_ACCESS_KEY_ID",
    secret_access_key: "TRADEPOST_AWS_SECRET_ACCESS_KEY",
    session_token: None,
    endpoint: &["TRADEPOST_AWS_ENDPOINT_URL"],
    way_out: "set it in the project's environment variables; on Vercel the AWS_ names are not ours to use",
};

impl DynamoConfig {
    /// Reads the configuration; `on_vercel` decides which names count.
    pub fn from_environment(environment: &dyn Environment, on_vercel: bool) -> Result<Self, ConfigError> {
        let names = if on_vercel { &ON_VERCEL } else { &STANDARD };
        let missing = |variable| ConfigError::Missing { variable, way_out: names.way_out };
        let first = |all: &[&'static str]| all.iter().find_map(|name| Some((*name, environment.var(name)?)));
        let table = environment.var(TABLE_VARIABLE).ok_or(ConfigError::Missing {
            variable: TABLE_VARIABLE,
            way_out: "set it to the name of the DynamoDB table",
        })?;
        let (_, region) =
            first(names.region).ok_or_else(|| missing(names.region.first().copied().unwrap_or_default()))?;
        let required = |variable| environment.var(variable).ok_or_else(|| missing(variable));
        let credentials = DynamoCredentials {
            access_key_id: required(names.access_key_id)?,
            secret_access_key: required(names.secret_access_key)?.into(),
            session_token: names.session_token.and_then(|name| environment.var(name)).map(SecretString::from),
        };
        let endpoint = match first(names.endpoint) {
            Some((variable, url)) => Some(check_endpoint(variable, url, on_vercel)?),
            None => None,
        };
        Ok(Self { table, region, endpoint, credentials })
    }

    /// Builds a client. No retries of the SDK's own; timeouts as named above.
    pub fn client(&self) -> Client {
        let DynamoCredentials { access_key_id, secret_access_key, session_token } = &self.credentials;
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
        Client::from_conf(config.build())
    }
}

/// On Vercel an endpoint is for tests only, so plain http goes to loopback only.
fn check_endpoint(variable: &'static str, url: String, strict: bool) -> Result<String, ConfigError> {
    let plain = url.strip_prefix("http://");
    if plain.is_none() && !url.starts_with("https://") {
        return Err(ConfigError::Invalid { variable, why: "it must begin with https:// or http://" });
    }
    let host = plain.and_then(|rest| rest.split(['/', '?', '#']).next());
    let loopback = |authority: &str| {
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    };
    if strict && host.is_some_and(|authority| !loopback(authority)) {
        return Err(ConfigError::Invalid { variable, why: "plain http is for loopback addresses only; use https" });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Variables(Vec<(&'static str, &'static str)>);

    impl Environment for Variables {
        fn var(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }
    }

    const STANDARD_SET: [(&str, &str); 4] = [
        ("TRADEPOST_TABLE", "t"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "standard-id"),
        ("AWS_SECRET_ACCESS_KEY", "standard-secret"),
    ];
    const VERCEL_SET: [(&str, &str); 3] = [
        ("TRADEPOST_AWS_REGION", "us-west-2"),
        ("TRADEPOST_AWS_ACCESS_KEY_ID", "own-id"),
        ("TRADEPOST_AWS_SECRET_ACCESS_KEY", "own-secret"),
    ];

    fn read(on_vercel: bool, sets: &[&[(&'static str, &'static str)]]) -> Result<DynamoConfig, ConfigError> {
        DynamoConfig::from_environment(&Variables(sets.concat()), on_vercel)
    }

    fn invalid(result: Result<DynamoConfig, ConfigError>) -> &'static str {
        match result {
            Err(ConfigError::Invalid { variable, .. }) => variable,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn standard_names_count_off_vercel() {
        let extra = [("AWS_SESSION_TOKEN", "temporary"), ("AWS_ENDPOINT_URL", "http://db:8000")];
        let config = read(false, &[&STANDARD_SET, &VERCEL_SET, &extra]).unwrap();
        assert_eq!((config.table.as_str(), config.region.as_str()), ("t", "eu-central-1"));
        assert_eq!(config.endpoint.as_deref(), Some("http://db:8000"));
        assert_eq!(config.credentials.access_key_id, "standard-id");
        assert_eq!(config.credentials.session_token.as_ref().unwrap().expose_secret(), "temporary");
        let shown = format!("{config:?} {:?}", config.credentials);
        assert!(!shown.contains("standard-secret") && !shown.contains("temporary"), "{shown}");

        let specific = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")];
        let config = read(false, &[&STANDARD_SET, &extra, &specific]).unwrap();
        assert_eq!(config.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    }

    #[test]
    fn on_vercel_the_standard_names_do_not_count() {
        let endpoint = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("AWS_SESSION_TOKEN", "temporary")];
        let config = read(true, &[&STANDARD_SET, &VERCEL_SET, &endpoint]).unwrap();
        assert_eq!((config.region.as_str(), config.endpoint), ("us-west-2", None));
        assert_eq!(config.credentials.access_key_id, "own-id");
        assert_eq!(config.credentials.secret_access_key.expose_secret(), "own-secret");
        assert!(config.credentials.session_token.is_none());

        let error = read(true, &[&STANDARD_SET]).unwrap_err().to_string();
        assert!(error.starts_with("TRADEPOST_AWS_REGION is not set; set it in the project"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        for set in [&STANDARD_SET[..], &VERCEL_SET[..]] {
            let on_vercel = set.len() == VERCEL_SET.len();
            for gone in 0..set.len() {
                let mut rest = set.to_vec();
                let (name, _) = rest.remove(gone);
                let table: &[_] = if on_vercel { &STANDARD_SET[..1] } else { &[] };
                let error = read(on_vercel, &[&rest, table]).unwrap_err();
                assert!(error.to_string().starts_with(&format!("{name} is not set; ")), "{error}");
            }
        }
    }

    #[test]
    fn our_own_endpoint_takes_plain_http_to_loopback_only() {
        let table = [STANDARD_SET[0]];
        let with = |url| read(true, &[&table, &VERCEL_SET, &[("TRADEPOST_AWS_ENDPOINT_URL", url)]]);
        for url in ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000", "https://dynamodb.example"]
        {
            assert_eq!(with(url).unwrap().endpoint.as_deref(), Some(url));
        }
        for url in
            ["http://db.example:8000", "http://127.0.0.1.example", "http://127.0.0.1@db.example", "127.0.0.1:8000"]
        {
            assert_eq!(invalid(with(url)), "TRADEPOST_AWS_ENDPOINT_URL", "{url}");
        }
        let standard = [("AWS_ENDPOINT_URL", "db:8000")];
        assert_eq!(invalid(read(false, &[&STANDARD_SET, &standard])), "AWS_ENDPOINT_URL");
    }
}
