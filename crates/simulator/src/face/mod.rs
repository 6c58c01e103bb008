//! Vercel's face: the paths of spec A and the OIDC issuer.
//!
//! Every call goes the same way: log, fault, token, rule, state, answer. All rules are checked under the
//! store's lock before anything changes, and an answer is given only once the change is in the journal.

mod billing;
mod config;
mod credentials;
mod deployments;
mod experimentation;
mod import;
mod installations;
mod invoices;
mod resources;
mod routes;
mod sso;

#[cfg(test)]
pub(crate) use credentials::LIVE_CREDENTIALS_MAX;
pub(crate) use credentials::{SCOPES, grant};
pub(crate) use installations::account_of;
#[cfg(test)]
pub(crate) use invoices::TEXT_CHARS_MAX;
pub(crate) use sso::CODE_LIFETIME;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tradepost_marketplace::doors::{Sleeper as _, SystemSleeper};

use crate::Inner;
use crate::derive::digest;
use crate::faults::{DELAY_MS_MAX, Fault, FaultKind, draw};
use crate::model::Life;
use crate::refusal::{Refusal, code_of, json_response};
use crate::requests::{Direction, outcome};
use crate::rules::{FINALIZED, FOREIGN_BEARER, LIMIT_BODY, NO_BEARER, REVOKED_BEARER, UNKNOWN_BEARER};
use crate::serve::{BODY_BYTES_MAX, Cut};
use crate::switches::Envelopes;
use crate::world::World;

pub(crate) type Answer = Result<Response<Bytes>, Refusal>;

/// A call from the provider, read whole.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
}

/// Answers a call from the provider.
pub(crate) async fn answer(simulator: &Arc<Inner>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let seq = simulator.log.begin(simulator.now(), Direction::ToVercel, parts.method.as_str(), &path);
    let fault = match simulator.store.write(|world| Ok(draw(world, parts.method.as_str(), &path))) {
        Ok(fault) => fault,
        Err(refusal) => return refusal.response().map(Body::from),
    };
    let kind = fault.as_ref().map(|fault| fault.kind);
    if let Some(early) = fault.as_ref().and_then(before_acting) {
        let status = (kind != Some(FaultKind::ResetBefore)).then(|| early.status().as_u16());
        simulator.log.end(seq, status, kind.map_or("", FaultKind::name));
        return early.map(Body::from);
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let refusal = LIMIT_BODY.because("this one is longer, or was cut short");
        return answered(simulator, seq, kind, Err(refusal));
    };
    let call = Call { method: parts.method, path, headers: parts.headers, body, now: simulator.now() };
    let Some(Fault { kind: FaultKind::Delay, ms, .. }) = fault else {
        let result = routes::dispatch(simulator, &call);
        return answered(simulator, seq, kind, result);
    };
    // It acts even if the caller has gone meanwhile.
    let simulator = simulator.clone();
    let acting = tokio::spawn(async move {
        SystemSleeper.sleep(Duration::from_millis(ms.unwrap_or(1_000).min(DELAY_MS_MAX))).await;
        let call = Call { now: simulator.now(), ..call };
        let result = routes::dispatch(&simulator, &call);
        answered(&simulator, seq, kind, result)
    });
    acting.await.unwrap_or_else(|_| Refusal::internal("the simulator failed; see its log").response().map(Body::from))
}

/// What goes out, and into the log of requests.
fn answered(simulator: &Inner, seq: u64, kind: Option<FaultKind>, result: Answer) -> Response<Body> {
    let mut response = result.unwrap_or_else(|refusal| refusal.response());
    if response.status().as_u16() >= 400 && simulator.store.read(|world| world.switches().envelopes) == Envelopes::Lost
    {
        response = page(response.status());
    }
    let request_id = HeaderValue::from_str(&format!("sim1::{seq}"));
    response.headers_mut().extend(request_id.ok().map(|id| (header::HeaderName::from_static("x-vercel-id"), id)));
    simulator.wake.notify_one();
    let status = response.status().as_u16();
    match kind {
        None => simulator.log.end(seq, Some(status), outcome(status)),
        Some(FaultKind::ResetAfter) => {
            simulator.log.end(seq, None, FaultKind::ResetAfter.name());
            response.extensions_mut().insert(Cut);
        }
        Some(kind) => {
            simulator.log.end(seq, Some(status), kind.name());
            if kind == FaultKind::Garbage {
                *response.body_mut() = Bytes::from_static(b"<html>502 Bad Gateway</html>\x00\xff");
            }
        }
    }
    response.map(Body::from)
}

/// The answer of a fault that keeps the call from acting.
fn before_acting(fault: &Fault) -> Option<Response<Bytes>> {
    match fault.kind {
        FaultKind::Status => Some(status_fault(fault)),
        FaultKind::ResetBefore => {
            let mut response = Response::new(Bytes::new());
            response.extensions_mut().insert(Cut);
            Some(response)
        }
        FaultKind::Foreign => Some(foreign_fault(fault)),
        FaultKind::Delay | FaultKind::ResetAfter | FaultKind::Garbage => None,
    }
}

/// The status that a fault was armed with.
fn status_of(fault: &Fault, otherwise: StatusCode) -> StatusCode {
    fault.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(otherwise)
}

/// What a gateway answers that does not know where to send a request.
fn foreign_fault(fault: &Fault) -> Response<Bytes> {
    page(status_of(fault, StatusCode::NOT_FOUND))
}

fn page(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"<html><body>nginx</body></html>"));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn status_fault(fault: &Fault) -> Response<Bytes> {
    let status = status_of(fault, StatusCode::SERVICE_UNAVAILABLE);
    let mut error = json!({ "code": code_of(status), "message": "simulated fault: status" });
    if status == StatusCode::TOO_MANY_REQUESTS {
        // spec G: the body of a 429 carries the limit.
        error["limit"] = json!({ "total": 120, "remaining": 0, "reset": 0, "resetMs": 0 });
    }
    let mut response = json_response(status, &json!({ "error": error }));
    for (name, value) in &fault.headers {
        let pair = (header::HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Checks the bearer token against the installation in the path. Called under the store's lock, so that a
/// token cannot die between the check and the change.
pub(crate) fn authorize(world: &World, call: &Call, installation_id: &str) -> Result<(), Refusal> {
    let header = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let bearer = bearer.filter(|token| !token.is_empty()).ok_or_else(|| NO_BEARER.refuse())?;
    let token = world.tokens.get(&digest(bearer)).ok_or_else(|| UNKNOWN_BEARER.refuse())?;
    if token.revoked {
        return Err(REVOKED_BEARER.refuse());
    }
    if token.installation_id != installation_id {
        return Err(FOREIGN_BEARER.refuse());
    }
    if world.switches().gone.iter().any(|gone| gone == installation_id) {
        return Err(FINALIZED.because("the switch `gone`"));
    }
    match world.installations.get(installation_id).map(|row| row.life) {
        Some(Life::Active | Life::Uninstalling) => Ok(()),
        Some(Life::Finalized) | None => Err(FINALIZED.refuse()),
    }
}

/// The key of a row that belongs to a resource. An id from a path may hold a slash, which then stays encoded.
pub(crate) fn key(owner: (&str, &str), rest: &[&str]) -> String {
    let mut key = format!("{}/{}", owner.0, owner.1);
    for part in rest {
        key.push('/');
        key.push_str(&part.replace('%', "%25").replace('/', "%2F"));
    }
    key
}
