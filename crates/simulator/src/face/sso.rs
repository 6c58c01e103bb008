//! A.20: a sign-on code, or a refresh token, becomes an ID token. Errors are OAuth's (observed).

use bytes::Bytes;
use http::{Response, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::clock::later;
use crate::derive::digest;
use crate::face::Call;
use crate::face::credentials::check_client;
use crate::keys::{KEY_ID, Signature, Speaker, TOKEN_SECONDS};
use crate::model::{HISTORY_MAX, Installation, Life, SignOn};
use crate::refusal::{Refusal, json_response};
use crate::world::World;

/// How long a sign-on code lives (spec D.2: "short-lived").
pub(crate) const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(5);
/// How long a refresh token lives.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeBody {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    code: Option<String>,
    state: Option<String>,
    redirect_uri: Option<String>,
    refresh_token: Option<String>,
}

/// An OAuth error.
struct OauthError {
    status: StatusCode,
    code: &'static str,
    why: String,
}

impl OauthError {
    fn new(code: &'static str, why: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, why: format!("spec A.20: {why}") }
    }

    fn response(&self) -> Response<Bytes> {
        json_response(self.status, &json!({ "error": self.code, "error_description": self.why }))
    }
}

impl From<Refusal> for OauthError {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.status.is_server_error() { "server_error" } else { "invalid_request" };
        Self { status: refusal.status, code, why: refusal.message }
    }
}

/// Reads JSON or a form.
fn body(call: &Call) -> Result<ExchangeBody, OauthError> {
    let kind = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let unreadable = |error: serde_json::Error| OauthError::new("invalid_request", &error.to_string());
    if kind.starts_with("application/x-www-form-urlencoded") {
        let mut fields = serde_json::Map::new();
        for (name, value) in url::form_urlencoded::parse(&call.body) {
            fields.insert(name.into_owned(), json!(value));
        }
        return serde_json::from_value(fields.into()).map_err(unreadable);
    }
    serde_json::from_slice(&call.body).map_err(unreadable)
}

/// A.20.
pub(crate) fn exchange(simulator: &Inner, call: &Call) -> Response<Bytes> {
    let result = body(call).and_then(|body| match body.grant_type.as_deref() {
        Some("authorization_code") if body.refresh_token.is_none() => by_code(simulator, call, &body),
        Some("refresh_token") if body.code.is_none() => by_refresh(simulator, call, &body),
        Some("authorization_code" | "refresh_token") => {
            Err(OauthError::new("invalid_request", "code and refresh_token do not go together"))
        }
        Some(_) => Err(OauthError::new("unsupported_grant_type", "grant_type is authorization_code or refresh_token")),
        None => Err(OauthError::new("invalid_request", "grant_type is missing")),
    });
    result.unwrap_or_else(|error| error.response())
}

fn authenticate(simulator: &Inner, world: &World, body: &ExchangeBody) -> Result<(), OauthError> {
    let missing = || OauthError::new("invalid_request", "client_id and client_secret are needed");
    let id = body.client_id.as_deref().ok_or_else(missing)?;
    let secret = body.client_secret.as_deref().ok_or_else(missing)?;
    check_client(simulator, world, Some(id), secret).map_err(|refusal| OauthError {
        status: refusal.status,
        code: "invalid_client",
        why: format!("spec A.20: {}", refusal.message),
    })
}

fn by_code(simulator: &Inner, call: &Call, body: &ExchangeBody) -> Result<Response<Bytes>, OauthError> {
    // Where Vercel would compare redirect_uri with the console's setting is not documented.
    let _ = &body.redirect_uri;
    let used = simulator.store.write(|world| {
        if let Err(error) = authenticate(simulator, world, body) {
            return Ok(Err(error));
        }
        let key = digest(body.code.as_deref().unwrap_or_default());
        let bad = |why| Ok(Err(OauthError::new("invalid_grant", why)));
        let Some(row) = world.codes.get(&key).cloned() else { return bad("the code is unknown") };
        if row.used {
            return bad("the code was used already");
        }
        if call.now > row.expires_at {
            return bad("the code has expired");
        }
        if body.state.as_ref().is_some_and(|state| Some(digest(state)) != row.state) {
            return bad("the state is not the one that came with the code");
        }
        let Some(installation) = world.installations.get(&row.installation_id).cloned() else {
            return bad("the installation is gone");
        };
        world.codes.update(&key, |row| row.used = true);
        let refresh = world.seed.letters(&format!("refresh/{}", row.name), 32);
        let expires_at = later(call.now, REFRESH_LIFETIME);
        world.refreshes.put(&digest(&refresh), SignOn { expires_at, state: None, used: false, ..row.clone() });
        world.refreshes.trim(HISTORY_MAX, |row| row.expires_at < call.now);
        Ok(Ok((installation, row, refresh)))
    })?;
    let (installation, row, refresh) = used?;
    let id_token = id_token(simulator, &installation, &row)?;
    let answer = json!({
        "id_token": id_token,
        "access_token": null,
        "token_type": null,
        "expires_in": TOKEN_SECONDS,
        "refresh_token": simulator.tell(refresh),
    });
    Ok(json_response(StatusCode::OK, &answer))
}

fn by_refresh(simulator: &Inner, call: &Call, body: &ExchangeBody) -> Result<Response<Bytes>, OauthError> {
    let refresh = body.refresh_token.clone().unwrap_or_default();
    let (installation, row) = simulator.store.read(|world| {
        authenticate(simulator, world, body)?;
        let bad = |why| OauthError::new("invalid_grant", why);
        let row = world.refreshes.get(&digest(&refresh)).ok_or_else(|| bad("the refresh token is unknown"))?;
        if call.now > row.expires_at {
            return Err(bad("the refresh token has expired"));
        }
        let installation = world.installations.get(&row.installation_id).filter(|it| it.life != Life::Finalized);
        let installation = installation.ok_or_else(|| bad("the installation is gone"))?;
        Ok((installation.clone(), row.clone()))
    })?;
    let id_token = id_token(simulator, &installation, &row)?;
    let access_token = simulator
        .tell(simulator.store.read(|world| world.seed.letters(&format!("sso access/{}/{}", row.name, call.now), 32)));
    let answer = json!({
        "id_token": id_token,
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "refresh_token": refresh,
    });
    Ok(json_response(StatusCode::OK, &answer))
}

fn id_token(simulator: &Inner, installation: &Installation, row: &SignOn) -> Result<String, OauthError> {
    let partner = simulator.registered()?;
    let email = installation.members.get(&row.user_id).map(|member| member.email.clone()).unwrap_or_default();
    let speaker = Speaker::User { id: row.user_id.clone(), role: row.role, email };
    let claims = simulator.claims(&partner, Some(installation), &speaker, "id_token");
    Ok(simulator.token(&claims, Signature::Rs256, Some(KEY_ID))?)
}
