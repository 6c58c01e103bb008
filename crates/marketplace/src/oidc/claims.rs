//! The claims of a token whose signature is good (spec C).
//!
//! Unknown claims are ignored: the published schema is closed, yet does not list `exp`. Null is absent.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use super::members::Members;
use super::{LEEWAY_SECONDS, TokenError};
use crate::ids::{AccountId, ClientId, InstallationId, InvalidId, UserId};
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
    pub const fn installation_id(&self) -> Option<&InstallationId> {
        match self {
            Self::User(claims) => claims.installation_id.as_ref(),
            Self::System(claims) => claims.installation_id.as_ref(),
        }
    }

    /// The customer's account: opaque, a hash of team and integration.
    pub const fn account_id(&self) -> Option<&AccountId> {
        match self {
            Self::User(claims) => Some(&claims.account_id),
            Self::System(claims) => claims.account_id.as_ref(),
        }
    }

    /// The person, if it is one.
    pub const fn user(&self) -> Option<&UserClaims> {
        match self {
            Self::User(claims) => Some(claims),
            Self::System(_) => None,
        }
    }

    /// What the token was made for, where it says so.
    pub const fn token_use(&self) -> Option<&TokenUse> {
        match self {
            Self::User(claims) => claims.token_use.as_ref(),
            Self::System(claims) => claims.token_use.as_ref(),
        }
    }
}

open_enum! {
    /// What a person may do. A role that is not known is kept, and may do nothing.
    Role {
        /// May install, provision and change.
        Admin = "ADMIN",
        /// May look.
        User = "USER",
    }
}

open_enum! {
    /// What a token was made for.
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
    /// The installation. The schema requires it; without it the token is good for no route of an installation.
    pub installation_id: Option<InstallationId>,
    /// The customer's account: opaque.
    pub account_id: AccountId,
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
    pub account_id: Option<AccountId>,
    /// What the token was made for.
    pub token_use: Option<TokenUse>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl Audience {
    /// A token for others, too, is not for us: any of them could hand it on (OpenID Connect Core, 3.1.3.7).
    fn is_only(&self, client: &ClientId) -> bool {
        match self {
            Self::One(one) => one == client.as_str(),
            Self::Some(some) => !some.is_empty() && some.iter().all(|one| one == client.as_str()),
        }
    }
}

/// Judges the claims of a verified token.
pub(super) fn read(payload: &[u8], issuer: &str, audience: &ClientId, now: Timestamp) -> Result<Claims, TokenError> {
    let claims = Members::read(payload, "claims")?;
    let iss: String = claims.claim("iss")?.ok_or(TokenError::ClaimMissing("iss"))?;
    if iss != issuer {
        return Err(TokenError::Issuer);
    }
    let aud: Audience = claims.claim("aud")?.ok_or(TokenError::ClaimMissing("aud"))?;
    if !aud.is_only(audience) {
        return Err(TokenError::Audience);
    }
    let expires_at = check_time(&claims, now)?;
    match (claims.raw("user_id").is_some(), claims.raw("user_role").is_some()) {
        (true, true) => user(&claims, expires_at).map(Claims::User),
        (false, false) => system(&claims, expires_at).map(Claims::System),
        _ => Err(TokenError::MixedClaims),
    }
}

/// Checks `exp`, `nbf` and `iat` and gives the first. The others may be absent.
fn check_time(claims: &Members, now: Timestamp) -> Result<Timestamp, TokenError> {
    let now = now.as_second();
    let exp = seconds(claims, "exp")?.ok_or(TokenError::ClaimMissing("exp"))?;
    let expires_at = Timestamp::from_second(exp).map_err(|_| TokenError::ClaimInvalid("exp"))?;
    if now >= exp.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenError::Expired);
    }
    let is_future = |at: i64| now < at.saturating_sub(LEEWAY_SECONDS);
    if seconds(claims, "nbf")?.is_some_and(is_future) {
        return Err(TokenError::NotYetValid);
    }
    if seconds(claims, "iat")?.is_some_and(is_future) {
        return Err(TokenError::IssuedInFuture);
    }
    Ok(expires_at)
}

/// A `NumericDate` in plain notation, whose fraction is dropped. Read from its text: no float.
fn seconds(claims: &Members, name: &'static str) -> Result<Option<i64>, TokenError> {
    let whole = |raw: &str| raw.split_once('.').map_or(raw, |(whole, _)| whole).parse();
    claims.raw(name).map(whole).transpose().map_err(|_| TokenError::ClaimInvalid(name))
}

/// A claim that is an id.
fn id<T>(
    claims: &Members,
    name: &'static str,
    new: impl Fn(String) -> Result<T, InvalidId>,
) -> Result<Option<T>, TokenError> {
    claims.claim(name)?.map(new).transpose().map_err(|_| TokenError::ClaimInvalid(name))
}

fn user(claims: &Members, expires_at: Timestamp) -> Result<UserClaims, TokenError> {
    let sub: String = claims.claim("sub")?.ok_or(TokenError::ClaimMissing("sub"))?;
    let parts: Vec<&str> = sub.split(':').collect();
    if !matches!(parts[..], ["account", account, "user", user] if is_hex(account) && is_hex(user)) {
        return Err(TokenError::Subject);
    }
    let missing = TokenError::ClaimMissing;
    Ok(UserClaims {
        installation_id: id(claims, "installation_id", InstallationId::new)?,
        account_id: id(claims, "account_id", AccountId::new)?.ok_or(missing("account_id"))?,
        user_id: id(claims, "user_id", UserId::new)?.ok_or(missing("user_id"))?,
        role: claims.claim("user_role")?.ok_or(missing("user_role"))?,
        user_email: claims.claim("user_email")?,
        user_name: claims.claim("user_name")?,
        user_avatar_url: claims.claim("user_avatar_url")?,
        token_use: claims.claim("type")?,
        expires_at,
    })
}

/// The system's subject may be null (spec C).
fn system(claims: &Members, expires_at: Timestamp) -> Result<SystemClaims, TokenError> {
    let sub: Option<String> = claims.claim("sub")?;
    if sub.is_some_and(|sub| !sub.strip_prefix("account:").is_some_and(is_hex)) {
        return Err(TokenError::Subject);
    }
    Ok(SystemClaims {
        installation_id: id(claims, "installation_id", InstallationId::new)?,
        account_id: id(claims, "account_id", AccountId::new)?,
        token_use: claims.claim("type")?,
        expires_at,
    })
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
