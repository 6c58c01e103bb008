//! What OpenTelemetry's own variables say, as far as it concerns traces over HTTP. A variable that cannot be followed
//! is an error that names it: traces that silently go nowhere are worse than none.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tradepost_marketplace::doors::Environment;
use tradepost_marketplace::endpoint;

use super::sampler::Sampler;
use crate::PlaceError;

const DISABLED: &str = "OTEL_SDK_DISABLED";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// What we speak.
const JSON: &str = "http/json";
/// The specification's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The most headers, or attributes of the resource.
const PAIRS_MAX: usize = 64;

/// Where spans go, and as whose.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) url: Uri,
    /// Each marked as sensitive.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// `service.name` and whatever else describes this process.
    pub(super) resource: Vec<(String, String)>,
}

impl Settings {
    /// None where no collector is named, or the whole is switched off.
    pub(super) fn of(function: &str, environment: &dyn Environment) -> Result<Option<Self>, PlaceError> {
        let disabled = environment.var(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(url) = url(environment)?.filter(|_| !disabled) else { return Ok(None) };
        if let Some((variable, _)) = first(environment, &PROTOCOL).filter(|(_, protocol)| protocol != JSON) {
            return Err(wrong(variable, "http/json, which is all that is spoken"));
        }
        let timeout = match first(environment, &TIMEOUT) {
            None => TIMEOUT_DEFAULT,
            Some((variable, text)) => {
                let milliseconds = text.parse().map_err(|_| wrong(variable, "a number of milliseconds"))?;
                Duration::from_millis(milliseconds)
            }
        };
        let argument = environment.var(SAMPLER_ARGUMENT);
        let sampler = match environment.var(SAMPLER) {
            None => Sampler::default(),
            Some(name) => Sampler::named(&name, argument.as_deref()).ok_or_else(|| {
                wrong(SAMPLER, "[parentbased_]always_on, always_off or traceidratio, the ratio from 0 to 1 in its _ARG")
            })?,
        };
        let resource = resource(function, environment)?;
        Ok(Some(Self { url, headers: headers(environment)?, timeout, sampler, resource }))
    }
}

const fn wrong(variable: &'static str, wanted: &'static str) -> PlaceError {
    PlaceError { variable, wanted }
}

/// The first that is set.
fn first(environment: &dyn Environment, variables: &[&'static str; 2]) -> Option<(&'static str, String)> {
    variables.iter().find_map(|variable| Some((*variable, environment.var(variable)?)))
}

/// The variable for traces names the whole address, the general one what `/v1/traces` is added to.
fn url(environment: &dyn Environment) -> Result<Option<Uri>, PlaceError> {
    let (variable, text, segments): (_, _, &[&str]) =
        match (environment.var(TRACES_ENDPOINT), environment.var(ENDPOINT)) {
            (Some(text), _) => (TRACES_ENDPOINT, text, &[]),
            (None, Some(text)) => (ENDPOINT, text, &["v1", "traces"]),
            (None, None) => return Ok(None),
        };
    let refused = wrong(variable, "an https address, or http to this machine");
    let Ok(endpoint) = endpoint::checked(&text) else { return Err(refused) };
    let url = if segments.is_empty() { text } else { endpoint.join(segments.iter().copied()).into() };
    url.parse().map(Some).map_err(|_| refused)
}

fn headers(environment: &dyn Environment) -> Result<HeaderMap, PlaceError> {
    let Some((variable, text)) = first(environment, &HEADERS) else { return Ok(HeaderMap::new()) };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(variable, &text)? {
        let name = HeaderName::try_from(name).map_err(|_| wrong(variable, "header names and values"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong(variable, "header names and values"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn resource(function: &str, environment: &dyn Environment) -> Result<Vec<(String, String)>, PlaceError> {
    let mut resource = match environment.var(RESOURCE) {
        Some(text) => pairs(RESOURCE, &text)?,
        None => Vec::new(),
    };
    let named = resource.iter().position(|(name, _)| name == "service.name").map(|at| resource.remove(at).1);
    let name = environment.var(SERVICE).or(named).unwrap_or_else(|| format!("tradepost-{function}"));
    resource.push(("service.name".to_owned(), name));
    resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    Ok(resource)
}

/// `name=value,name=value`, values percent-encoded.
fn pairs(variable: &'static str, text: &str) -> Result<Vec<(String, String)>, PlaceError> {
    let bad = || wrong(variable, "name=value, separated by commas");
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(bad)?;
        Ok((name.trim().to_owned(), decoded(value.trim()).ok_or_else(bad)?))
    });
    let pairs = pairs.collect::<Result<Vec<_>, PlaceError>>()?;
    if pairs.len() > PAIRS_MAX { Err(bad()) } else { Ok(pairs) }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = more.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set(&'static [(&'static str, &'static str)]);

    impl Environment for Set {
        fn var(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }
    }

    fn read(variables: &'static [(&'static str, &'static str)]) -> Result<Option<Settings>, PlaceError> {
        Settings::of("usage", &Set(variables))
    }

    #[test]
    fn without_a_collector_or_switched_off_there_are_none() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[(ENDPOINT, "http://127.0.0.1:4318"), (DISABLED, "true")]).unwrap().is_none());
    }

    #[test]
    fn the_standard_variables_count() {
        let settings = read(&[(ENDPOINT, "https://otel.example.com/base/")]).unwrap().unwrap();
        assert_eq!(settings.url, "https://otel.example.com/base/v1/traces");
        assert_eq!((settings.timeout, settings.sampler), (TIMEOUT_DEFAULT, Sampler::default()));
        assert_eq!(settings.resource[0], ("service.name".to_owned(), "tradepost-usage".to_owned()));
        let settings = read(&[
            (ENDPOINT, "https://otel.example.com"),
            (TRACES_ENDPOINT, "http://localhost:4318/x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=c%3Dd, x-team = a "),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "700"),
            (RESOURCE, "deployment.environment=prod,service.name=ours"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.url.to_string().as_str(), settings.timeout.as_millis()), ("http://localhost:4318/x", 700));
        assert_eq!(
            (&settings.headers["api-key"], &settings.headers["x-team"]),
            (&"c=d".parse().unwrap(), &"a".parse().unwrap())
        );
        assert!(!format!("{settings:?}").contains("c=d"), "a header may be a key");
        let resource = |name: &str| settings.resource.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
        assert_eq!((resource("service.name"), resource("deployment.environment")), (Some("ours"), Some("prod")));
    }

    #[test]
    fn a_variable_that_cannot_be_followed_is_named() {
        let cases: [(&'static [(&str, &str)], &str); 7] = [
            (&[(ENDPOINT, "http://otel.example.com")], ENDPOINT),
            (&[(TRACES_ENDPOINT, "otel")], TRACES_ENDPOINT),
            (&[(TRACES_ENDPOINT, "https://a"), (PROTOCOL[1], "grpc")], PROTOCOL[1]),
            (&[(TRACES_ENDPOINT, "https://a"), (HEADERS[1], "key")], HEADERS[1]),
            (&[(TRACES_ENDPOINT, "https://a"), (TIMEOUT[0], "1s")], TIMEOUT[0]),
            (&[(TRACES_ENDPOINT, "https://a"), (SAMPLER, "never")], SAMPLER),
            (&[(TRACES_ENDPOINT, "https://a"), (RESOURCE, "a=%zz")], RESOURCE),
        ];
        for (variables, named) in cases {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.starts_with(named), "{error}");
        }
    }
}
