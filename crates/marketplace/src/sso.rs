//! The query of Open in Provider (spec D): who comes with which code, and where they want to go.
//!
//! Everything here is under the browser's control. Only the code, once exchanged, proves anything; the rest is
//! a wish: check that a resource belongs to the installation of the token, and take [`SsoParams::target`], never
//! the raw `url`, which may point anywhere.

use std::borrow::Cow;

use secrecy::SecretString;
use url::{Origin, Url, form_urlencoded};

use crate::endpoint::is_safe;
use crate::ids::{InvalidId, ProductId, ResourceId};
use crate::wire::open_enum;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The longest code, in bytes.
pub const CODE_BYTES_MAX: usize = 2048;
/// The longest state, in bytes.
pub const STATE_BYTES_MAX: usize = 4096;
/// The longest other value, in bytes.
pub const VALUE_BYTES_MAX: usize = 2048;

/// Why a sign-on cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SsoError {
    /// The query, or one of its values, is too long.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// A parameter is there twice.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    /// There is no code.
    #[error("there is no code: start from Vercel's dashboard")]
    NoCode,
    /// `mode` is there and is not `sso`.
    #[error("the mode is not sso")]
    WrongMode,
    /// An id is not one.
    #[error(transparent)]
    Id(#[from] InvalidId),
}

open_enum! {
    /// Which page of the provider's is wanted.
    SsoPath {
        /// What it costs.
        Billing = "billing",
        /// What was used.
        Usage = "usage",
        /// What is left to set up.
        Onboarding = "onboarding",
        /// The secrets.
        Secrets = "secrets",
        /// Help.
        Support = "support",
    }
}

/// An origin that a target may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(Origin);

impl AllowedOrigin {
    /// From `https://host[:port]`, or plain http on this machine. `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(is_safe)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        (bare && has_no_user(&url)).then(|| Self(url.origin()))
    }
}

/// The parameters, each within its limit.
#[derive(Debug, Clone)]
pub struct SsoParams {
    /// The single-use code.
    pub code: SecretString,
    /// To be sent back when the code is exchanged.
    pub state: Option<String>,
    /// The product in question.
    pub product_id: Option<ProductId>,
    /// The resource in question; must belong to the token's installation.
    pub resource_id: Option<ResourceId>,
    /// The project in question, `prj_…`.
    pub project_id: Option<String>,
    /// The check in question, `chk_…`.
    pub check_id: Option<String>,
    /// The experimentation item in question.
    pub experimentation_item_id: Option<String>,
    /// The invoice in question; the spec leaves open whether by Vercel's id or ours.
    pub invoice_id: Option<String>,
    /// The page in question.
    pub path: Option<SsoPath>,
    /// The pull request in question; a text to show, not an address to follow.
    pub pr: Option<String>,
    /// Whether the person came by a support link.
    pub support: bool,
    url: Option<String>,
}

impl SsoParams {
    /// Reads a query (without `?`). Unknown parameters are ignored, empty ones count as absent.
    pub fn parse(query: &str) -> Result<Self, SsoError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(SsoError::TooLong("the query"));
        }
        let take = |name: &'static str, bytes_max: usize| take(query, name, bytes_max);
        let value = |name: &'static str| take(name, VALUE_BYTES_MAX);
        if value("mode")?.is_some_and(|mode| mode != "sso") {
            return Err(SsoError::WrongMode);
        }
        Ok(Self {
            code: take("code", CODE_BYTES_MAX)?.ok_or(SsoError::NoCode)?.into(),
            state: take("state", STATE_BYTES_MAX)?,
            product_id: value("product_id")?.map(ProductId::new).transpose()?,
            resource_id: value("resource_id")?.map(ResourceId::new).transpose()?,
            project_id: value("project_id")?,
            check_id: value("check_id")?,
            experimentation_item_id: value("experimentation_item_id")?,
            invoice_id: value("invoice_id")?,
            path: value("path")?.map(|path| SsoPath::from(path.as_str())),
            pr: value("pr")?,
            support: value("support")?.is_some_and(|support| support == "true"),
            url: value("url")?,
        })
    }

    /// Where the person wants to go, if it is an absolute address at one of these origins, without a user in it.
    pub fn target(&self, allowed: &[AllowedOrigin]) -> Option<Url> {
        let url = Url::parse(self.url.as_deref()?).ok().filter(is_safe).filter(has_no_user)?;
        allowed.iter().any(|origin| origin.0 == url.origin()).then_some(url)
    }

    /// Whether a target was asked for, allowed or not.
    pub fn has_target(&self) -> bool {
        self.url.is_some()
    }
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

