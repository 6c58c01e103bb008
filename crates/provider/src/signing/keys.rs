//! The keys of partner systems, and what each may do.

use std::collections::BTreeSet;
use std::fmt;

use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::{KEY_ID_HEADER, KeyError, SignatureError, SigningSecret, Verified, header, verify};

/// The most secrets of one key that hold at once.
pub const SECRETS_MAX: usize = 2;
/// The most partner keys.
pub const KEYS_MAX: usize = 100;
/// The environment variable with the keys of partner systems.
pub const KEYS_VARIABLE: &str = "TRADEPOST_PARTNER_KEYS";
const KEY_ID_BYTES_MAX: usize = 64;

/// What a partner system may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Report usage.
    Usage,
    /// Send events about resources and installations.
    Events,
    /// Ask for a rotation of secrets.
    Secrets,
    /// Close periods and adjust invoices.
    Invoices,
    /// Refund.
    Refunds,
    /// Ask for what is known: effects, invoices; redeem sign-ins.
    Read,
    /// Report what a provisioner finished late.
    Provisioner,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usage => "usage",
            Self::Events => "events",
            Self::Secrets => "secrets",
            Self::Invoices => "invoices",
            Self::Refunds => "refunds",
            Self::Read => "read",
            Self::Provisioner => "provisioner",
        })
    }
}

/// The key of one partner system.
#[derive(Debug, Clone)]
pub struct PartnerKey {
    id: String,
    secrets: Vec<SigningSecret>,
    scopes: BTreeSet<Scope>,
}

impl PartnerKey {
    /// Its id, as in [`KEY_ID_HEADER`]: letters, digits, `-`, `_` and `.`, at most 64.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secrets that hold; one or two.
    pub fn secrets(&self) -> &[SigningSecret] {
        &self.secrets
    }

