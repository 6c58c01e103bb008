//! The control face, `/_sim`: whoever plays the customer and the clock.
//!
//! A call that acts may carry an `Idempotency-Key`. Its answer is then kept (sealed) and given again
//! without acting, also after a restart; and if the simulator died in between, the repeat derives the same
//! ids and the same `Idempotency-Key` towards the provider, so nothing doubles. Answers of 5xx are not
//! kept, nor those that show a provider which could not act (no answer, 5xx, 429, 409 with Retry-After): the
//! repeat tries again, with the same key towards the provider. An act runs to its end even if the caller hangs up.

mod calls;
mod clock;
mod installations;
mod members;
mod partner;
mod purchases;
mod resources;
mod seed;
mod sso;
mod state;
mod transfers;
mod webhooks;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::derive::digest;
use crate::faults::{ArmedFault, FAULTS_MAX, FaultOrder};
use crate::model::Control;
use crate::partner::{Reply, ReplyView};
use crate::refusal::{Refusal, empty_response, json_response};
use crate::serve::BODY_BYTES_MAX;
use crate::{Inner, lock, switches};

pub(crate) type Answer = Result<Response<Bytes>, Refusal>;

/// How many answers are kept for repeats.
const KEPT_ANSWERS_MAX: usize = 100_000;
/// The longest idempotency key.
const KEY_CHARS_MAX: usize = 256;

/// A control call, read whole.
struct Call {
    method: Method,
    path: String,
    query: String,
    body: Bytes,
    key: Option<String>,
}

impl Call {
    /// Reads the body; none is an empty object.
    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("{} {}: {error}", self.method, self.path)))
    }

    /// A parameter of the query.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// One control call being carried out.
pub(crate) struct Act<'a> {
    pub(crate) simulator: &'a Arc<Inner>,
    /// What ids and keys are derived from: the same for a repeat.
    pub(crate) name: String,
    key: Option<String>,
}

impl Act<'_> {
    /// Decides something before acting; a repeat after a crash gets what was decided then.
    fn decide(&self, decision: impl FnOnce() -> Result<String, Refusal>) -> Result<String, Refusal> {
        let Some(key) = &self.key else { return decision() };
        let kept = self.simulator.store.read(|world| world.controls.get(key).and_then(|row| row.decided.clone()));
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let decided = decision()?;
        self.simulator.store.write(|world| {
            world.controls.update(key, |row| row.decided = Some(decided.clone()));
            Ok(decided.clone())
        })
    }
}

/// Answers a control call.
pub(crate) async fn answer(simulator: Arc<Inner>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let why = format!("the body is longer than {BODY_BYTES_MAX} bytes, or was cut short");
        return Refusal::too_large(why).response().map(Body::from);
    };
    let call = Call {
        method: parts.method,
        path: parts.uri.path().trim_end_matches('/').to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        key: parts.headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned),
    };
    let acting = tokio::spawn(async move { carry_out(&simulator, &call).await });
    let result = acting.await.unwrap_or_else(|_| Err(Refusal::internal("the simulator failed; see its log")));
    result.unwrap_or_else(|refusal| refusal.response()).map(Body::from)
}

async fn carry_out(simulator: &Arc<Inner>, call: &Call) -> Answer {
    if call.method == Method::GET {
        return show(simulator, call).await;
    }
    // Registering the provider is idempotent by itself, and must follow its address after a restart.
    let key = call.key.clone().filter(|_| call.path != "/_sim/partner");
    let Some(key) = key else {
        let number = simulator.store.write(|world| Ok(world.count("control")))?;
        return act(&Act { simulator, name: format!("number/{number}"), key: None }, call).await;
    };
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(Refusal::bad_request(format!("an Idempotency-Key has 1 to {KEY_CHARS_MAX} characters")));
    }
    let Some(_running) = Running::begin(simulator, &key) else {
        return Err(Refusal::conflict("a call with this Idempotency-Key is under way"));
    };
    let request = digest(&format!("{} {} {}", call.method, call.path, digest(&String::from_utf8_lossy(&call.body))));
    if let Some(kept) = begin(simulator, &key, &request)? {
        return Ok(kept);
    }
    let result = act(&Act { simulator, name: format!("key/{key}"), key: Some(key.clone()) }, call).await;
    let response = result.unwrap_or_else(|refusal| refusal.response());
    if !response.status().is_server_error() && response.extensions().get::<Passing>().is_none() {
        keep(simulator, &key, request, &response)?;
    }
    Ok(response)
}

