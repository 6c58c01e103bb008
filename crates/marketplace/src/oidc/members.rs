//! A JSON object of a token, member by member.
//!
//! Two members of one name mean one thing to one reader and another to the next, so that is refused, which
//! `serde_json` alone does not do for names that it does not look for.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::TokenError;

/// The members of an object, unread.
pub(super) struct Members(BTreeMap<String, Box<RawValue>>);

/// The members as they stand, repeated ones too.
struct Listed(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Listed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
                let mut listed = Vec::new();
                while let Some(member) = map.next_entry()? {
                    listed.push(member);
                }
                Ok(Listed(listed))
            }
        }
        from.deserialize_map(Object)
    }
}

impl Members {
    /// Reads an object; `part` names it where it is refused.
    pub(super) fn read(json: &[u8], part: &'static str) -> Result<Self, TokenError> {
        let Listed(listed) = serde_json::from_slice(json).map_err(|_| TokenError::Malformed(part))?;
        let count = listed.len();
        let members: BTreeMap<_, _> = listed.into_iter().collect();
        if members.len() == count { Ok(Self(members)) } else { Err(TokenError::Repeated(part)) }
    }

    /// Whether there is a member of this name, be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of a member, unread; null is absent.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// A member as a claim; null is absent, and what is of another type is refused by the claim's name.
    pub(super) fn claim<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, TokenError> {
        let read = self.raw(name).map(serde_json::from_str).transpose();
        read.map_err(|_| TokenError::ClaimInvalid(name))
    }
}
