//! Calls from Vercel's side to the provider: the Partner API, webhooks and crons.
//!
//! Every one goes through [`Inner::send`], which logs it, sends it as often as `repeat` says with the very
//! same bytes, and keeps the first answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tradepost_marketplace::http_door::HttpError;

use crate::json::lenient;
use crate::keys::{KEY_ID, Signature, Speaker, TokenContext, claims};
use crate::model::{Installation, Partner, Role};
use crate::refusal::Refusal;
use crate::requests::{Direction, outcome};
use crate::{Inner, Repeat, RepeatMoment, lock};

/// How long the Partner API may take; Vercel publishes no figure (spec K.3).
const PARTNER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a webhook may take (spec E).
pub(crate) const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a cron may take: the longest default of a Vercel function.
pub(crate) const CRON_TIMEOUT: Duration = Duration::from_mins(5);

/// A request to the provider, complete.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: String,
    /// What is logged and told to hooks: the path, without base URL.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) timeout: Duration,
}

/// The provider's answer, or that there was none.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) error: Option<&'static str>,
}

/// The provider's answer, as the control face shows it.
#[derive(Serialize)]
pub(crate) struct ReplyView {
    status: Option<u16>,
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Reply {
    fn failed(error: &'static str) -> Self {
        Self { status: None, headers: HeaderMap::new(), body: Bytes::new(), error: Some(error) }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the same call may go better later: no answer, 5xx, 429, or a 409 that says when.
    pub(crate) fn is_passing(&self) -> bool {
        match self.status {
            None | Some(429 | 500..) => true,
            Some(409) => self.headers.contains_key("retry-after"),
            Some(_) => false,
        }
    }

    pub(crate) fn view(&self) -> ReplyView {
        ReplyView { status: self.status, body: lenient(&self.body), error: self.error }
    }

    /// Reads a successful answer. Keys that are not in the spec are tolerated (spec K.2).
    pub(crate) fn read<T: DeserializeOwned>(&self, rule: &str) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::partner(format!("{rule}: the provider's answer is not as documented: {error}")))
    }
}

/// A call of the Partner API.
pub(crate) struct PartnerCall<'a> {
    pub(crate) method: Method,
    /// From `/v1` on, with its query.
    pub(crate) path: String,
    /// JSON.
    pub(crate) body: Option<String>,
    pub(crate) installation: Option<&'a Installation>,
    pub(crate) speaker: Speaker,
    /// What the call's `Idempotency-Key` is derived from.
    pub(crate) name: &'a str,
}

/// JSON for a [`PartnerCall`]; numbers keep their digits.
pub(crate) fn json_text<T: Serialize>(body: &T) -> Result<String, Refusal> {
    serde_json::to_string(body).map_err(|error| Refusal::internal(format!("the body is no JSON: {error}")))
}

/// The person who installed it.
pub(crate) fn installer(row: &Installation) -> Speaker {
    let member = row.members.get(&row.user_id);
    Speaker::User {
        id: row.user_id.clone(),
        role: member.map_or(Role::Admin, |member| member.role),
        email: member.map(|member| member.email.clone()).unwrap_or_default(),
    }
}

