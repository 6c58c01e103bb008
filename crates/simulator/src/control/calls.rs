//! `POST /_sim/calls`: any one call of the Partner API, well or badly signed.
//!
//! `auth` picks the token: `user` (of `role`, ADMIN if not said) and `system` are signed as Vercel signs,
//! `none` sends no token, `raw` sends the text in `token` as it is. On top of a user's or system's token,
//! `claims` overrides single claims (null removes one), and an object in `token` spoils the signing:
//!
//! | to get | say |
//! | --- | --- |
//! | an expired token | `"token": {"expiresInSeconds": -3600}` |
//! | another audience, issuer, installation | `"claims": {"aud": …}`, `{"iss": …}`, `{"installation_id": …}` |
//! | `alg: none` | `"token": {"alg": "none"}` |
//! | HS256 keyed with the public key | `"token": {"alg": "HS256"}` |
//! | a broken signature | `"token": {"signature": "bad"}` |
//! | an unknown or no key id | `"token": {"kid": "other"}`, `{"kid": null}` |
//! | a USER where ADMIN is needed | `"role": "USER"` |
//! | a header that lies about the claims | `"headers": {"x-vercel-auth": "user"}` with `"auth": "system"` |
//! | anything else | `"auth": "raw", "token": "…"` |

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::time::Duration;

use crate::control::{Act, Answer};
use crate::json::{lenient, present};
use crate::keys::{KEY_ID, Signature, Speaker};
use crate::model::{Installation, Role};
use crate::partner::{Outgoing, add_headers, header_value, installer};
use crate::refusal::{Refusal, json_response};

/// How long the provider may take.
const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Auth {
    User,
    System,
    None,
    Raw,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CallBody {
    method: String,
    path: String,
    installation_id: Option<String>,
    auth: Auth,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    claims: Map<String, Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    /// A text is sent, null sends none; if it is not said, one is derived for all but GET.
    #[allow(clippy::option_option, reason = "absent, null and a text are three different things")]
    #[serde(default, deserialize_with = "present")]
    idempotency_key: Option<Option<String>>,
    token: Option<Token>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Spoiled(Spoiled),
}

/// How the signing is spoiled.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spoiled {
    alg: Option<String>,
    #[allow(clippy::option_option, reason = "absent, null and a text are three different things")]
    #[serde(default, deserialize_with = "present")]
    kid: Option<Option<String>>,
    signature: Option<String>,
    expires_in_seconds: Option<i64>,
}

impl Spoiled {
    fn how(&self) -> Result<Signature, Refusal> {
        match (self.alg.as_deref(), self.signature.as_deref()) {
            (None | Some("RS256"), None | Some("good")) => Ok(Signature::Rs256),
            (None | Some("RS256"), Some("bad")) => Ok(Signature::Broken),
            (Some("HS256"), None) => Ok(Signature::Hs256),
            (Some("none"), None) => Ok(Signature::None),
            _ => Err(Refusal::bad_request("token: alg is RS256, HS256 or none; signature is good or bad, for RS256")),
        }
    }
}

impl CallBody {
    fn speaker(&self, installation: Option<&Installation>, user_id: String) -> Speaker {
        if self.auth == Auth::System {
            return Speaker::System;
        }
        match installation.map(installer) {
            Some(Speaker::User { id, email, .. }) => Speaker::User { id, email, role: self.role },
            _ => Speaker::User { id: user_id, role: self.role, email: "nobody@example.com".to_owned() },
        }
    }

    /// The bearer token, good or bad.
    fn bearer(&self, act: &Act<'_>) -> Result<Option<String>, Refusal> {
        let simulator = act.simulator;
        match (self.auth, &self.token) {
            (Auth::None, _) => return Ok(None),
            (Auth::Raw, Some(Token::Text(text))) => return Ok(Some(text.clone())),
            (Auth::Raw, _) | (_, Some(Token::Text(_))) => {
                return Err(Refusal::bad_request("auth raw goes with a text in `token`, and nothing else does"));
            }
            _ => {}
        }
        let partner = simulator.registered()?;
        let installation = match &self.installation_id {
            Some(id) => simulator.store.read(|world| world.installations.get(id).cloned()),
            None => None,
        };
        if installation.is_none() && self.installation_id.is_some() {
            return Err(Refusal::not_found(
                "installationId: there is no such installation; use `claims` for a stranger's",
            ));
        }
        let user_id = simulator.store.read(|world| world.seed.hex("user/nobody", 24));
        let speaker = self.speaker(installation.as_ref(), user_id);
        let mut claims = simulator.claims(&partner, installation.as_ref(), &speaker, "access_token");
        let plain = Spoiled::default();
        let spoiled = if let Some(Token::Spoiled(spoiled)) = &self.token { spoiled } else { &plain };
        if let Some(seconds) = spoiled.expires_in_seconds {
            claims.insert("exp".to_owned(), simulator.now().as_second().saturating_add(seconds).into());
        }
        for (name, value) in &self.claims {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let kid = spoiled.kid.clone().unwrap_or_else(|| Some(KEY_ID.to_owned()));
        simulator.token(&claims, spoiled.how()?, kid.as_deref()).map(Some)
    }

    fn headers(&self, act: &Act<'_>, method: &Method) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(bearer) = self.bearer(act)? {
            let value = HeaderValue::from_str(&format!("Bearer {bearer}"));
            headers.insert("authorization", value.map_err(|_| Refusal::bad_request("token does not fit a header"))?);
        }
        match self.auth {
            Auth::User => headers.insert("x-vercel-auth", HeaderValue::from_static("user")),
            Auth::System => headers.insert("x-vercel-auth", HeaderValue::from_static("system")),
            Auth::None | Auth::Raw => None,
        };
        let key = match &self.idempotency_key {
            Some(given) => given.clone(),
            None => (method != Method::GET).then(|| act.simulator.idempotency_key(&act.name)),
        };
        headers.extend(key.map(|key| (http::HeaderName::from_static("idempotency-key"), header_value(&key))));
        if self.body.is_some() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        add_headers(&mut headers, self.headers.iter())?;
        Ok(headers)
    }
}

/// The provider's answer.
#[derive(Serialize)]
struct Shown {
    body: Option<Box<RawValue>>,
    headers: BTreeMap<String, String>,
    status: u16,
}

/// Makes the call; what the provider answers is answered, and changes nothing on Vercel's side.
pub(crate) async fn call(act: &Act<'_>, body: CallBody) -> Answer {
    let partner = act.simulator.registered()?;
    let method = Method::from_bytes(body.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| Refusal::bad_request("method is no HTTP method"))?;
    if !body.path.starts_with('/') {
        return Err(Refusal::bad_request("path begins with a slash"));
    }
    let headers = body.headers(act, &method)?;
    let url = format!("{}{}", partner.base_url, body.path);
    let payload = body.body.map(|body| Bytes::copy_from_slice(body.get().as_bytes())).unwrap_or_default();
    let outgoing = Outgoing { method, url, path: body.path, headers, body: payload, timeout: TIMEOUT };
    let reply = act.simulator.send(outgoing).await;
    let Some(status) = reply.status else {
        return Err(Refusal::partner(format!("the provider: {}", reply.error.unwrap_or("no_answer"))));
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(json_response(StatusCode::OK, &Shown { body: lenient(&reply.body), headers, status }))
}
