//! Reading: one function's variables, each checked for real, all problems collected.
//!
//! A [`Reader`] is the environment as one function may see it: what the table of [`VARIABLES`] does not give it
//! is not there, so the table is what is read, and cannot say something else.

use std::time::Duration;

use http::Uri;
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::Environment;
use tradepost_marketplace::endpoint::{self, Endpoint, VERCEL_API, VERCEL_ISSUER};
use tradepost_marketplace::ids::ClientId;
use tradepost_store::StoreSettings;
use tradepost_store::connect::check_table_name;
use tradepost_store::seal::{KeyRing, SealError};

use super::problem::{Fault, Problem};
use super::{
    Concern, DEMO_CATALOG, Function, KeySettings, Platform, ProvisionerSettings, TokenSettings, Variable,
    served_catalog,
};
use crate::provider::{RotatingSecret, SignOn};
use crate::signing::{KeyError, PartnerKeys, SigningSecret};
use tradepost_pricing::catalog::Catalog;

/// How long a request may take if nothing is said: the HTTP API of AWS cuts at 30 s.
pub const DEADLINE_SECONDS: u64 = 25;
/// Below this the scheduled functions could not finish one call and write down what came of it.
const DEADLINE_SECONDS_MIN: u64 = 20;
/// The longest that any platform lets a request take.
const DEADLINE_SECONDS_MAX: u64 = 900;
/// The fewest characters of a secret that is only compared (Vercel advises as many for a cron secret).
const SECRET_CHARS_MIN: usize = 16;
const SECRET_CHARS_MAX: usize = 512;

/// One function's variables on one platform, and what is wrong with them.
pub(super) struct Reader<'a> {
    environment: &'a dyn Environment,
    function: Function,
    platform: Platform,
    problems: Vec<Problem>,
}