fn take(query: &str, name: &'static str, bytes_max: usize) -> Result<Option<String>, SsoError> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() {
        return Err(SsoError::Repeated(name));
    }
    match first {
        Some(value) if value.len() > bytes_max => Err(SsoError::TooLong(name)),
        value => Ok(value.filter(|value| !value.is_empty()).map(Cow::into_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_read() {
        let params = SsoParams::parse(
            "mode=sso&code=c%2B1&state=s%201&product_id=p&resource_id=r1&project_id=prj_1&check_id=chk_1\
             &experimentation_item_id=e&invoice_id=mi_1&path=billing&pr=https%3A%2F%2Fexample.com%2F1&support=true\
             &url=https%3A%2F%2Fapp.example.com%2Fx%3Fy&new=1&state2=",
        )
        .unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&params.code), "c+1");
        assert_eq!(params.state.as_deref(), Some("s 1"));
        assert_eq!(params.resource_id.as_ref().unwrap().as_str(), "r1");
        assert_eq!(params.path, Some(SsoPath::Billing));
        assert!(params.support && params.has_target());
        assert!(!format!("{params:?}").contains("c+1"));
        let few = SsoParams::parse("code=c&state=&support=1").unwrap();
        assert!(few.state.is_none() && !few.support && !few.has_target());
    }

    #[test]
    fn what_cannot_be_a_sign_on_is_refused() {
        for (query, why) in [
            (String::new(), SsoError::NoCode),
            ("code=".to_owned(), SsoError::NoCode),
            ("mode=connect&code=c".to_owned(), SsoError::WrongMode),
            ("code=a&code=b".to_owned(), SsoError::Repeated("code")),
            ("code=a&state=1&state=2".to_owned(), SsoError::Repeated("state")),
            ("code=a&url=x&url=y".to_owned(), SsoError::Repeated("url")),
            (format!("code={}", "x".repeat(2049)), SsoError::TooLong("code")),
            (format!("code=c&state={}", "x".repeat(4097)), SsoError::TooLong("state")),
            (format!("code=c&url={}", "x".repeat(2049)), SsoError::TooLong("url")),
            (format!("code=c&x={}", "x".repeat(16 * 1024)), SsoError::TooLong("the query")),
            ("code=c&resource_id=a%2Fb".to_owned(), SsoError::Id(InvalidId::BadCharacter { kind: "ResourceId" })),
            ("code=c&product_id=..".to_owned(), SsoError::Id(InvalidId::DotSegment { kind: "ProductId" })),
        ] {
            assert_eq!(SsoParams::parse(&query).unwrap_err(), why, "{query:.40}");
        }
    }

    #[test]
    fn a_target_is_at_an_allowed_origin_or_nowhere() {
        let allowed = ["https://app.example.com", "https://b.example.com:8443/", "http://localhost:3000"]
            .map(|origin| AllowedOrigin::new(origin).unwrap());
        let target = |url: &str| {
            let encoded: String = form_urlencoded::byte_serialize(url.as_bytes()).collect();
            SsoParams::parse(&format!("code=c&url={encoded}")).unwrap().target(&allowed)
        };
        for good in [
            "https://app.example.com/x?y#z",
            "https://app.example.com:443/",
            "HTTPS://APP.EXAMPLE.COM/x",
            "https://b.example.com:8443/",
            "http://localhost:3000/x",
        ] {
            assert!(target(good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.example.com/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://u:p@app.example.com/",
            "https://app.example.com:8443/",
            "http://app.example.com/",
            "https://b.example.com/",
            "http://localhost/x",
            "//app.example.com/x",
            "/x",
            "x",
            "javascript:alert(1)",
            "data:text/html,x",
            "sso:https://app.example.com/",
            "https:evil",
            "https://app.example.com\\@evil.example/",
        ] {
            // A backslash is a slash to browsers and to this parser alike, so the last one may stay at home.
            assert!(
                target(bad).is_none_or(|url| url.host_str() == Some("app.example.com") && bad.contains('\\')),
                "{bad}"
            );
        }
        for bad in ["app.example.com", "http://app.example.com", "https://a.example/x", "https://u@a.example", "*", ""]
        {
            assert!(AllowedOrigin::new(bad).is_none(), "{bad}");
        }
    }
}
