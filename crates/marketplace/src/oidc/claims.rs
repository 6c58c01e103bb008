//! The claims of a token whose signature is good (spec C).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{LEEWAY_SECONDS, TokenError};
use crate::ids::{ClientId, InstallationId, UserId};
use crate::wire::open_enum;

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// A person, through Vercel.
    User(UserClaims),
    /// Vercel itself.
    System(SystemClaims),
}

impl Claims {
    /// The installation it is about; `None` allows no route of an installation.
    pub fn installation_id(&self) -> Option<&InstallationId> {
        match self {
            Self::User(claims) => claims.installation_id.as_ref(),
            Self::System(claims) => claims.installation_id.as_ref(),
        }
    }

    /// The customer's account: opaque, a hash of team and integration.
    pub fn account_id(&self) -> Option<&str> {
        match self {
            Self::User(claims) => Some(&claims.account_id),
            Self::System(claims) => claims.account_id.as_deref(),
        }
    }

    /// The person, if it is one.
    pub const fn user(&self) -> Option<&UserClaims> {
        match self {
            Self::User(claims) => Some(claims),
            Self::System(_) => None,
        }
    }
}

open_enum! {
    /// What a person may do.
    Role {
        /// May install, provision and change.
        Admin = "ADMIN",
        /// May look.
        User = "USER",
    }
}

open_enum! {
    /// What a token was made for, where it says so.
    TokenUse {
        /// To call an API.
        Access = "access_token",
        /// To tell who signed on.
        Id = "id_token",
    }
}

/// A person's claims. `Debug` leaves out who they are beyond their id.
#[derive(Clone, PartialEq, Eq)]
pub struct UserClaims {
    /// The installation.
    pub installation_id: Option<InstallationId>,
    /// The customer's account: opaque.
    pub account_id: String,
    /// The person, within the installation.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// Their verified address; may be absent. Never log it.
    pub user_email: Option<String>,
    /// Their name.
    pub user_name: Option<String>,
    /// Their picture's address.
    pub user_avatar_url: Option<String>,
    /// What the token was made for.
    pub token_use: Option<TokenUse>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for UserClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserClaims")
            .field("installation_id", &self.installation_id)
            .field("user_id", &self.user_id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Vercel's own claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemClaims {
    /// The installation; null before there is one (spec B.5).
    pub installation_id: Option<InstallationId>,
    /// The customer's account; absent before there is one.
    pub account_id: Option<String>,
    /// What the token was made for.
    pub token_use: Option<TokenUse>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Body {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    sub: Option<String>,
    account_id: Option<String>,
    installation_id: Option<String>,
    user_id: Option<String>,
    user_role: Option<Role>,
    user_email: Option<String>,
    user_name: Option<String>,
    user_avatar_url: Option<String>,
    #[serde(rename = "type")]
    token_use: Option<TokenUse>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl Audience {
    fn includes(&self, client: &ClientId) -> bool {
        match self {
            Self::One(one) => one == client.as_str(),
            Self::Some(some) => some.iter().any(|one| one == client.as_str()),
        }
    }
}

/// A `NumericDate`, whose fraction is dropped. Read from its text: no float.
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let whole = raw.get().split_once('.').map_or(raw.get(), |(whole, _)| whole);
        whole.parse().map(Self).map_err(|_| serde::de::Error::custom("not a number of seconds"))
    }
}

/// Judges the claims of a verified token.
pub(super) fn read(payload: &[u8], issuer: &str, audience: &ClientId, now: Timestamp) -> Result<Claims, TokenError> {
    let body: Body = serde_json::from_slice(payload).map_err(|_| TokenError::Malformed("claims"))?;
    if body.iss.as_deref().ok_or(TokenError::ClaimMissing("iss"))? != issuer {
        return Err(TokenError::Issuer);
    }
    if !body.aud.as_ref().ok_or(TokenError::ClaimMissing("aud"))?.includes(audience) {
        return Err(TokenError::Audience);
    }
    let expires_at = check_time(&body, now)?;
    let installation_id = body.installation_id.clone().map(InstallationId::new).transpose();
    let installation_id = installation_id.map_err(|_| TokenError::ClaimInvalid("installation_id"))?;
    match (&body.user_id, &body.user_role) {
        (Some(_), Some(_)) => user(body, installation_id, expires_at).map(Claims::User),
        (None, None) => system(body, installation_id, expires_at).map(Claims::System),
        _ => Err(TokenError::MixedClaims),
    }
}

/// Checks `exp` and `nbf` and gives the former.
fn check_time(body: &Body, now: Timestamp) -> Result<Timestamp, TokenError> {
    let exp = body.exp.as_ref().ok_or(TokenError::ClaimMissing("exp"))?;
    let expires_at = Timestamp::from_second(exp.0).map_err(|_| TokenError::ClaimInvalid("exp"))?;
    let now = now.as_second();
    if now >= exp.0.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenError::Expired);
    }
    if body.nbf.as_ref().is_some_and(|nbf| now < nbf.0.saturating_sub(LEEWAY_SECONDS)) {
        return Err(TokenError::NotYetValid);
    }
    Ok(expires_at)
}

fn user(body: Body, installation_id: Option<InstallationId>, expires_at: Timestamp) -> Result<UserClaims, TokenError> {
    let sub = body.sub.as_deref().ok_or(TokenError::ClaimMissing("sub"))?;
    let parts: Vec<&str> = sub.split(':').collect();
    if !matches!(parts[..], ["account", account, "user", user] if is_hex(account) && is_hex(user)) {
        return Err(TokenError::Subject);
    }
    let user_id = body.user_id.ok_or(TokenError::ClaimMissing("user_id"))?;
    Ok(UserClaims {
        installation_id,
        account_id: body.account_id.ok_or(TokenError::ClaimMissing("account_id"))?,
        user_id: UserId::new(user_id).map_err(|_| TokenError::ClaimInvalid("user_id"))?,
        role: body.user_role.ok_or(TokenError::ClaimMissing("user_role"))?,
        user_email: body.user_email,
        user_name: body.user_name,
        user_avatar_url: body.user_avatar_url,
        token_use: body.token_use,
        expires_at,
    })
}

/// The system's subject may be null (spec C).
fn system(
    body: Body,
    installation_id: Option<InstallationId>,
    expires_at: Timestamp,
) -> Result<SystemClaims, TokenError> {
    if let Some(sub) = &body.sub
        && !sub.strip_prefix("account:").is_some_and(is_hex)
    {
        return Err(TokenError::Subject);
    }
    Ok(SystemClaims { installation_id, account_id: body.account_id, token_use: body.token_use, expires_at })
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
