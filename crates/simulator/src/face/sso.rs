//! A.20: a sign-on code, or a refresh token, becomes an ID token. Errors are OAuth's (observed).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::clock::later;
use crate::derive::digest;
use crate::face::credentials::is_client;
use crate::face::{Answer, Call};
use crate::keys::{KEY_ID, Signature, Speaker, TOKEN_SECONDS};
use crate::model::{HISTORY_MAX, Installation, Life, SignOn};
use crate::refusal::{Refusal, json_response};
use crate::rules::{
    A20_BODY, A20_CLIENT, A20_CODE, A20_EXPIRED, A20_GONE, A20_GRANT, A20_REFRESH, A20_REFRESH_EXPIRED, A20_STATE,
    A20_USED, Rule,
};
use crate::wire::read;
use crate::world::World;

/// How long a sign-on code lives (spec D.2: "short-lived").
pub(crate) const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(5);
/// How long a refresh token lives.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Which of the two bodies it is.
#[derive(Deserialize)]
struct Grant {
    grant_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByCode {
    #[serde(rename = "grant_type")]
    _grant_type: String,
    client_id: String,
    client_secret: String,
    code: String,
    state: Option<String>,
    /// Where Vercel would compare it with the console's setting is not documented.
    #[serde(rename = "redirect_uri")]
    _redirect_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByRefresh {
    #[serde(rename = "grant_type")]
    _grant_type: String,
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

/// OAuth's word for a broken rule (RFC 6749, 5.2).
fn oauth_code(refusal: &Refusal) -> &'static str {
    match Rule::named_in(&refusal.message) {
        Some(A20_GRANT) => "unsupported_grant_type",
        Some(A20_CLIENT) => "invalid_client",
        Some(A20_CODE | A20_USED | A20_EXPIRED | A20_STATE | A20_REFRESH | A20_REFRESH_EXPIRED | A20_GONE) => {
            "invalid_grant"
        }
        _ if refusal.status.is_server_error() => "server_error",
        _ => "invalid_request",
    }
}

/// The body as JSON; a form becomes an object of texts.
fn json_body(call: &Call) -> Bytes {
    let kind = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return call.body.clone();
    }
    let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&call.body).collect();
    serde_json::to_vec(&fields).map(Bytes::from).unwrap_or_default()
}

/// A.20.
pub(crate) fn exchange(simulator: &Inner, call: &Call) -> Response<Bytes> {
    let body = json_body(call);
    let result = read::<Grant>(A20_BODY, &body).and_then(|grant| match grant.grant_type.as_str() {
        "authorization_code" => by_code(simulator, call, &read(A20_BODY, &body)?),
        "refresh_token" => by_refresh(simulator, call, &read(A20_BODY, &body)?),
        other => Err(A20_GRANT.because(format!("{other:?}"))),
    });
    result.unwrap_or_else(|refusal| {
        let body = json!({ "error": oauth_code(&refusal), "error_description": refusal.message });
        json_response(refusal.status, &body)
    })
}

fn authenticate(simulator: &Inner, world: &World, id: &str, secret: &str) -> Result<(), Refusal> {
    if is_client(simulator, world, Some(id), secret) { Ok(()) } else { Err(A20_CLIENT.refuse()) }
}

/// The installation of a sign-on, unless it is over.
fn signed_on(world: &World, row: &SignOn) -> Result<Installation, Refusal> {
    let installation = world.installations.get(&row.installation_id).filter(|it| it.life != Life::Finalized);
    installation.cloned().ok_or_else(|| A20_GONE.refuse())
}

fn by_code(simulator: &Inner, call: &Call, body: &ByCode) -> Answer {
    let (installation, row, refresh) = simulator.store.write(|world| {
        authenticate(simulator, world, &body.client_id, &body.client_secret)?;
        let key = digest(&body.code);
        let row = world.codes.get(&key).cloned().ok_or_else(|| A20_CODE.refuse())?;
        if row.used {
            return Err(A20_USED.refuse());
        }
        if call.now > row.expires_at {
            return Err(A20_EXPIRED.refuse());
        }
        if body.state.as_ref().is_some_and(|state| Some(digest(state)) != row.state) {
            return Err(A20_STATE.refuse());
        }
        let installation = signed_on(world, &row)?;
        world.codes.update(&key, |row| row.used = true);
        let refresh = world.seed.letters(&format!("refresh/{}", row.name), 32);
        let expires_at = later(call.now, REFRESH_LIFETIME);
        world.refreshes.put(&digest(&refresh), SignOn { expires_at, state: None, used: false, ..row.clone() });
        world.refreshes.trim(HISTORY_MAX, |row| row.expires_at < call.now);
        Ok((installation, row, refresh))
    })?;
    let answer = json!({
        "id_token": id_token(simulator, &installation, &row)?,
        "access_token": null,
        "token_type": null,
        "expires_in": TOKEN_SECONDS,
        "refresh_token": simulator.tell(refresh),
    });
    Ok(json_response(StatusCode::OK, &answer))
}

fn by_refresh(simulator: &Inner, call: &Call, body: &ByRefresh) -> Answer {
    let (installation, row, access_token) = simulator.store.read(|world| {
        authenticate(simulator, world, &body.client_id, &body.client_secret)?;
        let row = world.refreshes.get(&digest(&body.refresh_token)).ok_or_else(|| A20_REFRESH.refuse())?;
        if call.now > row.expires_at {
            return Err(A20_REFRESH_EXPIRED.refuse());
        }
        let access_token = world.seed.letters(&format!("sso access/{}/{}", row.name, call.now), 32);
        Ok::<_, Refusal>((signed_on(world, row)?, row.clone(), access_token))
    })?;
    let answer = json!({
        "id_token": id_token(simulator, &installation, &row)?,
        "access_token": simulator.tell(access_token),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "refresh_token": body.refresh_token,
    });
    Ok(json_response(StatusCode::OK, &answer))
}

fn id_token(simulator: &Inner, installation: &Installation, row: &SignOn) -> Result<String, Refusal> {
    let partner = simulator.registered()?;
    let email = installation.members.get(&row.user_id).map(|member| member.email.clone()).unwrap_or_default();
    let speaker = Speaker::User { id: row.user_id.clone(), role: row.role, email };
    let claims = simulator.claims(&partner, Some(installation), &speaker, "id_token");
    simulator.token(&claims, Signature::Rs256, Some(KEY_ID))
}