/// A header value from text that is known to fit; empty if it does not.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Inner {
    /// The registered provider.
    pub(crate) fn registered(&self) -> Result<Partner, Refusal> {
        let none = || Refusal::conflict("no provider is registered; POST /_sim/partner first");
        self.store.read(|world| world.partner().cloned()).ok_or_else(none)
    }

    /// A signed token that Vercel would send.
    pub(crate) fn token(
        &self,
        claims: &Map<String, Value>,
        how: Signature,
        kid: Option<&str>,
    ) -> Result<String, Refusal> {
        Ok(self.tell(self.signer.sign(how, kid, claims)?))
    }

    /// The claims of a token for `installation`, now.
    pub(crate) fn claims(
        &self,
        partner: &Partner,
        installation: Option<&Installation>,
        speaker: &Speaker,
        kind: &'static str,
    ) -> Map<String, Value> {
        let issuer = self.issuer();
        let installation = installation.map(|it| (it.id.as_str(), it.account_id.as_str()));
        let client_id = &partner.client_id;
        claims(&TokenContext { issuer: &issuer, client_id, now: self.now(), installation, kind }, speaker)
    }

    /// The `Idempotency-Key` of a call, derived from its name: a repeat after a crash carries the same.
    pub(crate) fn idempotency_key(&self, name: &str) -> String {
        self.store.read(|world| world.seed.hex(&format!("idempotency/{name}"), 32))
    }

    /// Calls the Partner API as Vercel does (spec B, "Headers on every call").
    pub(crate) async fn call_partner(&self, call: PartnerCall<'_>) -> Result<Reply, Refusal> {
        let partner = self.registered()?;
        let claims = self.claims(&partner, call.installation, &call.speaker, "access_token");
        let token = self.token(&claims, Signature::Rs256, Some(KEY_ID))?;
        let speaker = if matches!(call.speaker, Speaker::System) { "system" } else { "user" };
        let mut headers = HeaderMap::new();
        headers.insert("authorization", header_value(&format!("Bearer {token}")));
        headers.insert("x-vercel-auth", header_value(speaker));
        if call.method != Method::GET {
            headers.insert("idempotency-key", header_value(&self.idempotency_key(call.name)));
        }
        let body = call.body.map(Bytes::from).unwrap_or_default();
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        let url = format!("{}{}", partner.base_url, call.path);
        let (method, path, timeout) = (call.method, call.path, PARTNER_TIMEOUT);
        Ok(self.send(Outgoing { method, url, path, headers, body, timeout }).await)
    }

    /// Sends a request, and sends it again as often as the provider's `repeat` asks. The first answer counts.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Reply {
        let repeat = self.store.read(|world| world.partner().map_or(1, |partner| partner.repeat));
        // Sent once, requests may overlap; a hook that compares before and after needs them one at a time.
        let _alone = if repeat > 1 { Some(self.repeating.lock().await) } else { None };
        let first = self.send_once(&outgoing).await;
        let hook = lock(&self.hooks).repeat.clone();
        for _ in 1..repeat {
            let mut event = Repeat {
                moment: RepeatMoment::Before,
                method: outgoing.method.as_str(),
                path: &outgoing.path,
                first_status: first.status,
                status: None,
            };
            if let Some(hook) = &hook {
                hook(&event);
            }
            event.status = self.send_once(&outgoing).await.status;
            event.moment = RepeatMoment::After;
            if let Some(hook) = &hook {
                hook(&event);
            }
        }
        first
    }

    async fn send_once(&self, outgoing: &Outgoing) -> Reply {
        let path = outgoing.path.split('?').next().unwrap_or_default();
        let seq = self.log.begin(self.now(), Direction::ToPartner, outgoing.method.as_str(), path);
        let reply = self.transmit(outgoing).await;
        let word = reply.error.unwrap_or_else(|| outcome(reply.status.unwrap_or_default()));
        self.log.end(seq, reply.status, word);
        reply
    }

    async fn transmit(&self, outgoing: &Outgoing) -> Reply {
        let request = http::Request::builder().method(outgoing.method.clone()).uri(&outgoing.url);
        let Ok(mut request) = request.body(outgoing.body.clone()) else { return Reply::failed("not_sent") };
        *request.headers_mut() = outgoing.headers.clone();
        match self.network.send(request, outgoing.timeout).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Reply { status: Some(parts.status.as_u16()), headers: parts.headers, body, error: None }
            }
            Err(HttpError::NotSent(_)) => Reply::failed("not_sent"),
            Err(HttpError::NoAnswer(_)) => Reply::failed("no_answer"),
            Err(HttpError::TooLarge) => Reply::failed("too_large"),
        }
    }
}

/// Adds headers that a control call asked for; a name or value that is no header is refused.
pub(crate) fn add_headers<'a>(
    headers: &mut HeaderMap,
    extra: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), Refusal> {
    for (name, value) in extra {
        let wrong = || Refusal::bad_request(format!("headers: {name:?} is not a header"));
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        headers.insert(name, HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?);
    }
    Ok(())
}
