//! The OIDC issuer: one fixed development key, its documents, and tokens good and bad (spec C).
//!
//! The key is in the source on purpose. Whoever trusts the simulator as an issuer trusts everyone, so the
//! provider accepts another issuer than Vercel only where it is told to, and only on loopback over http.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::Role;
use crate::refusal::Refusal;

/// The id of the one signing key.
pub(crate) const KEY_ID: &str = "tradepost-simulator-1";
/// How long a token lives, in seconds of simulated time. Vercel publishes no figure (spec K.3).
pub(crate) const TOKEN_SECONDS: i64 = 3_600;

const PRIVATE_KEY: &str = include_str!("dev_key.pem");
/// The public half: a token "signed" with this text as an HMAC secret is the classic confusion attack.
const PUBLIC_KEY: &str = include_str!("dev_key.pub.pem");
/// The modulus of the key, base64url.
const MODULUS: &str = concat!(
    "s6lKcGPCtZSUL0s7qBD1Tz-n_PuiMTpDO5XMcT-xI-iXEVz3kCjr_nXw4zh-lnGxVEDLIStP9IqNLFSs-lWj2XCjEXuH_wrfR7kK",
    "JqI1LWB2Z16Tb4NXZQSz4p-1Q2TNufxDeQNDzj1oD8Ujupg-CmDar9vZbUOHLdlQUDmSDfXrnkMlt3bfFCvODRT7SaAsRuVsi8Gs",
    "lBZtEkGxsLtwzFxCpeN1ZnS4DAKDwwPCH3q6pMiDqmSTlYOVwS496FaLnV-Gyk0Lu26hohjE4QOSzFKWzBsdjnaTQMD_i5WZo0EX",
    "ibYORtOoR12mVTCP77wbt2CjHpwm2zEg9qYIMp3e3Q",
);
const EXPONENT: &str = "AQAB";

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Rs256,
    /// HMAC keyed with the text of the public key.
    Hs256,
    None,
    /// RS256, then one character of the signature changed.
    Broken,
}

pub(crate) struct Signer {
    key: EncodingKey,
}

impl Signer {
    pub(crate) fn new() -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self { key: EncodingKey::from_rsa_pem(PRIVATE_KEY.as_bytes())? })
    }

    pub(crate) fn sign(
        &self,
        how: Signature,
        kid: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<String, Refusal> {
        let failed = |error| Refusal::internal(format!("the token cannot be signed: {error}"));
        let header = |alg| Header { kid: kid.map(str::to_owned), ..Header::new(alg) };
        match how {
            Signature::Rs256 => jsonwebtoken::encode(&header(Algorithm::RS256), claims, &self.key).map_err(failed),
            Signature::Hs256 => {
                let key = EncodingKey::from_secret(PUBLIC_KEY.as_bytes());
                jsonwebtoken::encode(&header(Algorithm::HS256), claims, &key).map_err(failed)
            }
            Signature::None => {
                let header = json!({ "alg": "none", "typ": "JWT", "kid": kid });
                let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
                Ok(format!("{}.{}.", part(&header.to_string()), part(&Value::Object(claims.clone()).to_string())))
            }
            Signature::Broken => {
                let good = self.sign(Signature::Rs256, kid, claims)?;
                let (signed, signature) = good.rsplit_once('.').unwrap_or((&good, ""));
                let first = if signature.starts_with('A') { "B" } else { "A" };
                Ok(format!("{signed}.{first}{}", signature.get(1..).unwrap_or_default()))
            }
        }
    }
}

/// Whom a token speaks for.
#[derive(Clone, Debug)]
pub(crate) enum Speaker {
    System,
    User { id: String, role: Role, email: String },
}

/// What is common to all tokens of one moment.
pub(crate) struct TokenContext<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) now: Timestamp,
    /// `None` where there is no installation yet (spec B.5).
    pub(crate) installation: Option<(&'a str, &'a str)>,
    pub(crate) kind: &'static str,
}

/// The claims of spec C for a user's or the system's token.
pub(crate) fn claims(context: &TokenContext<'_>, speaker: &Speaker) -> Map<String, Value> {
    let issued = context.now.as_second();
    let (installation_id, account_id) = context.installation.unzip();
    let account = account_id.unwrap_or_default();
    let mut claims = json!({
        "iss": context.issuer,
        "aud": context.client_id,
        "iat": issued,
        "nbf": issued,
        "exp": issued + TOKEN_SECONDS,
        "installation_id": installation_id,
        "account_id": account_id,
        "sub": account_id.map(|account| format!("account:{account}")),
        "type": context.kind,
    });
    if let Speaker::User { id, role, email } = speaker {
        claims["sub"] = json!(format!("account:{account}:user:{id}"));
        claims["user_id"] = json!(id);
        claims["user_role"] = json!(role);
        claims["user_email"] = json!(email);
        claims["user_name"] = json!("Simulated Customer");
    }
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

/// The discovery document.
pub(crate) fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks"),
        "token_endpoint": format!("{issuer}/v1/integrations/sso/token"),
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "aud", "sub", "exp", "iat", "nbf", "account_id", "installation_id", "user_id",
            "user_role", "user_email", "user_name", "type"],
    })
}

/// The key set.
pub(crate) fn key_set() -> Value {
    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": MODULUS, "e": EXPONENT }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    fn token(how: Signature) -> String {
        let context = TokenContext {
            issuer: "http://127.0.0.1:1",
            client_id: "oac_1",
            now: Timestamp::from_second(2_000_000_000).unwrap(),
            installation: Some(("icfg_1", "abc")),
            kind: "access_token",
        };
        let speaker = Speaker::User { id: "0f".into(), role: Role::Admin, email: "a@example.com".into() };
        Signer::new().unwrap().sign(how, Some(KEY_ID), &claims(&context, &speaker)).unwrap()
    }

    fn verify(token: &str) -> Result<Map<String, Value>, jsonwebtoken::errors::Error> {
        let key = DecodingKey::from_rsa_components(MODULUS, EXPONENT).unwrap();
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.set_audience(&["oac_1"]);
        jsonwebtoken::decode(token, &key, &rules).map(|data| data.claims)
    }

    #[test]
    fn a_token_verifies_under_the_published_key() {
        let claims = verify(&token(Signature::Rs256)).unwrap();
        assert_eq!(claims["sub"], "account:abc:user:0f");
        assert_eq!(claims["user_role"], "ADMIN");
        assert_eq!(claims["exp"], 2_000_003_600_i64);
    }

    #[test]
    fn bad_tokens_are_bad() {
        for how in [Signature::Hs256, Signature::None, Signature::Broken] {
            assert!(verify(&token(how)).is_err(), "{how:?}");
        }
        assert_eq!(token(Signature::None).chars().filter(|c| *c == '.').count(), 2);
    }
}
