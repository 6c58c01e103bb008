//! `GET /installation`: the built-in page of a signed-in person. Says what the installation has, no more.

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};

use super::{COOKIE, Page, escape, html};
use crate::edge::error::{ApiError, Code};
use crate::edge::wide::{CallerKind, Field, note};
use crate::installed;
use crate::provider::Provider;
use crate::state::{Resource, Session, keys};

/// How many pages of the table the list may take.
const PAGES_MAX: usize = 4;

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Page> {
    let nobody = || ApiError::new(Code::Unauthorized, "you are not signed in, or no longer");
    let secret = cookie(request.headers()).ok_or_else(nobody)?;
    let digest = keys::digest_of(&[secret.as_bytes()]);
    let session = provider.store.get::<Session>(&Session::key_of(&digest)).await?.ok_or_else(nobody)?;
    if session.ends_at <= provider.clock.now() {
        return Err(nobody().into());
    }
    let id = &session.sign_in.installation_id;
    note(Field::CallerKind, CallerKind::Browser);
    note(Field::InstallationId, id);
    installed::active(&provider, id).await?;
    let mut rows = String::new();
    for raw in provider.store.query(&keys::collection(id), keys::RESOURCES, PAGES_MAX).await? {
        let resource = raw.decode::<Resource>()?;
        if resource.life.is_there() {
            let plan = resource.plan_at(provider.clock.now()).map_or("", |plan| plan.as_str());
            let chosen = session.sign_in.resource_id.as_ref() == Some(&resource.id);
            let mark = if chosen { "<strong>&rarr;</strong> " } else { "" };
            let (name, plan, status) = (escape(&resource.name), escape(plan), escape(&resource.status.to_string()));
            let _ = write!(rows, "<tr><td>{mark}{name}</td><td>{plan}</td><td>{status}</td></tr>");
        }
    }
    let main = format!(
        "<h1>{}</h1><p>Signed in as {} ({}).</p><table><tr><th>Resource</th><th>Plan</th><th>Status</th></tr>{rows}</table>",
        escape(id.as_str()),
        escape(session.sign_in.user_id.as_str()),
        escape(&session.sign_in.role),
    );
    Ok(html(StatusCode::OK, &main))
}
