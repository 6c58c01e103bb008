//! Partner systems: signed calls, well or badly.

use crate::development;
use http::Method;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tradepost_provider::signing::{ID_HEADER, KEY_ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};

use super::World;
use super::got::Got;

/// Every scope there is.
pub const SCOPES: [&str; 7] = ["usage", "events", "secrets", "invoices", "refunds", "read", "provisioner"];

/// The id of the key that has every scope but one.
pub fn key_without(scope: &str) -> String {
    format!("without-{scope}")
}

/// The development key with every scope, and for each scope a key that has all others. All share one secret.
pub fn keys() -> String {
    let secret = development::PARTNER_SECRET;
    let mut keys = vec![json!({ "id": development::PARTNER_KEY_ID, "secrets": [secret], "scopes": SCOPES })];
    for scope in SCOPES {
        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        keys.push(json!({ "id": key_without(scope), "secrets": [secret], "scopes": others }));
    }
    json!(keys).to_string()
}

/// A call, before it is signed.
#[derive(Debug, Clone)]
pub struct Call {
    pub route: String,
    pub key_id: String,
    pub secret: String,
    pub id: String,
    pub at: Timestamp,
    pub body: String,
    /// What is sent in place of the body that was signed.
    pub forged_body: Option<String>,
    /// Headers that are left out.
    pub without: Vec<&'static str>,
}

impl World {
    /// A good call with a `webhook-id` of its own.
    pub fn partner_call(&self, kind: &str, route: &str, installation: &str, data: &Value) -> Call {
        Call {
            route: route.to_owned(),
            key_id: development::PARTNER_KEY_ID.to_owned(),
            secret: development::PARTNER_SECRET.to_owned(),
            id: format!("msg_{}", self.number()),
            at: self.now(),
            body: json!({ "type": kind, "installationId": installation, "data": data }).to_string(),
            forged_body: None,
            without: Vec::new(),
        }
    }

    /// Signs and sends a call.
    pub async fn send_partner(&self, call: &Call) -> Got {
        self.send_signed(call, &signature(call)).await
    }

    async fn send_signed(&self, call: &Call, signature: &str) -> Got {
        let mut request = self.request(Method::POST, &call.route).header("content-type", "application/json");
        for (name, value) in [
            (KEY_ID_HEADER, call.key_id.clone()),
            (ID_HEADER, call.id.clone()),
            (TIMESTAMP_HEADER, call.at.as_second().to_string()),
            (SIGNATURE_HEADER, signature.to_owned()),
        ] {
            if !call.without.contains(&name) {
                request = request.header(name, value);
            }
        }
        self.send(request, call.forged_body.as_ref().unwrap_or(&call.body)).await
    }

    /// Sends `other` under the signature of `call`.
    pub async fn replay_with_signature_of(&self, call: &Call, other: &Call) -> Got {
        self.send_signed(other, &signature(call)).await
    }

    /// Makes a good call.
    pub async fn partner(&self, kind: &str, route: &str, installation: &str, data: Value) -> Got {
        self.send_partner(&self.partner_call(kind, route, installation, &data)).await
    }

    /// Reports usage: readings as (resource, meter, when, how much), ids by their place in the batch.
    pub async fn report(&self, installation: &str, batch: &str, readings: &[(&str, &str, &str, &str)]) -> Got {
        self.partner("usage.recorded", "/partner/usage", installation, usage(batch, readings)).await
    }

    /// What became of effects, as (status, attempts).
    pub async fn fates(&self, installation: &str, effects: &[String]) -> Vec<(String, u64)> {
        let data = json!({ "effectIds": effects });
        let got = self.partner("effects.query", "/partner/effects/query", installation, data).await.expect(200);
        let fates = got.body["effects"].as_array().unwrap().iter();
        fates.map(|fate| (super::got::text(&fate["status"]), fate["attempts"].as_u64().unwrap())).collect()
    }
}

fn signature(call: &Call) -> String {
    let secret = SigningSecret::parse("test", &SecretString::from(call.secret.as_str())).unwrap();
    sign(&secret, &call.id, call.at, call.body.as_bytes())
}

/// The data of a batch.
pub fn usage(batch: &str, readings: &[(&str, &str, &str, &str)]) -> Value {
    let reading = |(n, (resource, meter, at, quantity)): (usize, &(&str, &str, &str, &str))| json!({ "id": format!("r{n}"), "resourceId": resource, "meter": meter, "at": at, "quantity": quantity });
    json!({ "batchId": batch, "readings": readings.iter().enumerate().map(reading).collect::<Vec<_>>() })
}

/// The ids of the effects in an answer.
#[track_caller]
pub fn effects(got: &Got) -> Vec<String> {
    got.body["effects"].as_array().unwrap_or_else(|| panic!("{got:?}")).iter().map(super::got::text).collect()
}