impl Environment for Reader<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let known = Variable::named(name).filter(|variable| variable.is_read_by(self.function, self.platform));
        known.and_then(|variable| self.environment.var(variable.name))
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a dyn Environment, function: Function, platform: Platform) -> Self {
        Self { environment, function, platform, problems: Vec::new() }
    }

    /// Everything that was wrong.
    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Reads a concern, if the function has it.
    pub(super) fn concern<T>(&mut self, concern: Concern, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.function.needs(concern) { read(self) } else { None }
    }

    fn problem(&mut self, variable: &'static str, fault: Fault) {
        self.problems.push(Problem { variable, function: self.function, fault });
    }

    fn required(&mut self, name: &'static str, way_out: &'static str) -> Option<String> {
        let value = self.var(name);
        if value.is_none() {
            self.problem(name, Fault::Missing(way_out));
        }
        value
    }

    fn checked<T>(&mut self, name: &'static str, value: Result<T, String>) -> Option<T> {
        value.map_err(|why| self.problem(name, Fault::Invalid(why))).ok()
    }

    pub(super) fn deadline(&mut self) -> Option<Duration> {
        let name = "TRADEPOST_DEADLINE_SECONDS";
        let Some(text) = self.var(name) else { return Some(Duration::from_secs(DEADLINE_SECONDS)) };
        let seconds = match text.parse() {
            Ok(seconds @ DEADLINE_SECONDS_MIN..=DEADLINE_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
            _ => Err(format!("it must be a number of seconds from {DEADLINE_SECONDS_MIN} to {DEADLINE_SECONDS_MAX}")),
        };
        self.checked(name, seconds)
    }

    pub(super) fn store(&mut self) -> Option<StoreSettings> {
        let read = StoreSettings::read(self, self.platform == Platform::Vercel);
        let function = self.function;
        read.map_err(|errors| self.problems.extend(errors.iter().map(|error| Problem::of_store(function, error)))).ok()
    }

    pub(super) fn keys(&mut self) -> Option<KeySettings> {
        let ring = self.ring();
        let name = "TRADEPOST_SEALED_AS";
        let sealed_as = match self.var(name) {
            None => None,
            Some(table) => Some(self.checked(name, check_table_name(&table).map(|()| table).map_err(str::to_owned))?),
        };
        Some(KeySettings { ring: ring?, sealed_as })
    }

    fn ring(&mut self) -> Option<KeyRing> {
        let name = "TRADEPOST_KEY_RING";
        let text = SecretString::from(self.required(name, "`tradepost config example` draws one")?);
        let form = "it is kid:base64 of 32 bytes, more after commas, the first encrypts; `tradepost config example` draws \
                    one";
        let ring = KeyRing::parse(text.expose_secret()).map_err(|error| match error {
            SealError::Ring { why } => format!("{why}; {form}"),
            other => other.to_string(),
        });
        self.checked(name, ring)
    }

    pub(super) fn vercel(&mut self) -> Option<Endpoint> {
        self.endpoint("VERCEL_API_URL", VERCEL_API)
    }

    pub(super) fn tokens(&mut self) -> Option<TokenSettings> {
        let issuer = self.endpoint("VERCEL_OIDC_ISSUER", VERCEL_ISSUER);
        let client_id = self.client_id();
        Some(TokenSettings { issuer: issuer?, client_id: client_id? })
    }

    /// Sign-on shares the client id with [`Self::tokens`], which has reported what is wrong with it.
    pub(super) fn sign_on(&mut self, tokens: Option<&TokenSettings>) -> Option<SignOn> {
        let client_secret = self.client_secret();
        let name = "TRADEPOST_DASHBOARD_URL";
        let dashboard = self.var(name).map(|url| {
            let url = endpoint::checked(&url).map(|endpoint| endpoint.as_str().to_owned());
            self.checked(name, url.map_err(|error| error.to_string()))
        });
        let dashboard_url = match dashboard {
            None => None,
            Some(checked) => Some(checked?),
        };
        let insecure_cookies = self.platform == Platform::Localhost;
        let client_id = tokens?.client_id.clone();
        Some(SignOn { client_id, client_secret: client_secret?, dashboard_url, insecure_cookies })
    }

    fn client_id(&mut self) -> Option<ClientId> {
        let name = "INTEGRATION_CLIENT_ID";
        let text = self.required(name, "copy it from the integration's settings in Vercel's Integration Console")?;
        self.checked(name, ClientId::new(text).map_err(|error| error.to_string()))
    }

    fn client_secret(&mut self) -> Option<SecretString> {
        let way_out = "copy it from the integration's settings in Vercel's Integration Console";
        self.secret("INTEGRATION_CLIENT_SECRET", way_out)
    }

    pub(super) fn webhooks(&mut self) -> Option<RotatingSecret> {
        let current = self.client_secret();
        self.rotating(current, "INTEGRATION_CLIENT_SECRET_PREVIOUS")
    }

    /// Where the platform itself schedules there is no secret, and none is accepted.
    pub(super) fn cron(&mut self) -> Option<RotatingSecret> {
        if self.platform == Platform::Lambda {
            return Some(RotatingSecret::default());
        }
        let way_out = "Vercel's scheduler shows it when it is an environment variable of the project; `tradepost config \
                       example` draws one";
        let current = self.secret("CRON_SECRET", way_out);
        self.rotating(current, "CRON_SECRET_PREVIOUS")
    }

    fn secret(&mut self, name: &'static str, way_out: &'static str) -> Option<SecretString> {
        let text = SecretString::from(self.required(name, way_out)?);
        self.checked(name, comparable(text))
    }

    /// A secret and, while it rotates, the one before.
    fn rotating(&mut self, current: Option<SecretString>, previous: &'static str) -> Option<RotatingSecret> {
        let previous = match self.var(previous).map(SecretString::from) {
            None => None,
            Some(text) => Some(self.checked(previous, comparable(text))?),
        };
        Some(RotatingSecret(std::iter::once(current?).chain(previous).collect()))
    }

    pub(super) fn partners(&mut self) -> Option<PartnerKeys> {
        let name = "TRADEPOST_PARTNER_KEYS";
        let json = SecretString::from(self.required(name, "`tradepost config example` shows one")?);
        self.checked(name, PartnerKeys::parse(&json).map_err(|error| without_name(name, &error)))
    }

    pub(super) fn provisioner(&mut self) -> Option<ProvisionerSettings> {
        let (url_name, secret_name) = ("TRADEPOST_PROVISIONER_URL", "TRADEPOST_PROVISIONER_SECRET");
        let url = self.required(url_name, "set it to where your provisioner answers (docs/provisioner.md)");
        let url = url.and_then(|text| {
            let url = endpoint::checked(&text).map_err(|error| error.to_string());
            let url = url.and_then(|url| url.as_str().parse::<Uri>().map_err(|error| error.to_string()));
            self.checked(url_name, url)
        });
        let secret =
            self.required(secret_name, "`tradepost config example` draws one; the provisioner verifies with it");
        let secret = secret.map(SecretString::from).and_then(|text| {
            let secret = SigningSecret::parse(secret_name, &text).map_err(|error| without_name(secret_name, &error));
            self.checked(secret_name, secret)
        });
        Some(ProvisionerSettings { url: url?, secret: secret? })
    }

    pub(super) fn catalog(&mut self) -> Option<Catalog> {
        let name = "TRADEPOST_CATALOG";
        let text = self.var(name);
        self.checked(name, served_catalog(text.as_deref().unwrap_or(DEMO_CATALOG)))
    }

    fn endpoint(&mut self, name: &'static str, default: &str) -> Option<Endpoint> {
        let set = self.var(name);
        let endpoint = endpoint::checked(set.as_deref().unwrap_or(default)).map_err(|error| error.to_string());
        self.checked(name, endpoint)
    }
}

/// A secret that is compared or sent in a header: visible ASCII, so that a line end copied with it is noticed.
fn comparable(text: SecretString) -> Result<SecretString, String> {
    let bytes = text.expose_secret().as_bytes();
    if !(SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&bytes.len()) {
        return Err(format!("it must have {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX} characters"));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err("it has a space, a line end or a character beyond ASCII".to_owned());
    }
    Ok(text)
}

/// The message, without the variable's name that a [`Problem`] begins with anyway.
fn without_name(name: &str, error: &KeyError) -> String {
    let message = error.to_string();
    let rest = message.strip_prefix(name).unwrap_or(&message);
    rest.trim_start_matches(':').trim_start().to_owned()
}
