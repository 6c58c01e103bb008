//! Bodies as they are compared: the same JSON, however it is written.
//!
//! Objects are sorted by key and white space is dropped; numbers and strings keep their text, so that no two
//! amounts become one. What is not JSON, or is nested deeper than `DEPTH_MAX`, counts byte for byte.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::digest::digest_of;

/// How deep a body is looked into.
const DEPTH_MAX: usize = 32;

/// SHA-256 of a body's canonical form.
pub fn digest(body: &[u8]) -> String {
    let canonical = serde_json::from_slice::<&RawValue>(body).ok().and_then(|raw| canonical(raw, DEPTH_MAX));
    match canonical {
        Some(text) => digest_of(&[b"json", text.as_bytes()]),
        None => digest_of(&[b"bytes", body]),
    }
}

/// The members of an object as they stand, repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// `None`: nested too deep, or a key twice in one object (which of them counts is the reader's choice).
fn canonical(raw: &RawValue, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let text = raw.get().trim();
    match text.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let count = members.len();
            let sorted: BTreeMap<String, &RawValue> = members.into_iter().collect();
            if sorted.len() != count {
                return None;
            }
            let pairs = sorted.iter().map(|(key, value)| {
                let key = serde_json::to_string(key).ok()?;
                Some(format!("{key}:{}", canonical(value, depth)?))
            });
            Some(format!("{{{}}}", pairs.collect::<Option<Vec<_>>>()?.join(",")))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let items: Option<Vec<_>> = items.into_iter().map(|item| canonical(item, depth)).collect();
            Some(format!("[{}]", items?.join(",")))
        }
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_json_is_the_same_body() {
        let one = digest(br#"{"a":[1,{"x":"y","z":2.50}],"b":null}"#);
        assert_eq!(one, digest(b"{ \"b\" : null, \"a\": [1, {\"z\":2.50,\n\"x\":\"y\"}] }"));
        for other in [
            &br#"{"a":[1,{"x":"y","z":2.5}],"b":null}"#[..],
            br#"{"a":[{"x":"y","z":2.50},1],"b":null}"#,
            br#"{"a":[1,{"x":"y","z":2.50}]}"#,
            br#"{"a":[1,{"x":"y ","z":2.50}],"b":null}"#,
            b"",
            b"not json",
        ] {
            assert_ne!(one, digest(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_body_that_says_two_things_at_once_is_like_no_other() {
        let twice = digest(br#"{"a":1,"a":2}"#);
        for other in [&br#"{"a":2}"#[..], br#"{"a":1}"#, br#"{"a":2,"a":1}"#, br#"{"a":1, "a":2}"#] {
            assert_ne!(twice, digest(other), "{}", String::from_utf8_lossy(other));
        }
        assert_ne!(digest(br#"{"x":{"a":1,"a":2}}"#), digest(br#"{"x":{"a":2}}"#));
    }

    #[test]
    fn a_body_nested_without_end_is_taken_byte_for_byte() {
        let deep = "[".repeat(500_000);
        let closed = format!("{deep}{}", "]".repeat(500_000));
        assert_ne!(digest(deep.as_bytes()), digest(closed.as_bytes()));
    }
}
