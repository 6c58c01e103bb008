//! Who the customer is: the team and its people, as Vercel describes them (spec A.3, A.4).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::webhook::MemberRole;
use crate::ids::UserId;

/// A customer's team, as Vercel describes it (spec A.3, B.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The team's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The installation in Vercel's dashboard.
    pub url: String,
    /// The best contact at present; may be missing and may change. Null on the wire where there is none.
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

/// A person of the customer's team (spec A.4). `Debug` does not show the address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The `user_id` claim of the person's tokens.
    pub id: UserId,
    /// `ADMIN` or `USER`; this answer never says `NONE`.
    pub role: MemberRole,
    /// Vercel's id of the person over all teams; needs a special permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_user_id: Option<String>,
    /// The address; needs a special permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_email: Option<String>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_may_have_no_contact_and_says_so() {
        let json = r#"{"url":"u","contact":null}"#;
        let account: Account = serde_json::from_str(json).unwrap();
        assert!(account.contact.is_none());
        assert_eq!(serde_json::to_string(&account).unwrap(), json);
    }

    #[test]
    fn debug_shows_no_address() {
        let json = r#"{"name":"Acme","url":"https://vercel.com/x","contact":{"email":"a@example.com","name":"Ann"}}"#;
        let account: Account = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&account).unwrap(), json);
        let json = r#"{"id":"usr_1","role":"OWNER","globalUserId":"g","userEmail":"a@example.com"}"#;
        let member: Member = serde_json::from_str(json).unwrap();
        assert_eq!(member.role, MemberRole::Other("OWNER".to_owned()));
        assert_eq!(serde_json::to_string(&member).unwrap(), json);
        assert!(!format!("{account:?} {member:?}").contains("example.com"));
    }
}
