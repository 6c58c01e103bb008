//! A person's browser: opens the sign-on URL, follows the redirect with the cookie, reads the page.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use tradepost_marketplace::http_door::HttpDoor;

use super::repeats::{Repeats, differing};
use crate::canaries::Canaries;

/// How long a page may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a page is fetched while the provider is briefly unavailable.
const RELOADS_MAX: u32 = 10;

/// Where a sign-on code is shown to the provider.
const CALLBACK: &str = "/callback?";

/// A browser without history.
pub(super) struct Browser {
    pub(super) http: HttpDoor,
    pub(super) canaries: Canaries,
    pub(super) repeats: Option<Repeats>,
}

/// What came of opening a sign-on URL.
pub(super) enum SignOn {
    /// The page that the person sees.
    Page(String),
    /// The code did not work: sign on again, as the page says.
    Again(StatusCode),
}

impl Browser {
    /// Opens the URL that Vercel's dashboard opened.
    pub(super) async fn open(&self, url: &str, base: &str) -> anyhow::Result<SignOn> {
        let Ok(response) = self.get(url, None).await else {
            // The answer was lost: the code may be burned.
            return Ok(SignOn::Again(StatusCode::BAD_GATEWAY));
        };
        if response.status() != StatusCode::SEE_OTHER {
            return Ok(SignOn::Again(response.status()));
        }
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let location = text(header::LOCATION).context("the sign-on redirects to nowhere")?;
        let cookie = text(header::SET_COOKIE).context("the sign-on sets no cookie")?;
        for attribute in ["HttpOnly", "SameSite=Lax"] {
            if !cookie.contains(attribute) {
                bail!("the session's cookie is not {attribute}");
            }
        }
        let pair = cookie.split(';').next().unwrap_or_default();
        self.canaries.tell(pair.split_once('=').map_or(pair, |(_, value)| value));
        let page = format!("{base}{location}");
        for _ in 0..RELOADS_MAX {
            match self.get(&page, Some(pair)).await {
                Ok(response) if response.status() == StatusCode::OK => {
                    return Ok(SignOn::Page(String::from_utf8_lossy(response.body()).into_owned()));
                }
                Ok(response) if response.status().is_server_error() => {}
                Ok(response) => bail!("{location} after the sign-on: {}", response.status()),
                Err(_) => {}
            }
        }
        bail!("{location} after the sign-on does not load")
    }

    async fn get(&self, url: &str, cookie: Option<&str>) -> anyhow::Result<Response<Bytes>> {
        let mut request = Request::builder().method(Method::GET).uri(url);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Bytes::new())?;
        let response = self.http.send(request.clone(), TIMEOUT).await?;
        if let Some(repeats) = &self.repeats {
            repeats.before();
            let again = self.http.send(request, TIMEOUT).await.ok();
            let path = url.split("://").nth(1).and_then(|rest| rest.find('/').map(|at| &rest[at..]));
            let path = path.unwrap_or_default();
            let status = |response: &Response<Bytes>| response.status().as_u16();
            // A code is good once: that page must say so the second time.
            let again = again.as_ref().map(status);
            let wanted = if path.starts_with(CALLBACK) { StatusCode::BAD_REQUEST.as_u16() } else { status(&response) };
            repeats.after("GET", path, differing(Some(wanted), again));
        }
        Ok(response)
    }
}
