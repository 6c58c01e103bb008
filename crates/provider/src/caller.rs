//! Who calls, and what lets them in. Nothing is read from the store, and nothing written, before this is
//! settled.
//!
//! - Vercel, with an OIDC token (spec C): [`vercel`]. The path's installation must be the claim's; if not it
//!   is 403, whether or not it exists. A token without an installation is good for product plans only.
//! - A partner system, with Standard Webhooks and a key of the right scope: [`partner`]. The scheme does not
//!   cover the path, so `type` in the body must be the route's, and ids in the path must equal those in
//!   `data`.
//! - The scheduler: the cron secret as a bearer, or the platform's own mark, which no outside request can
//!   carry: [`scheduler`].

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Bytes;
use axum::extract::Request;
use http::{Extensions, HeaderMap, Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::oidc::{AUTH_HEADER, AuthHeader, Claims, Forbidden};

use crate::deadline::Deadline;
use crate::edge::body::{self, BODY_BYTES_MAX};
use crate::edge::error::{ApiError, Code};
use crate::edge::wide::{CallerKind, Field, note};
use crate::idempotency::Identity;
use crate::provider::{Provider, RotatingSecret};
use crate::signing::Scope;

/// Which of Vercel's tokens a route takes (spec B, the Auth column).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A person who may install integrations.
    Admin,
    /// Vercel itself.
    System,
    /// Either; a person must be ADMIN.
    AdminOrSystem,
    /// Vercel itself, perhaps before there is an installation.
    Anywhere,
}

/// An authenticated call from Vercel, its body read. No `Debug`: the body may hold a token.
pub struct VercelCall {
    /// The installation, from path and claim alike; none for [`Rule::Anywhere`].
    installation: Option<InstallationId>,
    /// What a repeat is recognised by.
    pub identity: Identity,
    /// The body.
    pub body: Bytes,
    /// Until when to answer.
    pub deadline: Deadline,
}

impl VercelCall {
    /// The installation of the call.
    pub fn installation(&self) -> Result<&InstallationId, ApiError> {
        self.installation.as_ref().ok_or_else(|| ApiError::internal("a route without an installation asks for one"))
    }
}

