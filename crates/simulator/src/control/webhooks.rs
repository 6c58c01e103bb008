//! `POST /_sim/webhooks`: any event, well or badly signed, as often as asked, at once and without retries.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::{Act, Answer};
use crate::engine::webhooks::{Signing, envelope};
use crate::refusal::{Refusal, json_response};

/// How often one event is delivered at most.
const TIMES_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookBody {
    #[serde(rename = "type")]
    kind: String,
    payload: Value,
    #[serde(default)]
    signature: Signing,
    /// The same delivery, with the same id, so many times.
    times: Option<u32>,
}

/// Delivers, and answers each delivery's status; null where there was no answer.
pub(crate) async fn send(act: &Act<'_>, body: WebhookBody) -> Answer {
    let times = body.times.unwrap_or(1);
    if times == 0 || times > TIMES_MAX {
        return Err(Refusal::bad_request(format!("times is from 1 to {TIMES_MAX}")));
    }
    let simulator = act.simulator;
    let id = simulator.store.read(|world| world.seed.letters(&format!("webhook/{}", act.name), 24));
    let event = Bytes::from(envelope(&id, &body.kind, simulator.now(), &body.payload).to_string());
    let mut deliveries = Vec::new();
    for _ in 0..times {
        let reply = simulator.post_webhook(event.clone(), body.signature).await?;
        deliveries.push(json!({ "status": reply.status }));
    }
    Ok(json_response(StatusCode::OK, &json!({ "deliveries": deliveries, "id": id })))
}
