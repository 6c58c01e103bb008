//! JSON whose keys are sorted and whose numbers keep their digits.
//!
//! `serde_json::Value` would turn a number into a float, and may or may not sort keys depending on a
//! feature that any crate can turn on. The state the simulator shows must be the same to the byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, ser};
use serde_json::value::RawValue;

/// How deep JSON from outside may nest.
pub(crate) const NESTING_MAX: usize = 100;

/// Serialises with the keys of every object sorted, leaving out the named keys of the outermost one.
pub(crate) fn sorted<T: Serialize>(value: &T, hidden: &[&str]) -> Result<Box<RawValue>, serde_json::Error> {
    let raw = serde_json::value::to_raw_value(value)?;
    let mut text = String::with_capacity(raw.get().len());
    write(&raw, hidden, 0, &mut text)?;
    RawValue::from_string(text)
}

fn write(raw: &RawValue, hidden: &[&str], depth: usize, out: &mut String) -> Result<(), serde_json::Error> {
    if depth > NESTING_MAX {
        return Err(ser::Error::custom(format!("it nests deeper than {NESTING_MAX}")));
    }
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
            out.push('{');
            let shown = entries.iter().filter(|(key, _)| !hidden.contains(&key.as_str()));
            for (n, (key, value)) in shown.enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&serde_json::to_string(key)?);
                out.push(':');
                write(value, &[], depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let entries: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            out.push('[');
            for (n, value) in entries.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write(value, &[], depth + 1, out)?;
            }
            out.push(']');
        }
        _ => out.push_str(raw.get()),
    }
    Ok(())
}

/// The path of a null that is neither in an open object nor where null means something; absent keys are left
/// out. Fails if the JSON is none, or nests too deep.
pub(crate) fn stray_null(raw: &RawValue, open: &[&str], depth: usize) -> Result<Option<String>, serde_json::Error> {
    if depth > NESTING_MAX {
        return Err(ser::Error::custom(format!("it nests deeper than {NESTING_MAX}")));
    }
    let below = |name: String, value: &RawValue| {
        let found = stray_null(value, open, depth + 1)?;
        Ok::<_, serde_json::Error>(found.map(|path| if path.is_empty() { name } else { format!("{name}.{path}") }))
    };
    match raw.get().as_bytes().first() {
        Some(b'n') => return Ok(Some(String::new())),
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
            for (key, value) in entries {
                if open.contains(&key.as_str()) {
                    continue;
                }
                if let Some(path) = below(key, value)? {
                    return Ok(Some(path));
                }
            }
        }
        Some(b'[') => {
            let entries: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            for (n, value) in entries.into_iter().enumerate() {
                if let Some(path) = below(n.to_string(), value)? {
                    return Ok(Some(path));
                }
            }
        }
        _ => {}
    }
    Ok(None)
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
    fn a_null_is_found_unless_it_may_be_there() {
        let find = |text: &str| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            stray_null(&raw, &["open"], 0)
        };
        assert_eq!(find(r#"{"a":[{"b":1},{"b":null}]}"#).unwrap().as_deref(), Some("a.1.b"));
        assert_eq!(find("null").unwrap().as_deref(), Some(""));
        assert_eq!(find(r#"{"a":"null","open":{"x":null}}"#).unwrap(), None);
    }

    #[test]
    fn deep_json_is_refused_and_not_followed() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let raw: Box<RawValue> = serde_json::from_str(&deep).unwrap();
        assert!(sorted(&raw, &[]).is_err() && stray_null(&raw, &[], 0).is_err());
    }

    #[test]
    fn what_is_not_json_becomes_a_string() {
        assert_eq!(lenient(b"{\"a\":1}").unwrap().get(), "{\"a\":1}");
        assert_eq!(lenient(b"<html>").unwrap().get(), "\"<html>\"");
        assert!(lenient(b"").is_none());
    }
}
