//! The store's variables, read whole: every problem is reported, not only the first.
//!
//! On Lambda and on localhost the standard AWS variables count; on Vercel only our own, because Vercel itself
//! runs on Lambda and the standard ones there may belong to it.

use secrecy::SecretString;
use tradepost_marketplace::doors::Environment;

use super::{DynamoCredentials, Role, Source, StoreSettings};

/// The variable with the table's name.
pub const TABLE_VARIABLE: &str = "TRADEPOST_TABLE";

const ROLE: &str = "TRADEPOST_AWS_ROLE_ARN";
const STS_ENDPOINT: &str = "TRADEPOST_AWS_ENDPOINT_URL_STS";

/// The longest text of any of these variables, in bytes; a session token is the longest.
const TEXT_BYTES_MAX: usize = 8 * 1024;
const REGION_BYTES_MAX: usize = 32;

/// A problem with one variable. Never holds its value.
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

/// The names that count on one platform.
struct Names {
    region: &'static [&'static str],
    access_key_id: &'static str,
    secret_access_key: &'static str,
    session_token: Option<&'static str>,
    endpoint: &'static [&'static str],
    kms_endpoint: &'static [&'static str],
    way_out: &'static str,
}

const STANDARD: Names = Names {
    region: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    access_key_id: "AWS_ACCESS_KEY_ID",
    secret_access_key: "AWS_SECRET_ACCESS_KEY",
    session_token: Some("AWS_SESSION_TOKEN"),
    endpoint: &["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"],
    kms_endpoint: &["AWS_ENDPOINT_URL_KMS"],
    way_out: "Lambda sets it by itself; elsewhere set it, to any value if AWS_ENDPOINT_URL_DYNAMODB names an emulator",
};

const ON_VERCEL: Names = Names {
    region: &["TRADEPOST_AWS_REGION"],
    access_key_id: "TRADEPOST_AWS_ACCESS_KEY_ID",
    secret_access_key: "TRADEPOST_AWS_SECRET_ACCESS_KEY",
    session_token: None,
    endpoint: &["TRADEPOST_AWS_ENDPOINT_URL"],
    kms_endpoint: &["TRADEPOST_AWS_ENDPOINT_URL_KMS"],
    way_out: "set it in the project's environment variables; on Vercel the AWS_ names are not ours to use",
};

/// Reads variables and notes what is wrong with them.
struct Reader<'a> {
    environment: &'a dyn Environment,
    names: &'static Names,
    problems: Vec<ConfigError>,
}

