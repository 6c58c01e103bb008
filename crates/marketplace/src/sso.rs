//! The query of Open in Provider (spec D): who comes with which code, and where they want to go.
//!
//! Everything here is under the browser's control. Only the code, once exchanged, proves anything; the rest is
//! a wish: check that a resource belongs to the installation of the token, and take [`SsoParams::target`], never
//! the raw `url`, which may point anywhere.

use std::borrow::Cow;

use secrecy::SecretString;
use url::{Origin, Url, form_urlencoded};

use crate::endpoint::is_safe;
use crate::ids::{CheckId, InvalidId, ProductId, ProjectId, ResourceId};
use crate::wire::open_enum;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The most parameters of a query, known or not.
pub const PARAMETERS_MAX: usize = 64;
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
    /// There are more than [`PARAMETERS_MAX`] parameters.
    #[error("there are more than {PARAMETERS_MAX} parameters")]
    TooMany,
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

/// Why a target is not gone to. The sign-on itself is good: go to the usual page instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A space, a control character or a backslash, which parsers do not agree about.
    #[error("the target has a space, a control character or a backslash")]
    Character,
    /// Not an absolute address with a host.
    #[error("the target is not an absolute address")]
    Relative,
    /// Neither https nor http on this machine.
    #[error("the target's scheme is not https")]
    Scheme,
    /// A user before the host, which is there to deceive.
    #[error("the target has a user in it")]
    User,
    /// At an origin that is not allowed.
    #[error("the target's origin is not allowed")]
    Origin,
}

/// An origin that a target may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(Origin);