    /// Whether its holder may do this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The keys of all partner systems.
#[derive(Debug, Clone, Default)]
pub struct PartnerKeys(Vec<PartnerKey>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyInJson {
    id: String,
    #[serde(deserialize_with = "read_secrets")]
    secrets: Vec<SecretString>,
    scopes: Vec<Scope>,
}

fn read_secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(Vec::<String>::deserialize(from)?.into_iter().map(SecretString::from).collect())
}

impl PartnerKeys {
    /// Reads the value of [`KEYS_VARIABLE`].
    pub fn parse(json: &SecretString) -> Result<Self, KeyError> {
        // The message of a JSON error may quote the text: only its place is kept.
        let read: Vec<KeyInJson> = serde_json::from_str(json.expose_secret())
            .map_err(|error| KeyError::Json { line: error.line(), column: error.column() })?;
        let rule = |rule: String| KeyError::Rule { rule };
        if read.len() > KEYS_MAX {
            return Err(rule(format!("more than {KEYS_MAX} keys")));
        }
        let mut keys = Vec::with_capacity(read.len());
        let mut seen = BTreeSet::new();
        for (index, key) in read.into_iter().enumerate() {
            let form = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if key.id.is_empty() || key.id.len() > KEY_ID_BYTES_MAX || !key.id.chars().all(form) {
                return Err(rule(format!("the id of key {} is not 1 to 64 letters, digits, - _ or .", index + 1)));
            }
            if !seen.insert(key.id.clone()) {
                return Err(rule(format!("the id {:?} is used twice", key.id)));
            }
            if key.secrets.is_empty() || key.secrets.len() > SECRETS_MAX {
                return Err(rule(format!(
                    "key {:?} has {} secrets; one or two hold at once",
                    key.id,
                    key.secrets.len()
                )));
            }
            if key.scopes.is_empty() {
                return Err(rule(format!("key {:?} has no scopes; it could do nothing", key.id)));
            }
            let place = |n: usize| format!("{KEYS_VARIABLE}: secret {} of key {:?}", n + 1, key.id);
            let secrets = key.secrets.iter().enumerate().map(|(n, text)| SigningSecret::parse(&place(n), text));
            let secrets = secrets.collect::<Result<_, _>>()?;
            keys.push(PartnerKey { secrets, scopes: key.scopes.into_iter().collect(), id: key.id });
        }
        Ok(Self(keys))
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&PartnerKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The key that signed this request, named by [`KEY_ID_HEADER`]. Whether it may do what it asks is the
    /// route's to check, by [`PartnerKey::allows`].
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&PartnerKey, Verified), SignatureError> {
        let key = self.get(header(headers, KEY_ID_HEADER)?).ok_or(SignatureError::UnknownKey)?;
        Ok((key, verify(&key.secrets, headers, body, now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::tests::{BODY, SECRET, SIGNATURE, now, secret, signed};

    #[test]
    fn keys_are_found_by_their_id_and_know_their_scopes() {
        let json = format!(r#"[{{"id":"meter","secrets":["{SECRET}"],"scopes":["usage","read"]}}]"#);
        let keys = PartnerKeys::parse(&SecretString::from(json)).unwrap();
        let mut request = signed(SIGNATURE);
        assert_eq!(keys.authenticate(&request, BODY, now()).unwrap_err(), SignatureError::Header(KEY_ID_HEADER));
        request.insert(KEY_ID_HEADER, "other".parse().unwrap());
        assert_eq!(keys.authenticate(&request, BODY, now()).unwrap_err(), SignatureError::UnknownKey);
        request.insert(KEY_ID_HEADER, "meter".parse().unwrap());
        let (key, _) = keys.authenticate(&request, BODY, now()).unwrap();
        assert!(key.allows(Scope::Usage) && key.allows(Scope::Read) && !key.allows(Scope::Refunds));
    }

    #[test]
    fn a_key_tells_its_id_its_secrets_and_its_scopes_names() {
        let scopes = ["usage", "events", "secrets", "invoices", "refunds", "read", "provisioner"];
        let json = serde_json::json!([{ "id": "a-b_c.9", "secrets": [SECRET, SECRET], "scopes": scopes }]).to_string();
        let keys = PartnerKeys::parse(&SecretString::from(json)).unwrap();
        let key = keys.get("a-b_c.9").unwrap();
        assert_eq!((key.id(), key.secrets().len()), ("a-b_c.9", 2));
        let told: BTreeSet<String> = key.scopes.iter().map(ToString::to_string).collect();
        assert_eq!(told, scopes.map(str::to_owned).into());
    }

    #[test]
    fn keys_are_limited_in_number_and_their_ids_in_length() {
        let key = |id: &str| serde_json::json!({ "id": id, "secrets": [SECRET], "scopes": ["read"] });
        let parsed = |keys: Vec<serde_json::Value>| {
            PartnerKeys::parse(&SecretString::from(serde_json::Value::from(keys).to_string())).is_ok()
        };
        let many = |count: usize| (0..count).map(|n| key(&format!("k{n}"))).collect::<Vec<_>>();
        assert!(parsed(many(KEYS_MAX)) && !parsed(many(KEYS_MAX + 1)));
        let long = |bytes: usize| vec![key(&"k".repeat(bytes))];
        assert!(parsed(long(KEY_ID_BYTES_MAX)) && !parsed(long(KEY_ID_BYTES_MAX + 1)) && !parsed(long(0)));
    }

    #[test]
    fn bad_keys_are_named_and_never_shown() {
        let short = "whsec_c2hvcnQ=";
        let three = format!(r#""{SECRET}","{SECRET}","{SECRET}""#);
        for (json, wanted) in [
            ("{".to_owned(), "line 1, column"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":["root"]}}]"#), "line 1, column"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":[]}}]"#), "no scopes"),
            (format!(r#"[{{"id":"a b","secrets":["{SECRET}"],"scopes":["read"]}}]"#), "the id of key 1"),
            (format!(r#"[{{"id":"a","secrets":[{three}],"scopes":["read"]}}]"#), "has 3 secrets"),
            (r#"[{"id":"a","secrets":[],"scopes":["read"]}]"#.to_owned(), "has 0 secrets"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}","{short}"],"scopes":["read"]}}]"#), "secret 2 of key \"a\""),
            (
                format!(
                    r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":["read"]}},{{"id":"a","secrets":["{SECRET}"],"scopes":["read"]}}]"#
                ),
                "used twice",
            ),
        ] {
            let message = PartnerKeys::parse(&SecretString::from(json)).unwrap_err().to_string();
            assert!(message.contains(wanted) && message.contains(KEYS_VARIABLE), "{message}");
            assert!(!message.contains("MfKQ9r8") && !message.contains("c2hvcnQ"), "{message}");
        }
        assert!(!format!("{:?}", secret(SECRET)).contains("MfKQ"));
    }
}