/// Marks an answer that is not kept: the provider could not act yet.
#[derive(Clone, Copy)]
struct Passing;

/// Holds an idempotency key for as long as its call runs.
struct Running<'a> {
    simulator: &'a Inner,
    key: &'a str,
}

impl<'a> Running<'a> {
    fn begin(simulator: &'a Inner, key: &'a str) -> Option<Self> {
        lock(&simulator.busy).insert(key.to_owned()).then_some(Self { simulator, key })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.simulator.busy).remove(self.key);
    }
}

/// Gives the kept answer of a key, or notes that its call begins.
fn begin(simulator: &Inner, key: &str, request: &str) -> Result<Option<Response<Bytes>>, Refusal> {
    simulator.store.write(|world| {
        let Some(row) = world.controls.get(key) else {
            if world.controls.len() >= KEPT_ANSWERS_MAX {
                return Err(Refusal::conflict(format!("{KEPT_ANSWERS_MAX} answers are kept; reset the simulator")));
            }
            let row = Control { request: request.to_owned(), decided: None, status: None, answer: None };
            world.controls.put(key, row);
            return Ok(None);
        };
        if row.request != request {
            return Err(Refusal::conflict("this Idempotency-Key was used for another call"));
        }
        let (Some(status), Some(sealed)) = (row.status, &row.answer) else { return Ok(None) };
        let mut response = Response::new(Bytes::from(simulator.store.unseal(sealed)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response.headers_mut().insert("idempotent-replay", http::HeaderValue::from_static("true"));
        Ok(Some(response))
    })
}

fn keep(simulator: &Inner, key: &str, request: String, response: &Response<Bytes>) -> Result<(), Refusal> {
    let answer = Some(simulator.store.seal(response.body()));
    let row = Control { request, decided: None, status: Some(response.status().as_u16()), answer };
    simulator.store.write(|world| {
        world.controls.put(key, row);
        Ok(())
    })
}

/// The calls that only look.
async fn show(simulator: &Inner, call: &Call) -> Answer {
    match call.path.as_str() {
        "/_sim/health" => Ok(json_response(StatusCode::OK, &json!({ "ok": true, "now": simulator.now() }))),
        "/_sim/clock" => Ok(json_response(StatusCode::OK, &json!({ "now": simulator.now() }))),
        "/_sim/state" => {
            simulator.settle().await?;
            state::show(simulator, call.parameter("installationId"), call.parameter("cursor").as_deref())
        }
        "/_sim/requests" => {
            simulator.settle().await?;
            let since = call.parameter("since").unwrap_or_default();
            let since = if since.is_empty() { Ok(0) } else { since.parse() };
            let since = since.map_err(|_| Refusal::bad_request("since is the seq of a request"))?;
            let rows = simulator.log.since(since);
            Ok(json_response(
                StatusCode::OK,
                &json!({ "next": rows.last().map_or(since, |row| row.seq), "requests": rows }),
            ))
        }
        "/_sim/faults" => Ok(armed(simulator)),
        "/_sim/switches" => Ok(switches::show(simulator)),
        _ => Err(Refusal::not_found(format!("the control face has no GET {}", call.path))),
    }
}

/// The calls that act. What was due is done first, and what they leave due before they answer.
async fn act(act: &Act<'_>, call: &Call) -> Answer {
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    // What was due before comes before; but not to an address that is about to change.
    if !matches!(segments.get(1), Some(&("reset" | "partner"))) {
        act.simulator.settle().await?;
    }
    let response = match (call.method.as_str(), segments.get(1..).unwrap_or_default()) {
        ("POST", ["reset"]) => reset(act.simulator, call),
        ("POST", ["partner"]) => partner::register(act, call.read()?),
        ("POST", ["installations"]) => installations::install(act, call.read()?).await,
        ("PATCH", ["installations", id]) => installations::change(act, id, call.read()?).await,
        ("DELETE", ["installations", id]) => installations::uninstall(act, id, call.read()?).await,
        ("POST", ["installations", id, "resources"]) => resources::provision(act, id, call.read()?).await,
        ("PATCH", ["installations", id, "resources", rid]) => resources::change(act, id, rid, call.read()?).await,
        ("DELETE", ["installations", id, "resources", rid]) => resources::delete(act, id, rid).await,
        ("POST", ["installations", id, "secrets", "rotate"]) => resources::rotate(act, id, call.read()?).await,
        ("POST", ["installations", id, "payment"]) => installations::payment(act, id, &call.read()?),
        ("POST", ["installations", id, "purchases"]) => purchases::buy(act, id, call.read()?).await,
        ("POST", ["transfers"]) => transfers::transfer(act, call.read()?).await,
        ("POST", ["seed"]) => seed::seed(act, call.read()?).await,
        ("POST", ["members"]) => members::change(act, &call.read()?),
        ("POST", ["calls"]) => calls::call(act, call.read()?).await,
        ("POST", ["sso"]) => sso::open(act, &call.read()?),
        ("POST", ["webhooks"]) => webhooks::send(act, call.read()?).await,
        ("POST", ["clock"]) => clock::advance(act, call.read()?).await,
        ("PUT", ["faults"]) => faults(act.simulator, call),
        ("PUT", ["switches"]) => switches::put(act.simulator, call.read()?),
        _ => Err(Refusal::not_found(format!("the control face has no {} {}", call.method, call.path))),
    }?;
    act.simulator.settle().await?;
    // The next due instant may be another one now.
    act.simulator.wake.notify_one();
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    seed: Option<u64>,
}

fn reset(simulator: &Inner, call: &Call) -> Answer {
    let body: ResetBody = call.read()?;
    simulator.store.reset(body.seed)?;
    simulator.log.clear();
    Ok(empty_response(StatusCode::NO_CONTENT))
}

fn faults(simulator: &Inner, call: &Call) -> Answer {
    let orders: Vec<FaultOrder> = serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::bad_request(format!("PUT /_sim/faults takes an array of faults: {error}")))?;
    if orders.len() > FAULTS_MAX {
        return Err(Refusal::bad_request(format!("at most {FAULTS_MAX} faults")));
    }
    orders.iter().try_for_each(FaultOrder::check)?;
    simulator.store.write(|world| {
        let old: Vec<String> = world.faults.iter().map(|(key, _)| key.clone()).collect();
        for key in old {
            world.faults.remove(&key);
        }
        for (n, order) in orders.into_iter().enumerate() {
            world.faults.put(&format!("{n:04}"), ArmedFault::new(order));
        }
        Ok(())
    })?;
    Ok(armed(simulator))
}

/// A fault as it was ordered, and how often it came up.
#[derive(serde::Serialize)]
struct ArmedView {
    #[serde(flatten)]
    order: serde_json::Map<String, serde_json::Value>,
    seen: u64,
    fired: u64,
}

/// The armed faults, each with how often it fired.
fn armed(simulator: &Inner) -> Response<Bytes> {
    let views: Vec<ArmedView> = simulator.store.read(|world| {
        let view = |row: &ArmedFault| {
            let order = serde_json::to_value(&row.order).ok().and_then(|value| value.as_object().cloned());
            ArmedView { order: order.unwrap_or_default(), seen: row.seen, fired: row.fired }
        };
        world.faults.iter().map(|(_, row)| view(row)).collect()
    });
    json_response(StatusCode::OK, &views)
}

/// What is answered where the provider did not do as a customer wished.
#[derive(serde::Serialize)]
struct Refused {
    error: serde_json::Value,
    partner: ReplyView,
}

/// 502: the provider refused what a customer did, or answered nonsense.
pub(crate) fn partner_refused(rule: &str, reply: &Reply) -> Response<Bytes> {
    let how = match (reply.status, reply.error) {
        (Some(status), _) => format!("answered {status}"),
        (None, error) => error.unwrap_or("no_answer").to_owned(),
    };
    let error = json!({ "code": "partner_refused", "message": format!("{rule}: the provider {how}") });
    json_response(StatusCode::BAD_GATEWAY, &Refused { error, partner: reply.view() })
}
