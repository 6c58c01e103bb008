//! Checked addresses of Vercel's side: the API and the issuer of tokens.
//!
//! Whoever can change either address can read every token or sign every request, so an address is https, or
//! plain http on this very machine, and nothing hides in it: no user, no query, no fragment.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Vercel's API (spec A).
pub const VERCEL_API: &str = "https://api.vercel.com";
/// The issuer of Vercel's tokens (spec C).
pub const VERCEL_ISSUER: &str = "https://marketplace.vercel.com";

/// The longest address, in bytes.
pub const ENDPOINT_BYTES_MAX: usize = 2048;

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute URL, or longer than [`ENDPOINT_BYTES_MAX`].
    #[error("not an absolute URL")]
    Syntax,
    /// Neither https nor http on a loopback address.
    #[error("https only; plain http only to a loopback address")]
    Scheme,
    /// Has a user name, a password, a query or a fragment.
    #[error("a base address has no user, query or fragment")]
    Extra,
}

/// A checked address.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    url: Url,
}

/// Checks an address.
pub fn checked(text: &str) -> Result<Endpoint, EndpointError> {
    if text.len() > ENDPOINT_BYTES_MAX {
        return Err(EndpointError::Syntax);
    }
    let url = Url::parse(text).map_err(|_| EndpointError::Syntax)?;
    if !is_safe(&url) {
        return Err(EndpointError::Scheme);
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Extra);
    }
    Ok(Endpoint { text: text.to_owned(), url })
}

/// Whether it is https, or http to this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Endpoint {
    /// The address as it was given, without a slash at its end: what an `iss` claim is compared with.
    pub fn as_str(&self) -> &str {
        self.text.trim_end_matches('/')
    }

    /// Whether it is on this machine: a simulation, never Vercel.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// The address with further path segments, each encoded, so that no id can leave its segment.
    pub fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url.clone();
        // `http` and `https` addresses always have a path; for those this cannot fail.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(segments);
        }
        url
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        checked(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_only_at_home() {
        for good in [
            "https://api.vercel.com",
            "https://vercel.com/api",
            "http://127.0.0.1:3211",
            "http://127.1.2.3",
            "http://[::1]:80/x",
            "http://localhost:3211/",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://api.vercel.com", EndpointError::Scheme),
            ("http://localhost.example.com", EndpointError::Scheme),
            ("http://127.0.0.1.example.com", EndpointError::Scheme),
            ("http://0.0.0.0", EndpointError::Scheme),
            ("http://169.254.169.254", EndpointError::Scheme),
            ("ftp://127.0.0.1", EndpointError::Scheme),
            ("file:///etc/passwd", EndpointError::Scheme),
            ("api.vercel.com", EndpointError::Syntax),
            ("", EndpointError::Syntax),
            ("https://", EndpointError::Syntax),
            ("https://api.vercel.com@example.com", EndpointError::Extra),
            ("https://:p@example.com", EndpointError::Extra),
            ("https://example.com?x", EndpointError::Extra),
            ("https://example.com#x", EndpointError::Extra),
        ] {
            assert_eq!(checked(bad).err(), Some(why), "{bad}");
        }
        assert_eq!(checked(&format!("https://example.com/{}", "x".repeat(2048))).err(), Some(EndpointError::Syntax));
    }

    #[test]
    fn segments_stay_segments() {
        let at = |base: &str| checked(base).unwrap().join(["v1", "a\\b", "c d"]).to_string();
        assert_eq!(at("https://vercel.com/api"), "https://vercel.com/api/v1/a%5Cb/c%20d");
        assert_eq!(at("http://127.0.0.1:1/"), "http://127.0.0.1:1/v1/a%5Cb/c%20d");
        assert_eq!(checked("http://127.0.0.1:1/").unwrap().to_string(), "http://127.0.0.1:1");
    }
}
