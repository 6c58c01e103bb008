//! Vercel's tokens: who is calling, or who signed on (spec C).
//!
//! Used for the bearer of every Partner API call and for the `id_token` of a sign-on. A token is refused with
//! the [`TokenError`] of the first rule it breaks, in this order: size, shape, algorithm (RS256 and nothing
//! else), key, signature, then the claims: issuer, audience, time, kind of caller, ids, use. Time is judged by
//! business time, the fetching of keys by lease time. The `X-Vercel-Auth` header only ever narrows what the
//! claims say. A good token then meets the rule of its route: [`Claims::require_admin`] and its siblings.
//!
//! Where the documents leave a choice, this fails closed:
//! - `aud` may be a list, but of nobody but us.
//! - `iat` may be absent, but not in the future beyond the leeway.
//! - `type` may be absent; where it is there, a bearer is an `access_token` and a sign-on's an `id_token`, so
//!   that neither stands in for the other.
//! - A token without an installation lets in nowhere but at the product plans (403, not 401).
//! - The key set lies at the issuer's own origin.

mod access;
mod claims;
mod documents;
mod keys;
mod members;
#[cfg(test)]
mod tests;
mod token;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

pub use access::Forbidden;
pub use claims::{Claims, Role, SystemClaims, TokenUse, UserClaims};
pub use documents::KeysError;
pub use keys::{FETCH_TIMEOUT, FETCH_WAIT, FETCH_WAIT_COLD, KEYS_FRESH};

use crate::doors::LeaseTime;
use crate::endpoint::Endpoint;
use crate::http_door::HttpDoor;
use crate::ids::ClientId;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// By how many seconds the clocks may differ.
pub const LEEWAY_SECONDS: i64 = 10;

/// The header that says how Vercel authenticates a call.
pub const AUTH_HEADER: &str = "x-vercel-auth";

/// What `X-Vercel-Auth` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthHeader {
    /// A person acts.
    User,
    /// Vercel acts.
    System,
    /// The header is absent, as the documents allow: the claims decide alone.
    Missing,
}

impl AuthHeader {
    /// Reads the header's value.
    pub fn from_value(value: Option<&str>) -> Result<Self, TokenError> {
        match value {
            None => Ok(Self::Missing),
            Some(value) if value.eq_ignore_ascii_case("user") => Ok(Self::User),
            Some(value) if value.eq_ignore_ascii_case("system") => Ok(Self::System),
            Some(_) => Err(TokenError::UnknownAuthHeader),
        }
    }
}

/// Why a token is refused. All but [`TokenError::KeysUnavailable`] are the caller's fault (401).
///
/// A message never repeats what a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not a signed JSON Web Token; names the part at fault.
    #[error("the token's {0} cannot be read")]
    Malformed(&'static str),
    /// Two members of one name in the header or the claims: which one counts would be anybody's guess.
    #[error("the token's {0} have a name twice")]
    Repeated(&'static str),
    /// Not RS256: none, HMAC, or anything else.
    #[error("the token's algorithm is not RS256")]
    Algorithm,
    /// The header asks for an extension that must be understood.
    #[error("the token's header asks for an extension")]
    Critical,
    /// The header names no key.
    #[error("the token names no key")]
    NoKeyId,
    /// The issuer has no such key.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// The issuer's keys could not be fetched: this is our side's trouble, and passes (503).
    #[error("the issuer's keys cannot be fetched: {0}")]
    KeysUnavailable(#[source] KeysError),
    /// The signature is not the key's.
    #[error("the token's signature does not match")]
    Signature,
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For another integration, or for others besides this one.
    #[error("the token is for another audience")]
    Audience,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// Too young.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Made in the future, which no honest clock does.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// A claim that must be there is not.
    #[error("the token has no {0}")]
    ClaimMissing(&'static str),
    /// A claim has an impossible value.
    #[error("the token's {0} is not one")]
    ClaimInvalid(&'static str),
    /// The subject has not the shape of its kind of token.
    #[error("the token's subject has the wrong shape")]
    Subject,
    /// One of user id and role without the other: neither a user's token nor the system's.
    #[error("the token is neither a user's nor the system's")]
    MixedClaims,
    /// Made for something else: a sign-on's token as a bearer, or a bearer as a sign-on's.
    #[error("the token was made for another use")]
    TokenUse,
    /// `X-Vercel-Auth` has a value we do not know.
    #[error("X-Vercel-Auth has an unknown value")]
    UnknownAuthHeader,
    /// The system's token for a sign-on, where somebody must be.
    #[error("the token is the system's: nobody signed on")]
    NotAUser,
    /// `X-Vercel-Auth` says otherwise than the claims.
    #[error("X-Vercel-Auth and the token disagree")]
    AuthHeaderMismatch,
}

impl TokenError {
    /// Whether it is our side's trouble rather than the token's.
    pub const fn is_unavailable(self) -> bool {
        matches!(self, Self::KeysUnavailable(_))
    }
}

/// Verifies the tokens of one issuer for one integration. Share one: it holds the keys.
#[derive(Debug)]
pub struct Verifier {
    keys: keys::KeyStore,
    issuer: Endpoint,
    audience: ClientId,
}

impl Verifier {
    /// A verifier that knows no key yet; the first token makes it fetch them.
    ///
    /// An issuer other than [`crate::endpoint::VERCEL_ISSUER`] is an authentication bypass: log it at start.
    pub fn new(http: HttpDoor, issuer: Endpoint, audience: ClientId) -> Self {
        Self { keys: keys::KeyStore::new(http, issuer.clone()), issuer, audience }
    }

    /// The same behind another door, made of its own: where calls are counted or traced.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(HttpDoor) -> HttpDoor) -> Self {
        Self { keys: self.keys.through(wrap), ..self }
    }

    /// Verifies the bearer of a call. Says nothing about which installation or role a route needs: see
    /// [`Claims::require_installation`] and [`Claims::require_admin`].
    pub async fn verify(
        &self,
        token: &str,
        auth: AuthHeader,
        now_business: Timestamp,
        now_lease: LeaseTime,
    ) -> Result<Claims, TokenError> {
        let claims = self.verify_for(&TokenUse::Access, token, now_business, now_lease).await?;
        match (auth, &claims) {
            (AuthHeader::Missing, _)
            | (AuthHeader::User, Claims::User(_))
            | (AuthHeader::System, Claims::System(_)) => Ok(claims),
            _ => Err(TokenError::AuthHeaderMismatch),
        }
    }

    /// Verifies the `id_token` of a sign-on: a user's token, or refused.
    pub async fn verify_sign_on(
        &self,
        id_token: &SecretString,
        now_business: Timestamp,
        now_lease: LeaseTime,
    ) -> Result<UserClaims, TokenError> {
        match self.verify_for(&TokenUse::Id, id_token.expose_secret(), now_business, now_lease).await? {
            Claims::User(claims) => Ok(claims),
            Claims::System(_) => Err(TokenError::NotAUser),
        }
    }

    async fn verify_for(
        &self,
        wanted: &TokenUse,
        token: &str,
        now_business: Timestamp,
        now_lease: LeaseTime,
    ) -> Result<Claims, TokenError> {
        let token = token::Token::parse(token)?;
        let key = self.keys.find(&token.key_id, now_lease).await?;
        token.check_signature(&key)?;
        let claims = claims::read(&token.payload, self.issuer.as_str(), &self.audience, now_business)?;
        if claims.token_use().is_some_and(|said| said != wanted) {
            return Err(TokenError::TokenUse);
        }
        Ok(claims)
    }
}
