//! Sign-ins, and what replays are recognised by. Sessions and hand-over codes are kept as digests only.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{InstallationId, ResourceId, UserId, WebhookId};
use tradepost_store::{Key, Record};

use super::keys;

/// How long a session lasts (formats: "Session").
pub const SESSION_SECONDS: i64 = 3600;
/// How long the dashboard has to redeem a sign-in.
pub const HAND_OVER_SECONDS: i64 = 60;
/// How long a webhook's id is remembered: Vercel retries for 24 h (spec E).
pub const WEBHOOK_MEMORY_DAYS: i64 = 35;

/// Who signed in and where they were going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// The installation of the token.
    pub installation_id: InstallationId,
    /// The person.
    pub user_id: UserId,
    /// `ADMIN`, `USER`, or what Vercel calls it.
    pub role: String,
    /// The resource they came from, if it is one of the installation's.
    pub resource_id: Option<ResourceId>,
    /// The deep link's other parameters, as sent: path, project, invoice and so on.
    pub context: std::collections::BTreeMap<String, String>,
}

/// A signed-in browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the cookie.
    pub digest: String,
    /// Who.
    pub sign_in: SignIn,
    /// Until when.
    pub ends_at: Timestamp,
}

impl Session {
    /// Its key.
    pub fn key_of(digest: &str) -> Key {
        let (collection, session, _) = keys::SIGN_INS;
        Key { pk: format!("{collection}{digest}"), sk: session.to_owned() }
    }
}

impl Record for Session {
    const KIND: &'static str = "session";

    fn key(&self) -> Key {
        Self::key_of(&self.digest)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at)
    }
}

/// A sign-in waiting for the provider's dashboard to redeem it, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandOver {
    /// SHA-256 of the one-time code.
    pub digest: String,
    /// Who.
    pub sign_in: SignIn,
    /// Until when.
    pub ends_at: Timestamp,
}

impl HandOver {
    /// Its key.
    pub fn key_of(digest: &str) -> Key {
        let (collection, _, hand_over) = keys::SIGN_INS;
        Key { pk: format!("{collection}{digest}"), sk: hand_over.to_owned() }
    }
}

impl Record for HandOver {
    const KIND: &'static str = "hand_over";

    fn key(&self) -> Key {
        Self::key_of(&self.digest)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at)
    }
}

/// A delivery of Vercel's that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookSeen {
    /// The delivery.
    pub id: WebhookId,
    /// Its type.
    pub kind: String,
    /// When it came.
    pub at: Timestamp,
}

impl WebhookSeen {
    /// Its key.
    pub fn key_of(id: &WebhookId) -> Key {
        let (collection, seen) = keys::SEEN;
        Key { pk: format!("{collection}{id}"), sk: seen.to_owned() }
    }
}

impl Record for WebhookSeen {
    const KIND: &'static str = "webhook";

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.at.checked_add(SignedDuration::from_hours(24 * WEBHOOK_MEMORY_DAYS)).ok()
    }
}