impl AllowedOrigin {
    /// From `https://host[:port]`, or plain http on this machine. `None` for anything else; there are no wildcards.
    pub fn new(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(is_safe)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains('*');
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
    pub project_id: Option<ProjectId>,
    /// The check in question, `chk_…`.
    pub check_id: Option<CheckId>,
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
        if form_urlencoded::parse(query.as_bytes()).nth(PARAMETERS_MAX).is_some() {
            return Err(SsoError::TooMany);
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
            project_id: value("project_id")?.map(ProjectId::new).transpose()?,
            check_id: value("check_id")?.map(CheckId::new).transpose()?,
            experimentation_item_id: value("experimentation_item_id")?,
            invoice_id: value("invoice_id")?,
            path: value("path")?.map(|path| SsoPath::from(path.as_str())),
            pr: value("pr")?,
            support: value("support")?.is_some_and(|support| support == "true"),
            url: value("url")?,
        })
    }

    /// Where the person wants to go: nowhere in particular, or an absolute address at one of these origins.
    ///
    /// Follow the address that is given here, as the parser wrote it, never the text that came.
    pub fn target(&self, allowed: &[AllowedOrigin]) -> Result<Option<Url>, TargetError> {
        let Some(text) = &self.url else { return Ok(None) };
        if text.chars().any(|char| char.is_control() || char.is_whitespace() || char == '\\') {
            return Err(TargetError::Character);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Relative)?;
        if !is_safe(&url) {
            return Err(TargetError::Scheme);
        }
        // A parser reads `https:x` and `https:///x` as `https://x`; nobody who means well writes them.
        let after_scheme = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
        if after_scheme.is_none_or(|rest| rest.starts_with('/')) {
            return Err(TargetError::Relative);
        }
        if !has_no_user(&url) {
            return Err(TargetError::User);
        }
        if allowed.iter().any(|origin| origin.0 == url.origin()) { Ok(Some(url)) } else { Err(TargetError::Origin) }
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
        assert!(params.support && params.url.is_some());
        assert!(!format!("{params:?}").contains("c+1"));
        let few = SsoParams::parse("code=c&state=&support=1").unwrap();
        assert!(few.state.is_none() && !few.support && few.url.is_none());
        assert!(SsoParams::parse(&format!("code=c{}", "&x=".repeat(PARAMETERS_MAX - 1))).is_ok());
        for (name, most) in
            [("code", CODE_BYTES_MAX), ("code=c&state", STATE_BYTES_MAX), ("code=c&pr", VALUE_BYTES_MAX)]
        {
            assert!(SsoParams::parse(&format!("{name}={}", "x".repeat(most))).is_ok(), "{name}");
        }
        assert!(SsoParams::parse(&format!("code=c&x={}", "x".repeat(QUERY_BYTES_MAX - 9))).is_ok());
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
            (format!("code=c{}", "&x=".repeat(PARAMETERS_MAX)), SsoError::TooMany),
            ("code=c&resource_id=a%2Fb".to_owned(), SsoError::Id(InvalidId::BadCharacter { kind: "ResourceId" })),
            ("code=c&project_id=a%20b".to_owned(), SsoError::Id(InvalidId::BadCharacter { kind: "ProjectId" })),
            ("code=c&check_id=a%3Fb".to_owned(), SsoError::Id(InvalidId::BadCharacter { kind: "CheckId" })),
            ("code=c&product_id=..".to_owned(), SsoError::Id(InvalidId::DotSegment { kind: "ProductId" })),
        ] {
            assert_eq!(SsoParams::parse(&query).unwrap_err(), why, "{query:.40}");
        }
    }

    fn target(url: &str) -> Result<Option<String>, TargetError> {
        let allowed = ["https://app.example.com", "https://b.example.com:8443/", "http://localhost:3000"]
            .map(|origin| AllowedOrigin::new(origin).unwrap());
        let encoded: String = form_urlencoded::byte_serialize(url.as_bytes()).collect();
        let params = SsoParams::parse(&format!("code=c&url={encoded}")).unwrap();
        params.target(&allowed).map(|target| target.map(String::from))
    }

    #[test]
    fn a_target_at_an_allowed_origin_is_given_as_the_parser_wrote_it() {
        for (url, written) in [
            ("https://app.example.com/x?y#z", "https://app.example.com/x?y#z"),
            ("https://app.example.com", "https://app.example.com/"),
            ("https://app.example.com:443/", "https://app.example.com/"),
            ("HTTPS://APP.EXAMPLE.COM/X", "https://app.example.com/X"),
            ("https://app.example.com/a/../../b", "https://app.example.com/b"),
            ("https://app.example.com/?to=https://evil.example", "https://app.example.com/?to=https://evil.example"),
            ("https://app.example.com//evil.example", "https://app.example.com//evil.example"),
            ("https://app.example.com/@evil.example", "https://app.example.com/@evil.example"),
            ("https://app.example.com/ü", "https://app.example.com/%C3%BC"),
            // Written otherwise, the same host: it goes out as what it is.
            ("https://app%2eexample.com/", "https://app.example.com/"),
            ("https://\u{ff41}pp.example.com/", "https://app.example.com/"),
            ("https://app\u{3002}example\u{3002}com/", "https://app.example.com/"),
            ("https://a\u{ad}pp.example.com/", "https://app.example.com/"),
            ("https://b.example.com:8443/", "https://b.example.com:8443/"),
            ("http://localhost:3000/x", "http://localhost:3000/x"),
        ] {
            assert_eq!(target(url).as_ref().map(Option::as_deref), Ok(Some(written)), "{url}");
        }
        assert_eq!(SsoParams::parse("code=c").unwrap().target(&[]), Ok(None));
        assert_eq!(SsoParams::parse("code=c&url=").unwrap().target(&[]), Ok(None));
        assert_eq!(SsoParams::parse("code=c&url=https://a.example").unwrap().target(&[]), Err(TargetError::Origin));
    }

    /// What leads, or may lead, elsewhere; and why it is refused.
    const EVASIONS: &[(&str, TargetError)] = &[
        // Another host that looks like it.
        ("https://evil.example.com/", TargetError::Origin),
        ("https://example.com/", TargetError::Origin),
        ("https://app.example.com.evil.example/", TargetError::Origin),
        ("https://app.example.comevil.example/", TargetError::Origin),
        ("https://evilapp.example.com/", TargetError::Origin),
        ("https://evil.example/app.example.com", TargetError::Origin),
        ("https://evil.example/?https://app.example.com", TargetError::Origin),
        ("https://evil.example#https://app.example.com", TargetError::Origin),
        ("https://app-example.com/", TargetError::Origin),
        ("https://app.example.com./", TargetError::Origin),
        ("https://\u{430}pp.example.com/", TargetError::Origin),
        ("https://xn--pp-6kc.example.com/", TargetError::Origin),
        ("https://app.ex\u{e4}mple.com/", TargetError::Origin),
        ("https://1.2.3.4/", TargetError::Origin),
        ("https://[::1]/", TargetError::Origin),
        ("https://2130706433/", TargetError::Origin),
        // Another port, another scheme.
        ("https://app.example.com:8443/", TargetError::Origin),
        ("https://app.example.com:80/", TargetError::Origin),
        ("https://b.example.com/", TargetError::Origin),
        ("http://localhost/x", TargetError::Origin),
        ("https://localhost:3000/", TargetError::Origin),
        ("http://127.0.0.1:3000/", TargetError::Origin),
        ("http://app.example.com/", TargetError::Scheme),
        ("http://localhost.evil.example:3000/", TargetError::Scheme),
        ("ws://app.example.com/", TargetError::Scheme),
        ("ftp://app.example.com/", TargetError::Scheme),
        ("file:///etc/passwd", TargetError::Scheme),
        ("javascript:alert(1)", TargetError::Scheme),
        ("JaVaScRiPt:alert(1)", TargetError::Scheme),
        ("javascript://app.example.com/%0aalert(1)", TargetError::Scheme),
        ("data:text/html,x", TargetError::Scheme),
        ("vbscript:x", TargetError::Scheme),
        ("blob:https://app.example.com/x", TargetError::Scheme),
        ("view-source:https://app.example.com/", TargetError::Scheme),
        ("sso:https://app.example.com/", TargetError::Scheme),
        ("intent://app.example.com/", TargetError::Scheme),
        // Somebody before the host.
        ("https://app.example.com@evil.example/", TargetError::User),
        ("https://app.example.com:443@evil.example/", TargetError::User),
        ("https://u:p@app.example.com/", TargetError::User),
        ("https://u@app.example.com/", TargetError::User),
        ("https://:p@app.example.com/", TargetError::User),
        ("https://%61pp.example.com%40@evil.example/", TargetError::User),
        // No address at all, or one that needs another.
        ("//app.example.com/x", TargetError::Relative),
        ("///app.example.com/x", TargetError::Relative),
        ("/x", TargetError::Relative),
        ("x", TargetError::Relative),
        ("?x", TargetError::Relative),
        ("#x", TargetError::Relative),
        ("app.example.com", TargetError::Relative),
        ("https:app.example.com", TargetError::Relative),
        ("https:/app.example.com", TargetError::Relative),
        ("https:///app.example.com", TargetError::Relative),
        ("https:////app.example.com", TargetError::Relative),
        ("https://", TargetError::Relative),
        ("https://app.example.com:99999/", TargetError::Relative),
        ("https://app.example.com%00.evil.example/", TargetError::Relative),
        ("https://[app.example.com]/", TargetError::Relative),
        ("://app.example.com", TargetError::Relative),
        // What parsers do not agree about.
        ("https://app.example.com\\@evil.example/", TargetError::Character),
        ("https:\\\\app.example.com\\", TargetError::Character),
        ("\\\\app.example.com", TargetError::Character),
        ("/\\app.example.com", TargetError::Character),
        ("https://app.exam\nple.com/", TargetError::Character),
        ("https://evil.example\t/app.example.com", TargetError::Character),
        ("java\nscript:alert(1)", TargetError::Character),
        ("\u{1}javascript:alert(1)", TargetError::Character),
        (" https://app.example.com/", TargetError::Character),
        ("https://app.example.com/ ", TargetError::Character),
        ("https://app.example.com/x y", TargetError::Character),
        ("https://app.example.com/\r\nSet-Cookie: x", TargetError::Character),
        ("https://app.example.com/\0", TargetError::Character),
        ("https://app.example.com/\u{85}", TargetError::Character),
        ("https://app.example.com\u{2028}/", TargetError::Character),
        ("https://app.example.com\u{a0}.evil.example/", TargetError::Character),
    ];

    #[test]
    fn every_evasion_is_refused_for_its_own_reason() {
        for (url, why) in EVASIONS {
            assert_eq!(target(url), Err(*why), "{url:?}");
        }
    }

    #[test]
    fn an_origin_is_nothing_but_an_origin() {
        for bad in [
            "app.example.com",
            "http://app.example.com",
            "https://a.example/x",
            "https://a.example?x",
            "https://a.example#x",
            "https://u@a.example",
            "https://",
            "*",
            "https://*",
            "null",
            "",
        ] {
            let read = AllowedOrigin::new(bad);
            assert!(read.is_none(), "{bad}: {read:?}");
        }
    }
}
