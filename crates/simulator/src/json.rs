//! JSON whose keys are sorted and whose numbers keep their digits.
//!
//! `serde_json::Value` would turn a number into a float, and may or may not sort keys depending on a
//! feature that any crate can turn on. The state the simulator shows must be the same to the byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Serialises with the keys of every object sorted, leaving out the named keys of the outermost one.
pub(crate) fn sorted<T: Serialize>(value: &T, hidden: &[&str]) -> Result<Box<RawValue>, serde_json::Error> {
    let raw = serde_json::value::to_raw_value(value)?;
    let mut text = String::with_capacity(raw.get().len());
    write(&raw, hidden, &mut text)?;
    RawValue::from_string(text)
}

fn write(raw: &RawValue, hidden: &[&str], out: &mut String) -> Result<(), serde_json::Error> {
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
            out.push('{');
            let shown = entries.iter().filter(|(key, _)| !hidden.contains(&key.as_str()));
            for (n, (key, value)) in shown.enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&serde_json::to_string(key)?);
                out.push(':');
                write(value, &[], out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let entries: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            out.push('[');
            for (n, value) in entries.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write(value, &[], out)?;
            }
            out.push(']');
        }
        _ => out.push_str(raw.get()),
    }
    Ok(())
}

/// The bytes as JSON if they are JSON, else as a JSON string; nothing for no bytes.
pub(crate) fn lenient(bytes: &[u8]) -> Option<Box<RawValue>> {
    if bytes.is_empty() {
        return None;
    }
    serde_json::from_slice::<Box<RawValue>>(bytes)
        .or_else(|_| serde_json::value::to_raw_value(&String::from_utf8_lossy(bytes)))
        .ok()
}

/// For `#[serde(default, deserialize_with = "present")]`: tells an absent key from a null.
pub(crate) fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_numbers_keep_their_digits() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"b":[{"z":1,"a":123456789012.123456789}],"a":{"d":null,"c":"x\n"},"due":1}"#)
                .unwrap();
        assert_eq!(
            sorted(&raw, &["due"]).unwrap().get(),
            r#"{"a":{"c":"x\n","d":null},"b":[{"a":123456789012.123456789,"z":1}]}"#
        );
    }

    #[test]
    fn what_is_not_json_becomes_a_string() {
        assert_eq!(lenient(b"{\"a\":1}").unwrap().get(), "{\"a\":1}");
        assert_eq!(lenient(b"<html>").unwrap().get(), "\"<html>\"");
        assert!(lenient(b"").is_none());
    }
}
