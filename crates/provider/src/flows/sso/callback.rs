//! `GET /callback`: the redirect login URL.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::oidc::{Role, UserClaims};
use tradepost_marketplace::sso::{AllowedOrigin, SsoParams};
use tradepost_marketplace::wire::SsoExchange;
use tradepost_store::Write;

use super::{COOKIE, Page, draw};
use crate::caller::deadline_of;
use crate::commit::committed;
use crate::deadline::Deadline;
use crate::edge::error::{ApiError, Code};
use crate::edge::wide::{CallerKind, Field, note};
use crate::installed;
use crate::provider::Provider;
use crate::state::session::{HAND_OVER_SECONDS, SESSION_SECONDS, SignIn};
use crate::state::{HandOver, Resource, Session};
use tradepost_pricing::catalog::Catalog;

pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Page> {
    let deadline = deadline_of(&provider, request.extensions());
    let query = request.uri().query().unwrap_or_default();
    let params = SsoParams::parse(query).map_err(|error| ApiError::invalid(error.to_string()))?;
    let claims = sign_on(&provider, &params, deadline).await?;
    let id = claims.installation_id.ok_or_else(|| ApiError::forbidden("the sign-on is for no installation"))?;
    note(Field::CallerKind, CallerKind::Browser);
    note(Field::InstallationId, &id);
    installed::active(&provider, &id).await?;
    let mut sign_in = SignIn {
        installation_id: id,
        user_id: claims.user_id,
        role: role(&claims.role),
        resource_id: None,
        context: context(provider.catalog()?, &params),
    };
    if let Some(resource) = &params.resource_id {
        let key = Resource::key_of(&sign_in.installation_id, resource);
        let stored = provider.store.get::<Resource>(&key).await?;
        if stored.is_some_and(|stored| stored.life.is_there()) {
            sign_in.resource_id = Some(resource.clone());
        } else {
            tracing::warn!("a sign-on points at a resource that the installation does not have");
        }
    }
    admit(&provider, sign_in).await.map_err(Page)
}

/// Exchanges the code and verifies who it is for.
async fn sign_on(provider: &Provider, params: &SsoParams, deadline: Deadline) -> Result<UserClaims, ApiError> {
    let sign_on = provider.sign_on()?;
    let exchange = SsoExchange {
        code: params.code.clone(),
        client_id: sign_on.client_id.clone(),
        client_secret: sign_on.client_secret.clone(),
        state: params.state.clone(),
        redirect_uri: None,
    };
    let tokens =
        provider.vercel()?.exchange_code(&exchange, deadline.instant()).await.map_err(|error| match error {
            ClientError::Rejected(_) => {
                ApiError::new(Code::ValidationError, "the sign-on code was used or has expired").because(error)
            }
            // The code may be burned: only a fresh start helps.
            other => ApiError::unavailable(other),
        })?;
    let (now, lease) = (provider.clock.now(), provider.lease.now());
    provider.tokens()?.verify_sign_on(&tokens.id_token, now, lease).await.map_err(ApiError::unauthorized)
}

fn role(role: &Role) -> String {
    match role {
        Role::Admin => "ADMIN".to_owned(),
        Role::User => "USER".to_owned(),
        Role::Other(text) => text.clone(),
    }
}

/// The deep link, as far as it may be passed on. `url` only if its origin is allowed (spec D).
fn context(catalog: &Catalog, params: &SsoParams) -> BTreeMap<String, String> {
    let origins = catalog.allowed_origins().iter();
    let allowed: Vec<AllowedOrigin> = origins.filter_map(|origin| AllowedOrigin::new(origin)).collect();
    let target = params.target(&allowed).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "a sign-on asks for a target that is not allowed");
        None
    });
    let path = params.path.as_ref().map(ToString::to_string);
    let support = params.support.then(|| "true".to_owned());
    let pairs = [
        ("url", target.map(String::from)),
        ("path", path),
        ("support", support),
        ("productId", params.product_id.as_ref().map(ToString::to_string)),
        ("projectId", params.project_id.as_ref().map(ToString::to_string)),
        ("checkId", params.check_id.as_ref().map(ToString::to_string)),
        ("invoiceId", params.invoice_id.clone()),
        ("experimentationItemId", params.experimentation_item_id.clone()),
        ("pr", params.pr.clone()),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Makes the session and sends the browser on.
async fn admit(provider: &Provider, sign_in: SignIn) -> Result<Response, ApiError> {
    let settings = provider.sign_on()?;
    let now = provider.clock.now();
    let (secret, digest) = draw(provider);
    let ends_at = now.saturating_add(SignedDuration::from_secs(SESSION_SECONDS))?;
    let mut writes = vec![Write::create(&Session { digest, sign_in: sign_in.clone(), ends_at })?];
    let location = match &settings.dashboard_url {
        None => "/installation".to_owned(),
        Some(dashboard) => {
            let (code, digest) = draw(provider);
            let ends_at = now.saturating_add(SignedDuration::from_secs(HAND_OVER_SECONDS))?;
            let joint = if dashboard.contains('?') { '&' } else { '?' };
            let installation = sign_in.installation_id.clone();
            writes.push(Write::create(&HandOver { digest, sign_in, ends_at })?);
            // The installation is no secret, and the dashboard has to name it to redeem the code.
            format!("{dashboard}{joint}code={code}&installationId={installation}")
        }
    };
    if !committed(provider, writes).await? {
        return Err(ApiError::internal("a drawn session collided"));
    }
    let secure = if settings.insecure_cookies { "" } else { "; Secure" };
    let cookie = format!("{COOKIE}={secret}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax{secure}");
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::SET_COOKIE, HeaderValue::from_str(&cookie).map_err(ApiError::internal)?);
    headers.insert(header::LOCATION, HeaderValue::from_str(&location).map_err(ApiError::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
