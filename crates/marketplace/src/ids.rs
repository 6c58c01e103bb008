//! Newtyped identifiers.
//!
//! Every id that crosses the wire is checked once, when it is read: 1 to 256 characters, printable ASCII
//! without spaces, `#`, `/`, `?` or `%`. Ids end up in paths and in storage keys, and no id that Vercel or a
//! provider was seen to use needs any of those.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest id accepted, in bytes.
pub const ID_BYTES_MAX: usize = 256;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("{kind} is empty")]
    Empty {
        /// Which kind of id was expected.
        kind: &'static str,
    },
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("{kind} is longer than {ID_BYTES_MAX} bytes")]
    TooLong {
        /// Which kind of id was expected.
        kind: &'static str,
    },
    /// The text has a character that no id may have.
    #[error("{kind} has a character that ids may not have (space, control, non-ASCII, or one of # / ? %)")]
    BadCharacter {
        /// Which kind of id was expected.
        kind: &'static str,
    },
    /// The text is `.` or `..`, which a path swallows.
    #[error("{kind} is a dot segment")]
    DotSegment {
        /// Which kind of id was expected.
        kind: &'static str,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty { kind });
    }
    if text.len() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong { kind });
    }
    let bad = |c: char| !c.is_ascii_graphic() || matches!(c, '#' | '/' | '?' | '%');
    if text.chars().any(bad) {
        return Err(InvalidId::BadCharacter { kind });
    }
    if matches!(text, "." | "..") {
        return Err(InvalidId::DotSegment { kind });
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the text and takes it as an id.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(stringify!($name), &text)?;
                Ok(Self(text))
            }

            /// The id as it goes over the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(from)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// An installation of the integration by one customer team, `icfg_…`: the unit of tenancy.
    InstallationId
}
id! {
    /// A provisioned instance of a product. The provider chooses it (spec A: "external/partner id").
    ResourceId
}
id! {
    /// A product, by the provider's own id or slug.
    ProductId
}
id! {
    /// A billing plan, by the provider's own id.
    PlanId
}
id! {
    /// An invoice, by Vercel's id (`mi_…`).
    InvoiceId
}
id! {
    /// The provider's own id of an invoice: the dedupe key of Submit Invoice (spec A.14).
    ExternalInvoiceId
}
id! {
    /// A person in a customer's team, the `user_id` claim (spec C).
    UserId
}
id! {
    /// The integration, `oac_…`: the client id, and the audience of Vercel's tokens.
    ClientId
}
id! {
    /// A delivery of a webhook: what replays are recognised by (spec E).
    WebhookId
}

id! {
    /// A claim of a resource transfer, by the provider's own id (spec B.15).
    TransferClaimId
}
id! {
    /// A customer's account in tokens and transfers: opaque (spec C).
    AccountId
}
id! {
    /// A team, by Vercel's id (spec E). Tokens do not carry it.
    TeamId
}
id! {
    /// A person by Vercel's own id, which is not the `user_id` claim (spec E).
    VercelUserId
}
id! {
    /// A project, `prj_…`.
    ProjectId
}
id! {
    /// A deployment, `dpl_…`.
    DeploymentId
}
id! {
    /// A check of deployments, `chk_…`.
    CheckId
}
id! {
    /// One run of a check.
    CheckRunId
}

id! {
    /// A resource, by Vercel's own id (`internalId`, spec A.8).
    InternalResourceId
}
id! {
    /// An action of the integration's in a deployment, by its slug (spec A.23, E).
    ActionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_break_a_path_or_a_key() {
        for bad in ["", "a b", "a#b", "a/b", "a?b", "a%b", "ä", "a\n", ".", ".."] {
            assert!(InstallationId::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(InstallationId::new("x".repeat(ID_BYTES_MAX)).is_ok());
        assert!(InstallationId::new("x".repeat(ID_BYTES_MAX + 1)).is_err());
        assert_eq!(InstallationId::new("icfg_1").unwrap().to_string(), "icfg_1");
    }

    #[test]
    fn an_id_is_checked_when_it_is_read_from_json() {
        assert!(serde_json::from_str::<ResourceId>("\"a/b\"").is_err());
        assert_eq!(serde_json::from_str::<ResourceId>("\"r1\"").unwrap().as_str(), "r1");
    }
}