impl Reader<'_> {
    fn missing(&mut self, variable: &'static str, way_out: &'static str) {
        self.problems.push(ConfigError::Missing { variable, way_out });
    }

    fn invalid(&mut self, variable: &'static str, why: &'static str) {
        self.problems.push(ConfigError::Invalid { variable, why });
    }

    /// A text of visible ASCII, if it is set; what is wrong with it is noted.
    fn text(&mut self, variable: &'static str) -> Option<String> {
        let text = self.environment.var(variable)?;
        if text.len() > TEXT_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.invalid(variable, "it has a space, a line end or another character that it cannot have");
        }
        Some(text)
    }

    fn required(&mut self, variable: &'static str) -> String {
        let text = self.text(variable);
        if text.is_none() {
            self.missing(variable, self.names.way_out);
        }
        text.unwrap_or_default()
    }

    fn table(&mut self) -> String {
        let Some(table) = self.environment.var(TABLE_VARIABLE) else {
            self.missing(TABLE_VARIABLE, "set it to the name of the DynamoDB table");
            return String::new();
        };
        if let Err(why) = check_table_name(&table) {
            self.invalid(TABLE_VARIABLE, why);
        }
        table
    }

    fn region(&mut self) -> String {
        let set = self.names.region.iter().find_map(|name| Some((*name, self.environment.var(name)?)));
        let Some((variable, region)) = set else {
            self.missing(self.names.region.first().copied().unwrap_or_default(), self.names.way_out);
            return String::new();
        };
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.len() > REGION_BYTES_MAX || !region.bytes().all(allowed) {
            self.invalid(variable, "a region looks like eu-central-1");
        }
        region
    }

    fn endpoint(&mut self, names: &[&'static str], strict: bool) -> Option<String> {
        let (variable, url) = names.iter().find_map(|name| Some((*name, self.environment.var(name)?)))?;
        if let Err(why) = check_endpoint(&url, strict) {
            self.invalid(variable, why);
        }
        Some(url)
    }

    fn keys(&mut self) -> DynamoCredentials {
        let names = self.names;
        DynamoCredentials {
            access_key_id: self.required(names.access_key_id),
            secret_access_key: self.required(names.secret_access_key).into(),
            session_token: names.session_token.and_then(|name| self.text(name)).map(SecretString::from),
        }
    }

    /// On Vercel: a role or keys, and never both, so that it is certain who we are.
    fn role_or_keys(&mut self, region: &str) -> Source {
        let set = |name| self.environment.var(name).is_some();
        let any_key = set(self.names.access_key_id) || set(self.names.secret_access_key);
        let Some(arn) = self.environment.var(ROLE) else {
            if !any_key {
                self.missing(
                    ROLE,
                    "set it to the role to take by web identity, or set TRADEPOST_AWS_ACCESS_KEY_ID and \
                     TRADEPOST_AWS_SECRET_ACCESS_KEY; on Vercel the AWS_ names are not ours to use",
                );
            }
            return if any_key { Source::Keys(self.keys()) } else { Source::Keys(nobody()) };
        };
        if any_key {
            self.invalid(
                ROLE,
                "TRADEPOST_AWS_ACCESS_KEY_ID or TRADEPOST_AWS_SECRET_ACCESS_KEY is set, too; remove the role or the keys, \
                 so that it is certain who we are",
            );
        }
        if !is_role(&arn) {
            self.invalid(ROLE, "a role's name is arn:aws:iam::ACCOUNT:role/NAME");
        }
        let sts = self.endpoint(&[STS_ENDPOINT], true).unwrap_or_else(|| address("sts", region));
        Source::Role(Role { arn, sts })
    }
}

/// Stands in while the problems are collected; nothing is made of it.
fn nobody() -> DynamoCredentials {
    DynamoCredentials { access_key_id: String::new(), secret_access_key: String::new().into(), session_token: None }
}

impl StoreSettings {
    /// Reads the variables; `on_vercel` decides which names count. All problems are reported.
    pub fn read(environment: &dyn Environment, on_vercel: bool) -> Result<Self, Vec<ConfigError>> {
        let names = if on_vercel { &ON_VERCEL } else { &STANDARD };
        let mut reader = Reader { environment, names, problems: Vec::new() };
        let table = reader.table();
        let region = reader.region();
        let source = if on_vercel { reader.role_or_keys(&region) } else { Source::Keys(reader.keys()) };
        let endpoint = reader.endpoint(names.endpoint, on_vercel);
        let kms = reader.endpoint(names.kms_endpoint, on_vercel).unwrap_or_else(|| address("kms", &region));
        if reader.problems.is_empty() {
            Ok(Self { table, region, endpoint, kms, source })
        } else {
            Err(reader.problems)
        }
    }
}

/// Whether this can be a table's name; if not, what one is.
pub fn check_table_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_name = (3..=255).contains(&name.len()) && name.bytes().all(allowed);
    if is_name { Ok(()) } else { Err("a table's name is 3 to 255 of the characters A-Z a-z 0-9 _ - .") }
}

/// A service's address in a region. (The regions in China are a partition of their own.)
fn address(service: &str, region: &str) -> String {
    let tail = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{tail}/")
}

fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (prefix, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    prefix == "arn"
        && partition.starts_with("aws")
        && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=512).contains(&name.len())
        && name.bytes().all(in_name)
}

/// On Vercel an endpoint is for tests only, so plain http goes to loopback only.
fn check_endpoint(url: &str, strict: bool) -> Result<(), &'static str> {
    let plain = url.strip_prefix("http://");
    if plain.is_none() && !url.starts_with("https://") {
        return Err("it must begin with https:// or http://");
    }
    let host = plain.and_then(|rest| rest.split(['/', '?', '#']).next());
    let loopback = |authority: &str| {
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    };
    if strict && host.is_some_and(|authority| !loopback(authority)) {
        return Err("plain http is for loopback addresses only; use https");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