/// The deadline that the edge gave the request.
pub fn deadline_of(provider: &Provider, extensions: &Extensions) -> Deadline {
    extensions.get::<Deadline>().copied().unwrap_or(Deadline::at(provider.lease.now()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets a call of Vercel's in and reads its body. `route` names the operation for idempotency.
pub async fn vercel(
    provider: &Provider,
    request: Request,
    path_installation: Option<&str>,
    rule: Rule,
    route: &str,
) -> Result<VercelCall, ApiError> {
    let (parts, body) = request.into_parts();
    let claims = claims(provider, &parts.headers).await?;
    note(
        Field::CallerKind,
        if matches!(claims, Claims::User(_)) { CallerKind::VercelUser } else { CallerKind::VercelSystem },
    );
    let installation = allow(&claims, path_installation, rule)?;
    if let Some(installation) = &installation {
        note(Field::InstallationId, installation);
    }
    let body = body::read(body, BODY_BYTES_MAX).await?;
    let key = match parts.headers.get("idempotency-key") {
        Some(value) => Some(value.to_str().map_err(|_| ApiError::invalid("Idempotency-Key is not ASCII"))?),
        None => None,
    };
    let deadline = deadline_of(provider, &parts.extensions);
    let identity = match &installation {
        Some(installation) => Identity::of_vercel(installation, route, key, &body, provider.entropy.draw())?,
        None => Identity { key: None, seed: String::new(), digest: String::new() },
    };
    Ok(VercelCall { installation, identity, body, deadline })
}

async fn claims(provider: &Provider, headers: &HeaderMap) -> Result<Claims, ApiError> {
    let token = bearer(headers).ok_or_else(|| ApiError::unauthorized("no bearer token"))?;
    let style = headers.get(AUTH_HEADER).map(|value| value.to_str().unwrap_or_default());
    let style = AuthHeader::from_value(style).map_err(ApiError::unauthorized)?;
    let verified = provider.tokens()?.verify(token, style, provider.clock.now(), provider.lease.now()).await;
    verified.map_err(|error| match error {
        error if error.is_unavailable() => ApiError::unavailable(error),
        other => ApiError::unauthorized(other),
    })
}

fn allow(claims: &Claims, path: Option<&str>, rule: Rule) -> Result<Option<InstallationId>, ApiError> {
    let allowed = match rule {
        Rule::Admin => claims.require_admin().map(|_| ()),
        Rule::System => claims.require_system().map(|_| ()),
        Rule::AdminOrSystem => claims.require_admin_or_system(),
        Rule::Anywhere => Ok(()),
    };
    allowed.map_err(|error| ApiError::forbidden(error.to_string()))?;
    let Some(path) = path else { return Ok(claims.installation_id().cloned()) };
    let installation = claims.require_installation(path).map_err(|error| {
        if error == Forbidden::NoInstallation {
            tracing::error!("a token without an installation was shown on a route of an installation");
        }
        ApiError::forbidden(error.to_string())
    })?;
    Ok(Some(installation.clone()))
}

/// An authenticated call of a partner system. No `Debug`: the body may hold secrets.
pub struct PartnerCall {
    /// On which installation.
    pub installation: InstallationId,
    /// What a repeat is recognised by.
    pub identity: Identity,
    /// The `type` of the body.
    pub kind: String,
    /// The `data` of the body, unread.
    pub data: Box<RawValue>,
    /// Until when to answer.
    pub deadline: Deadline,
}

impl PartnerCall {
    /// Reads `data`. Unknown fields are refused by the type (ours are closed).
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        body::parse_named("data", self.data.get().as_bytes())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PartnerBody {
    #[serde(rename = "type")]
    kind: String,
    installation_id: InstallationId,
    data: Box<RawValue>,
}

/// Lets a partner system in: signature first, then the scope that the `type` needs, which must be one of
/// the route's.
pub async fn partner(
    provider: &Provider,
    request: Request,
    types: &[(&str, Scope)],
    bytes_max: usize,
) -> Result<PartnerCall, ApiError> {
    let (parts, body) = request.into_parts();
    let refused = |why: &dyn std::fmt::Display| {
        ApiError::new(Code::InvalidSignature, "the signature is missing or not valid").because(why)
    };
    let body = body::read(body, bytes_max).await?;
    let authenticated = provider.partners()?.authenticate(&parts.headers, &body, provider.clock.now());
    let (key, verified) = authenticated.map_err(|error| refused(&error))?;
    note(Field::CallerKind, CallerKind::Partner);
    note(Field::PartnerKeyId, key.id());
    let PartnerBody { kind, installation_id, data } = body::parse(&body)?;
    let Some((_, scope)) = types.iter().find(|(name, _)| *name == kind) else {
        let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
        return Err(ApiError::invalid(format!("type must be one of {}", names.join(", "))));
    };
    note(Field::PartnerType, kind.as_str());
    if !key.allows(*scope) {
        return Err(ApiError::forbidden(format!("this key does not have the scope {scope}")));
    }
    note(Field::InstallationId, &installation_id);
    let identity = Identity::of_partner(key.id(), verified.id.as_str(), &body);
    let deadline = deadline_of(provider, &parts.extensions);
    Ok(PartnerCall { installation: installation_id, identity, kind, data, deadline })
}

/// The mark of a request that the platform's own scheduler made. Only [`mark_scheduled`] makes it, and only
/// the host calls that, for events that are not HTTP.
#[derive(Debug, Clone, Copy)]
struct Scheduled(());

/// Marks a request as made by the platform's scheduler.
pub fn mark_scheduled(extensions: &mut Extensions) {
    extensions.insert(Scheduled(()));
}

/// The least time a scheduled run needs: one call out, and writing down what came of it.
const RUN_SECONDS_MIN: i64 = 15;

/// A run that could do nothing must not look like one that had nothing to do.
fn enough(now: LeaseTime, deadline: Deadline) -> Result<Deadline, ApiError> {
    if deadline.less(RUN_SECONDS_MIN) < Deadline::at(now) {
        tracing::error!("the function's timeout is too short for scheduled work; give it 30 s or more");
        return Err(ApiError::unavailable("less than 15 s are left for a scheduled run"));
    }
    Ok(deadline)
}

/// Whether it is one of the secrets. As long whichever it is, and if it is none.
fn is_one_of(secrets: &RotatingSecret, shown: &str) -> bool {
    let matches = |secret: &SecretString| {
        verify_slices_are_equal(secret.expose_secret().as_bytes(), shown.as_bytes()).is_ok() && !shown.is_empty()
    };
    secrets.0.iter().filter(|secret| matches(secret)).count() > 0
}

/// Lets the scheduler in. A schedule is a GET; a POST is a queue's record, which only the platform's mark lets in:
/// no secret does.
pub fn scheduler(provider: &Provider, request: &Request) -> Result<Deadline, ApiError> {
    let deadline = deadline_of(provider, request.extensions());
    if request.extensions().get::<Scheduled>().is_some() {
        note(Field::CallerKind, CallerKind::Scheduler);
        return enough(provider.lease.now(), deadline);
    }
    let shown = if request.method() == Method::POST { None } else { bearer(request.headers()) };
    if is_one_of(provider.cron()?, shown.unwrap_or_default()) {
        note(Field::CallerKind, CallerKind::Scheduler);
        enough(provider.lease.now(), deadline)
    } else {
        Err(ApiError::new(Code::InvalidCronSecret, "the cron secret is missing or not valid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn only_the_mark_makes_a_request_scheduled() {
        let mut extensions = Extensions::new();
        assert!(extensions.get::<Scheduled>().is_none());
        mark_scheduled(&mut extensions);
        assert!(extensions.get::<Scheduled>().is_some());
    }

    #[test]
    fn a_secret_is_good_while_it_is_one_of_those_configured() {
        let is_one_of = |secrets: &[&str], shown| {
            is_one_of(&RotatingSecret(secrets.iter().map(|secret| SecretString::from(*secret)).collect()), shown)
        };
        for good in [&["a"][..], &["a", "b"], &["b", "a"], &["a", "a"]] {
            assert!(is_one_of(good, "a"), "{good:?}");
        }
        for bad in ["", "b", "aa", "A"] {
            assert!(!is_one_of(&["a"], bad), "{bad}");
        }
        assert!(!is_one_of(&[""], ""), "nothing is no secret");
        assert!(!is_one_of(&[], ""));
    }

    #[test]
    fn a_run_needs_fifteen_seconds() {
        let now = LeaseTime::of(jiff::Timestamp::UNIX_EPOCH);
        let run = |seconds| enough(now, Deadline::at(now.after(SignedDuration::from_secs(seconds)))).is_ok();
        assert_eq!([-1, 0, 14, 15, 16, 900].map(run), [false, false, false, true, true, true]);
    }
}
