//! The demo's partner system: signed calls to the provider, each with a derived `webhook-id`, repeated as a good partner
//! would after 409, 429, 5xx or no answer at all.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use secrecy::SecretString;
use serde_json::Value;
use tradepost_marketplace::doors::{Sleeper, SystemSleeper};
use tradepost_marketplace::http_door::HttpDoor;
use tradepost_provider::signing::{ID_HEADER, KEY_ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};
use tradepost_provider::state::keys::hex;

use super::repeats::{Repeats, differing};
use super::site::Site;
use crate::canaries::Canaries;
use crate::control::{Control, is_passing, pause};
use crate::development;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is made; the pauses add up to more than any lease.
const TRIES_MAX: u32 = 100;
/// How much of a refusal is shown.
const SHOWN_BYTES: usize = 400;

/// A partner system with the development key.
pub(super) struct Partner {
    http: HttpDoor,
    base: String,
    /// Says what time it is.
    control: Control,
    secret: SigningSecret,
    ids: hmac::Key,
    canaries: Canaries,
    /// Watches second sends, if there are to be any.
    repeats: Option<Repeats>,
}

impl Partner {
    pub(super) fn new(site: &Site, seed: u64, canaries: Canaries, repeats: Option<Repeats>) -> anyhow::Result<Self> {
        let secret = SigningSecret::parse("the partner's secret", &SecretString::from(development::PARTNER_SECRET))?;
        let ids = hmac::Key::new(hmac::HMAC_SHA256, format!("tradepost demo partner, seed {seed}").as_bytes());
        let Site { provider_url, control, http, .. } = site.clone();
        Ok(Self { http, base: provider_url, control, secret, ids, canaries, repeats })
    }

    /// Makes a call until it is answered for good, and gives the body of the answer. `step` names the call: the same
    /// step has the same `webhook-id`, in a second process too.
    pub(super) async fn call(
        &self,
        step: &str,
        path: &str,
        kind: &str,
        installation: &str,
        data: &Value,
    ) -> anyhow::Result<Bytes> {
        let id = format!("msg_{}", &hex(hmac::sign(&self.ids, step.as_bytes()).as_ref())[..32]);
        let body = serde_json::json!({ "type": kind, "installationId": installation, "data": data });
        let body = Bytes::from(body.to_string());
        let mut last = String::new();
        for made in 1..=TRIES_MAX {
            let request = self.signed(&id, path, &body).await?;
            match self.http.send(request.clone(), TIMEOUT).await {
                Ok(response) if response.status().is_success() => {
                    self.again(request, path, &response).await;
                    return Ok(response.into_body());
                }
                Ok(response) if is_passing(response.status().as_u16()) => last = shown(&response),
                Ok(response) => bail!("POST {path} ({step}): {}", shown(&response)),
                Err(error) => last = error.to_string(),
            }
            SystemSleeper.sleep(pause(made)).await;
        }
        bail!("POST {path} ({step}) did not go through in {TRIES_MAX} tries; the last one: {last}")
    }

    async fn signed(&self, id: &str, path: &str, body: &Bytes) -> anyhow::Result<Request<Bytes>> {
        let now = self.control.now().await?;
        let signature = sign(&self.secret, id, now, body);
        self.canaries.tell(&signature);
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header(KEY_ID_HEADER, development::PARTNER_KEY_ID)
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, now.as_second().to_string())
            .header(SIGNATURE_HEADER, signature)
            .body(body.clone())
            .context("a partner's request")
    }

    /// The very same request once more, if that is asked for: it must be answered with the very same bytes.
    async fn again(&self, request: Request<Bytes>, path: &str, first: &Response<Bytes>) {
        let Some(repeats) = &self.repeats else { return };
        repeats.before();
        let again = self.http.send(request, TIMEOUT).await.ok();
        let status = |response: &Response<Bytes>| response.status().as_u16();
        let difference = differing(Some(status(first)), again.as_ref().map(status)).or_else(|| {
            let is_same = again.is_some_and(|again| again.body() == first.body());
            (!is_same).then(|| "was answered with another body".to_owned())
        });
        repeats.after("POST", path, difference);
    }
}

fn shown(response: &Response<Bytes>) -> String {
    let body = response.body();
    let text = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(body)).into_owned();
    format!("{}: {text}", response.status())
}
