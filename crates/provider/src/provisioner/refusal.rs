//! What the provisioner says when it refuses: for the customer's eyes, so every word of it that can be read is kept.
//!
//! It is read leniently, field by field: a refusal is final whether or not we understand all of it. What is not
//! understood is logged by what is wrong with it, and the customer gets the next best text, never an empty one.

use serde_json::Value;

use super::{ProvisionerError, REFUSAL_CODE_CHARS_MAX, REFUSAL_FIELDS_MAX, REFUSAL_TEXT_CHARS_MAX};
use crate::edge::said::{FieldError, LINK_BYTES_MAX, UserText};

/// What a customer reads of a refusal that says nothing.
const NO_WORDS: &str = "The product refused this request without saying why. Please ask its support.";

/// The code of a refusal; empty if it has none.
pub(super) fn code(body: &[u8]) -> String {
    code_of(&serde_json::from_slice(body).unwrap_or_default())
}

fn code_of(refusal: &Value) -> String {
    cut(refusal["code"].as_str().unwrap_or_default(), REFUSAL_CODE_CHARS_MAX)
}

/// Reads a refusal.
pub(super) fn read(body: &[u8]) -> ProvisionerError {
    let (refusal, odd) = understood(body);
    for what in odd {
        tracing::warn!(what, "a refusal of the provisioner's is not the contract's");
    }
    refusal
}

/// The refusal, and what of it is not the contract's.
fn understood(body: &[u8]) -> (ProvisionerError, Vec<&'static str>) {
    let mut odd = Vec::new();
    let refusal = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if !refusal.is_object() {
        odd.push("it is no JSON object");
    }
    let mut text = |value: &Value, what| match value {
        Value::String(text) => cut(text, REFUSAL_TEXT_CHARS_MAX),
        Value::Null => String::new(),
        _ => {
            odd.push(what);
            String::new()
        }
    };
    let message = text(&refusal["message"], "message is no text");
    let said = match &refusal["user"] {
        Value::Object(user) => UserText {
            message: text(user.get("message").unwrap_or(&Value::Null), "user.message is no text"),
            url: Some(text(user.get("url").unwrap_or(&Value::Null), "user.url is no text"))
                .filter(|url| !url.is_empty()),
        },
        other => UserText { message: text(other, "user is neither a text nor {message, url}"), url: None },
    };
    let fields = match &refusal["fields"] {
        Value::Array(fields) => {
            let named = fields.iter().take(REFUSAL_FIELDS_MAX).map(|field| FieldError {
                key: text(&field["key"], "a field's key is no text"),
                message: text(&field["message"], "a field's message is no text"),
            });
            named.filter(|field| !field.key.is_empty()).collect()
        }
        Value::Null => Vec::new(),
        _ => {
            odd.push("fields is no list");
            Vec::new()
        }
    };
    let is_link = |url: &String| {
        let fits = url.len() <= LINK_BYTES_MAX && url::Url::parse(url).is_ok_and(|url| url.scheme() == "https");
        if !fits {
            odd.push("user.url is no https link");
        }
        fits
    };
    let mut user = UserText { url: said.url.filter(is_link), ..said };
    if user.message.trim().is_empty() {
        user.message = if message.trim().is_empty() { NO_WORDS.to_owned() } else { message.clone() };
    }
    let code = code_of(&refusal);
    let message = if message.trim().is_empty() { user.message.clone() } else { message };
    (ProvisionerError::Refused { code, message, user, fields }, odd)
}

/// The first characters of a text.
fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(body: &str) -> (String, UserText, Vec<FieldError>, Vec<&'static str>) {
        let (refusal, odd) = understood(body.as_bytes());
        let ProvisionerError::Refused { message, user, fields, .. } = refusal else { panic!("{refusal:?}") };
        (message, user, fields, odd)
    }

    #[test]
    fn the_customer_never_reads_nothing() {
        let link = "https://acme.dev/limits";
        for (body, message, url, odd) in [
            (json!({ "message": "m", "user": "u" }), "u", None, vec![]),
            (json!({ "message": "m", "user": { "message": "u", "url": link } }), "u", Some(link), vec![]),
            (json!({ "message": "m", "user": { "message": "u" } }), "u", None, vec![]),
            (json!({ "message": "m", "user": { "url": link } }), "m", Some(link), vec![]),
            (json!({ "message": "m", "user": "" }), "m", None, vec![]),
            (json!({ "message": "m", "user": "  " }), "m", None, vec![]),
            (json!({ "message": "m" }), "m", None, vec![]),
            (json!({ "message": "m", "user": null }), "m", None, vec![]),
            (json!({ "message": "m", "user": 7 }), "m", None, vec!["user is neither a text nor {message, url}"]),
            (json!({ "message": "m", "user": ["u"] }), "m", None, vec!["user is neither a text nor {message, url}"]),
            (json!({ "message": "m", "user": { "message": 7 } }), "m", None, vec!["user.message is no text"]),
            (
                json!({ "message": "m", "user": { "message": "u", "url": "javascript:x" } }),
                "u",
                None,
                vec!["user.url is no https link"],
            ),
            (json!({ "message": 7 }), NO_WORDS, None, vec!["message is no text"]),
            (json!({ "message": "m", "fields": "f" }), "m", None, vec!["fields is no list"]),
            (json!({}), NO_WORDS, None, vec![]),
            (json!([]), NO_WORDS, None, vec!["it is no JSON object"]),
        ] {
            let (outer, user, _, got) = parts(&body.to_string());
            assert_eq!((user.message.as_str(), user.url.as_deref(), got), (message, url, odd), "{body}");
            assert!(!outer.trim().is_empty(), "{body}");
        }
        assert_eq!(parts("<html>").1.message, NO_WORDS);
        assert_eq!(parts("").1.message, NO_WORDS);
    }

    #[test]
    fn it_is_cut_to_what_is_kept() {
        let long = "\u{e4}".repeat(REFUSAL_TEXT_CHARS_MAX + 1);
        let fields = vec![json!({ "key": long, "message": long }); REFUSAL_FIELDS_MAX + 1];
        let body = json!({ "code": long, "message": long, "user": long, "fields": fields }).to_string();
        let (message, user, fields, _) = parts(&body);
        let chars = |text: &str| text.chars().count();
        assert_eq!(chars(&code(body.as_bytes())), REFUSAL_CODE_CHARS_MAX);
        assert_eq!((chars(&message), chars(&user.message)), (REFUSAL_TEXT_CHARS_MAX, REFUSAL_TEXT_CHARS_MAX));
        assert_eq!(fields.len(), REFUSAL_FIELDS_MAX);
        let field = (chars(&fields[0].key), chars(&fields[0].message));
        assert_eq!(field, (REFUSAL_TEXT_CHARS_MAX, REFUSAL_TEXT_CHARS_MAX));
        // A field without a key says nothing that Vercel can show.
        assert_eq!(parts(r#"{"fields":[{"message":"m"},7,{"key":"k"}]}"#).2.len(), 1);
    }
}
