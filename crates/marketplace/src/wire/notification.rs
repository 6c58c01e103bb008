//! What Vercel's dashboard shows beside an installation, a resource or a deployment action, and where it leads.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::open_enum::{known, open_enum};

/// The longest title of a notification, in characters (the example app's limit, spec A).
pub const NOTIFICATION_TITLE_CHARS_MAX: usize = 100;

/// A link that Vercel takes: `https://…`, `http://…` or `sso:…`, which signs the person on first (spec D.5).
///
/// [`Link::new`] checks; reading takes any text, so that an odd answer of Vercel's stays readable.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Link(String);

/// Not a link that Vercel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link is a URL that begins with https://, http:// or sso: (spec A, Notification; A.23, statusUrl)")]
pub struct InvalidLink;

impl Link {
    /// Checks a text and takes it as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidLink> {
        let text = text.into();
        let known = ["https://", "http://", "sso:"].iter().any(|scheme| text.starts_with(scheme));
        let is_plain = text.chars().all(|c| c.is_ascii_graphic()) && Url::parse(&text).is_ok();
        if known && is_plain { Ok(Self(text)) } else { Err(InvalidLink) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0)
    }
}

open_enum! {
    /// How much a notification matters.
    NotificationLevel {
        /// Worth knowing.
        Info = "info",
        /// Something will go wrong. (Prose pages of Vercel's write `warning`, which is read too.)
        Warn = "warn" | "warning",
        /// Something is wrong.
        Error = "error",
    }
}

/// A note that Vercel's dashboard shows beside an installation or a resource (spec A, `Notification`).
///
/// [`Notification::new`] checks what Vercel checks; reading takes what comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    #[serde(serialize_with = "known")]
    level: NotificationLevel,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    href: Option<Link>,
}

/// Why Vercel would not take a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotification {
    /// The title is empty.
    #[error("a notification needs a title (spec A, Notification)")]
    NoTitle,
    /// The title is too long.
    #[error("a notification's title has at most {NOTIFICATION_TITLE_CHARS_MAX} characters (spec A, Notification)")]
    LongTitle,
    /// The level is not one.
    #[error("a notification's level is info, warn or error (spec A, Notification)")]
    BadLevel,
    /// The link is not one.
    #[error(transparent)]
    BadLink(#[from] InvalidLink),
}

impl Notification {
    /// A notification of one line, of 1 to [`NOTIFICATION_TITLE_CHARS_MAX`] characters.
    pub fn new(level: NotificationLevel, title: impl Into<String>) -> Result<Self, InvalidNotification> {
        let notification = Self { level, title: title.into(), message: None, href: None };
        notification.check()?;
        Ok(notification)
    }

    /// Checks what Vercel checks; for one that was read from elsewhere.
    pub fn check(&self) -> Result<(), InvalidNotification> {
        if self.title.is_empty() {
            return Err(InvalidNotification::NoTitle);
        }
        if self.title.chars().count() > NOTIFICATION_TITLE_CHARS_MAX {
            return Err(InvalidNotification::LongTitle);
        }
        if matches!(self.level, NotificationLevel::Other(_)) {
            return Err(InvalidNotification::BadLevel);
        }
        if let Some(href) = &self.href {
            Link::new(href.as_str())?;
        }
        Ok(())
    }

    /// With more text.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// With a link.
    #[must_use]
    pub fn with_href(self, href: Link) -> Self {
        Self { href: Some(href), ..self }
    }

    /// How much it matters.
    pub const fn level(&self) -> &NotificationLevel {
        &self.level
    }

    /// The one line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// More text.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Where to go.
    pub const fn href(&self) -> Option<&Link> {
        self.href.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_checked_as_vercel_checks_it() {
        let good = Notification::new(NotificationLevel::Warn, "Low on credit").unwrap();
        assert_eq!(serde_json::to_string(&good).unwrap(), r#"{"level":"warn","title":"Low on credit"}"#);
        let full = good.with_message("Buy more").with_href(Link::new("sso:https://example.com").unwrap());
        let json = r#"{"level":"warn","title":"Low on credit","message":"Buy more","href":"sso:https://example.com"}"#;
        assert_eq!(serde_json::to_string(&full).unwrap(), json);
        assert_eq!(serde_json::from_str::<Notification>(json).unwrap(), full);

        let titled = |title: &str| Notification::new(NotificationLevel::Info, title).err();
        assert_eq!(titled(""), Some(InvalidNotification::NoTitle));
        assert_eq!(titled(&"é".repeat(101)), Some(InvalidNotification::LongTitle));
        assert_eq!(titled(&"é".repeat(100)), None);
    }

    #[test]
    fn a_link_leads_where_vercel_lets_it() {
        for good in ["https://example.com/a?b=c#d", "http://example.com", "sso:https://example.com/x"] {
            assert_eq!(Link::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "ftp://example.com",
            "example.com",
            "https://",
            "HTTPS://a b",
            "sso",
            " https://a",
        ] {
            let error = Link::new(bad).unwrap_err();
            assert!(error.to_string().contains("A.23, statusUrl"), "{bad}");
        }
    }

    #[test]
    fn an_odd_answer_is_read_and_an_unknown_level_is_not_sent_on() {
        let read: Notification = serde_json::from_str(r#"{"level":"warning","title":"","href":"x","new":1}"#).unwrap();
        assert_eq!((read.level(), read.href().unwrap().as_str()), (&NotificationLevel::Warn, "x"));
        let odd: Notification = serde_json::from_str(r#"{"level":"loud","title":"t"}"#).unwrap();
        assert_eq!(odd.level(), &NotificationLevel::Other("loud".to_owned()));
        assert!(serde_json::to_string(&odd).unwrap_err().to_string().contains("\"loud\" is not a value"));
        for (json, why) in [
            (r#"{"level":"info","title":""}"#, InvalidNotification::NoTitle),
            (r#"{"level":"loud","title":"t"}"#, InvalidNotification::BadLevel),
            (r#"{"level":"info","title":"t","href":"javascript:x"}"#, InvalidNotification::BadLink(InvalidLink)),
        ] {
            assert_eq!(serde_json::from_str::<Notification>(json).unwrap().check(), Err(why), "{json}");
        }
        let good = r#"{"level":"info","title":"t","href":"https://a.example"}"#;
        assert_eq!(serde_json::from_str::<Notification>(good).unwrap().check(), Ok(()));
    }
}
