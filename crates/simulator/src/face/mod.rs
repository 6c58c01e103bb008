//! Vercel's face: the paths of spec A and the OIDC issuer.
//!
//! Every call goes the same way: log, fault, token, rule, state, answer. All rules are checked under the
//! store's lock before anything changes, and an answer is given only once the change is in the journal.

mod billing;
mod credentials;
mod installations;
mod invoices;
mod resources;
mod sso;

pub(crate) use credentials::{SCOPES, grant};
pub(crate) use installations::account_of;
pub(crate) use resources::remove;
pub(crate) use sso::CODE_LIFETIME;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;
use tradepost_marketplace::doors::{Sleeper as _, SystemSleeper};

use crate::Inner;
use crate::derive::digest;
use crate::faults::{DELAY_MS_MAX, Fault, FaultKind, draw};
use crate::keys;
use crate::model::Life;
use crate::refusal::{Refusal, json_response};
use crate::requests::{Direction, outcome};
use crate::serve::{BODY_BYTES_MAX, Cut};
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
pub(crate) async fn answer(simulator: &Inner, request: Request) -> Response<Body> {
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
    if let Some(Fault { kind: FaultKind::Delay, ms, .. }) = &fault {
        SystemSleeper.sleep(Duration::from_millis(ms.unwrap_or(1_000).min(DELAY_MS_MAX))).await;
    }
    let result = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(body) => {
            let call = Call { method: parts.method, path, headers: parts.headers, body, now: simulator.now() };
            dispatch(simulator, &call)
        }
        Err(_) => Err(Refusal::too_large(format!("the body is longer than {BODY_BYTES_MAX} bytes, or was cut short"))),
    };
    let mut response = result.unwrap_or_else(|refusal| refusal.response());
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
        FaultKind::Delay | FaultKind::ResetAfter | FaultKind::Garbage => None,
    }
}

fn status_fault(fault: &Fault) -> Response<Bytes> {
    let wanted = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = wanted.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let code = match status.as_u16() {
        429 => "rate_limited",
        401 | 403 => "forbidden",
        404 => "not_found",
        500.. => "internal_server_error",
        _ => "bad_request",
    };
    let mut error = json!({ "code": code, "message": "simulated fault: status" });
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

/// Finds the operation. The older paths are aliases (spec L, 2024-05-30; spec A, base URL).
fn dispatch(simulator: &Inner, call: &Call) -> Answer {
    let path = call
        .path
        .strip_prefix("/api/")
        .map_or(call.path.as_str(), |rest| &call.path[call.path.len() - rest.len() - 1..]);
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let get = call.method == Method::GET || call.method == Method::HEAD;
    match segments.as_slice() {
        [".well-known", "openid-configuration"] if get => {
            Ok(json_response(StatusCode::OK, &keys::discovery(&simulator.issuer())))
        }
        [".well-known", "jwks" | "jwks.json"] if get => Ok(json_response(StatusCode::OK, &keys::key_set())),
        ["v1", "integrations", "sso", "token"] => match call.method {
            Method::POST => Ok(sso::exchange(simulator, call)),
            _ => Err(unknown_method("A.20")),
        },
        ["v1", "installations", id, rest @ ..]
        | ["v1", "integrations", "marketplace", "installations", id, rest @ ..] => {
            installation_call(simulator, call, id, rest)
        }
        _ => Err(Refusal::not_found(format!("{path} is no path of spec A"))),
    }
}

fn unknown_method(rule: &str) -> Refusal {
    Refusal::method(format!("spec {rule}: this path does not take that method"))
}

/// Operations of an installation, under its token.
fn installation_call(simulator: &Inner, call: &Call, id: &str, rest: &[&str]) -> Answer {
    let method = call.method.as_str();
    match (method, rest) {
        ("PATCH", []) => installations::update(simulator, call, id),
        ("GET", []) => installations::probe(simulator, call, id),
        ("GET", ["account"]) => installations::account(simulator, call, id),
        ("GET", ["member", member]) => installations::member(simulator, call, id, member),
        ("POST", ["events"]) => installations::event(simulator, call, id),
        ("POST", ["credentials", "rotate"]) => credentials::rotate(simulator, call, id),
        ("POST", ["credentials", "revoke"]) => credentials::revoke(simulator, call, id),
        ("GET", ["resources"]) => resources::list(simulator, call, id),
        ("GET", ["resources", resource]) => resources::get(simulator, call, id, resource),
        ("PATCH", ["resources", resource]) => resources::update(simulator, call, id, resource),
        ("DELETE", ["resources", resource]) => resources::delete(simulator, call, id, resource),
        ("PUT", ["resources", resource, "secrets"]) => resources::secrets(simulator, call, id, resource, "spec A.18"),
        ("PUT", ["products", _, "resources", resource, "secrets"]) => {
            resources::secrets(simulator, call, id, resource, "spec A.19")
        }
        ("PUT", ["resources", _]) => Err(Refusal::missing("A.10, import resource")),
        (_, ["resources", _, "experimentation", ..]) => Err(Refusal::missing("A.21 and A.22, experimentation")),
        ("POST", ["billing"]) => billing::interim(simulator, call, id),
        ("POST", ["billing", "balance"]) => billing::balance(simulator, call, id),
        ("POST", ["billing", "finalize"]) => billing::finalize(simulator, call, id),
        ("POST", ["billing", "invoices"]) => invoices::submit(simulator, call, id),
        ("GET", ["billing", "invoices", invoice]) => invoices::get(simulator, call, id, invoice),
        ("POST", ["billing", "invoices", invoice, "actions"]) => invoices::refund(simulator, call, id, invoice),
        (
            _,
            []
            | ["account" | "events" | "resources" | "billing"]
            | ["resources" | "member", _]
            | ["resources", _, "secrets"]
            | ["credentials", "rotate" | "revoke"]
            | ["billing", "balance" | "finalize" | "invoices"]
            | ["billing", "invoices", _]
            | ["billing", "invoices", _, "actions"],
        ) => Err(unknown_method("A")),
        _ => Err(Refusal::not_found(format!("{} is no path of spec A", call.path))),
    }
}

/// Checks the bearer token against the installation in the path. Called under the store's lock, so that a
/// token cannot die between the check and the change.
pub(crate) fn authorize(world: &World, call: &Call, installation_id: &str) -> Result<String, Refusal> {
    let header = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let missing = || Refusal::unauthorized("spec A: the call has no bearer token");
    let key = digest(bearer.filter(|token| !token.is_empty()).ok_or_else(missing)?);
    let token = world.tokens.get(&key).ok_or_else(|| Refusal::unauthorized("spec A: the bearer token is unknown"))?;
    if token.revoked {
        return Err(Refusal::unauthorized("spec A.6: the bearer token is revoked"));
    }
    if token.installation_id != installation_id {
        return Err(Refusal::forbidden("spec A: the bearer token is another installation's"));
    }
    let life = world.installations.get(installation_id).map(|row| row.life);
    match life {
        Some(Life::Active | Life::Uninstalling) => Ok(key),
        Some(Life::Finalized) => Err(Refusal::gone("spec F: the installation is finalized, its token is dead")),
        None => Err(Refusal::not_found("spec A: there is no such installation")),
    }
}
