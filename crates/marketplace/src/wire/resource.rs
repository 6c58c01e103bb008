//! Statuses, notifications and accounts: what both sides say about installations and resources.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;

/// The free-form fields of a resource, by the product's metadata schema (spec H). Not for amounts.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// The longest title of a notification, in characters (the example app's limit, spec A).
pub const NOTIFICATION_TITLE_CHARS_MAX: usize = 100;

open_enum! {
    /// The state of a resource or an installation (spec A, `Status`). `Suspended` and `Resumed` only change
    /// what Vercel shows; the provider enforces them itself (spec A.1).
    ResourceStatus {
        /// It can be used.
        Ready = "ready",
        /// It is being made.
        Pending = "pending",
        /// The customer must finish something at the provider: Vercel opens it with `path=onboarding`.
        Onboarding = "onboarding",
        /// It is out of service, for example for an unpaid invoice.
        Suspended = "suspended",
        /// It is back in service.
        Resumed = "resumed",
        /// It is gone.
        Uninstalled = "uninstalled",
        /// Something is wrong with it.
        Error = "error",
    }
}

open_enum! {
    /// Who a resource belongs to (spec A.10).
    Ownership {
        /// Made through Vercel and billed there.
        Owned = "owned",
        /// It existed at the provider before; not billed through Vercel.
        Linked = "linked",
        /// For trying out.
        Sandbox = "sandbox",
    }
}

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationLevel {
    /// Worth knowing.
    Info,
    /// Something will go wrong. (Prose pages of Vercel's write `warning`, which is read too.)
    #[serde(alias = "warning")]
    Warn,
    /// Something is wrong.
    Error,
}

/// A note that Vercel's dashboard shows beside an installation or a resource (spec A, `Notification`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// How much it matters.
    pub level: NotificationLevel,
    /// One line, at most [`NOTIFICATION_TITLE_CHARS_MAX`] characters.
    pub title: String,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where to go: `https://…`, `http://…` or `sso:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

/// Why Vercel would not take a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotification {
    /// The title is empty.
    #[error("a notification needs a title")]
    NoTitle,
    /// The title is too long.
    #[error("a notification's title has at most {NOTIFICATION_TITLE_CHARS_MAX} characters")]
    LongTitle,
    /// The link is neither `http(s)://` nor `sso:`.
    #[error("a notification's link begins with https://, http:// or sso: (spec A, Notification)")]
    BadLink,
}

impl Notification {
    /// A notification of one line.
    pub fn new(level: NotificationLevel, title: impl Into<String>) -> Self {
        Self { level, title: title.into(), message: None, href: None }
    }

    /// Checks what Vercel checks.
    pub fn check(&self) -> Result<(), InvalidNotification> {
        if self.title.is_empty() {
            return Err(InvalidNotification::NoTitle);
        }
        if self.title.chars().count() > NOTIFICATION_TITLE_CHARS_MAX {
            return Err(InvalidNotification::LongTitle);
        }
        let known = |href: &str| ["https://", "http://", "sso:"].iter().any(|scheme| href.starts_with(scheme));
        if self.href.as_deref().is_some_and(|href| !known(href)) {
            return Err(InvalidNotification::BadLink);
        }
        Ok(())
    }
}

/// A customer's team, as Vercel describes it (spec A.3, B.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The team's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The installation in Vercel's dashboard.
    pub url: String,
    /// The best contact at present; may be missing and may change.
    #[serde(default)]
    pub contact: Option<Contact>,
}

/// A person to write to. `Debug` does not show who it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The address.
    pub email: String,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contact([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_status_survives() {
        for text in ["\"ready\"", "\"resumed\"", "\"hibernating\""] {
            let status: ResourceStatus = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&status).unwrap(), text);
        }
        assert_eq!(ResourceStatus::from("ready"), ResourceStatus::Ready);
        assert_eq!(ResourceStatus::from("x"), ResourceStatus::Other("x".to_owned()));
    }

    #[test]
    fn a_notification_is_checked_as_vercel_checks_it() {
        let good = Notification::new(NotificationLevel::Warn, "Low on credit");
        assert_eq!(serde_json::to_string(&good).unwrap(), r#"{"level":"warn","title":"Low on credit"}"#);
        assert!(good.check().is_ok());
        let linked = |href: &str| Notification { href: Some(href.to_owned()), ..good.clone() }.check();
        assert!(linked("sso:https://example.com").is_ok());
        assert_eq!(linked("javascript:alert(1)"), Err(InvalidNotification::BadLink));
        let long = Notification::new(NotificationLevel::Info, "x".repeat(101));
        assert_eq!(long.check(), Err(InvalidNotification::LongTitle));
        assert_eq!(Notification::new(NotificationLevel::Info, "").check(), Err(InvalidNotification::NoTitle));
        let read: Notification = serde_json::from_str(r#"{"level":"warning","title":"t","new":1}"#).unwrap();
        assert_eq!(read.level, NotificationLevel::Warn);
    }

    #[test]
    fn debug_shows_no_address() {
        let account: Account =
            serde_json::from_str(r#"{"url":"https://vercel.com/x","contact":{"email":"a@example.com"}}"#).unwrap();
        assert!(!format!("{account:?}").contains("example.com"));
        assert!(serde_json::from_str::<Account>(r#"{"url":"u","contact":null}"#).unwrap().contact.is_none());
    }
}
