//! Open in Provider (spec D): a person comes from Vercel's dashboard and is signed in.
//!
//! `GET /callback` exchanges the single-use code, verifies the identity token exactly as any other of
//! Vercel's, checks that the installation is there, and makes a session: an opaque cookie of which only a
//! digest is stored. Without `TRADEPOST_DASHBOARD_URL` the person sees the built-in page; with it they go
//! on to the provider's dashboard with a one-time code, which the dashboard redeems once, by signed POST:
//! no token ever stands in a URL.
//!
//! What fails: the code was used or its answer lost (the person starts again from Vercel; the page says so),
//! the installation is gone (refused), a deep link into a resource of somebody else (dropped).

mod callback;
mod page;
mod redeem;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};

use crate::edge::ApiError;
use crate::layer;
use crate::provider::Provider;
use crate::state::keys;

/// The session's cookie.
pub const COOKIE: &str = "tradepost_session";

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/callback", get(callback::handle))
        .route("/installation", get(page::handle))
        .route("/partner/sessions/redeem", post(redeem::handle));
    layer::wrap(provider, routes)
}

/// A fresh secret of 32 bytes, and the digest under which it is kept.
fn draw(provider: &Provider) -> (String, String) {
    let mut bytes = [0; 32];
    provider.entropy.fill(&mut bytes);
    let text = keys::hex(&bytes);
    let digest = keys::digest_of(&[text.as_bytes()]);
    (text, digest)
}

/// An error as a person reads it.
struct Page(ApiError);

impl<E: Into<ApiError>> From<E> for Page {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0.log();
        let text = format!(
            "<h1>Sign-on did not work</h1><p>{}</p><p>Go back to Vercel and choose <em>Open</em> again.</p>",
            escape(&self.0.message)
        );
        html(self.0.code.status(), &text)
    }
}

/// Text inside HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page without scripts, foreign content or frames.
fn html(status: StatusCode, main: &str) -> Response {
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tradepost</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:16px/1.5 system-ui;\
         max-width:42rem;margin:3rem auto;padding:0 1rem}}table{{border-collapse:collapse;width:100%}}\
         td,th{{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}}</style></head>\
         <body><main>{main}</main></body></html>"
    );
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
