//! Webhooks: made by what happens, signed over the raw bytes, tried until they are taken (spec E).

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Inner;
use crate::derive::hex;
use crate::engine::next_try;
use crate::model::{Delivery, DeliveryState, HISTORY_MAX, Invoice};
use crate::partner::{Outgoing, Reply, WEBHOOK_TIMEOUT, header_value};
use crate::refusal::Refusal;
use crate::world::World;

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signing {
    #[default]
    Good,
    Bad,
    None,
}

/// The envelope of spec E; `createdAt` in milliseconds.
pub(crate) fn envelope(id: &str, kind: &str, at: Timestamp, payload: &Value) -> Value {
    json!({ "id": id, "type": kind, "createdAt": at.as_millisecond(), "region": null, "payload": payload })
}

/// Queues a webhook for delivery at once. `name` makes its id, so the same happening has the same id.
pub(crate) fn queue(
    world: &mut World,
    installation_id: &str,
    name: &str,
    kind: &str,
    payload: &Value,
    now: Timestamp,
) -> Result<(), Refusal> {
    if world.switches().loses(kind) {
        return Ok(());
    }
    let id = world.seed.letters(&format!("webhook/{installation_id}/{name}"), 24);
    let body = RawValue::from_string(envelope(&id, kind, now, payload).to_string())
        .map_err(|error| Refusal::internal(format!("the webhook is no JSON: {error}")))?;
    let key = format!("{installation_id}/{now}/{name}");
    let delivery = Delivery {
        id,
        installation_id: installation_id.to_owned(),
        kind: kind.to_owned(),
        created_at: now,
        body,
        attempts: 0,
        state: DeliveryState::Pending,
        last_status: None,
        due: Some(now),
    };
    world.deliveries.put(&key, delivery);
    world.deliveries.trim(HISTORY_MAX, |row| row.due.is_none());
    Ok(())
}

/// Queues the webhook of an invoice's new state.
pub(crate) fn queue_invoice(
    world: &mut World,
    invoice: &Invoice,
    happening: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut payload = json!({
        "configuration": { "id": invoice.installation_id },
        "installationId": invoice.installation_id,
        "invoiceId": invoice.invoice_id,
        "externalInvoiceId": invoice.external_id,
        "period": invoice.period,
    });
    if happening == "refunded" {
        payload["amount"] = json!(world.switches().given_back(invoice.refund_requested.as_ref()));
        payload["reason"] = json!(invoice.refund_reason);
    } else {
        payload["invoiceDate"] = json!(invoice.invoice_date);
        payload["invoiceTotal"] = json!(world.switches().taxed(&invoice.total));
    }
    let name = format!("{}/{happening}/{now}", invoice.invoice_id);
    let kind = format!("marketplace.invoice.{happening}");
    queue(world, &invoice.installation_id, &name, &kind, &payload, now)
}

impl Inner {
    /// Signs and sends one webhook, once.
    pub(crate) async fn post_webhook(&self, body: Bytes, signing: Signing) -> Result<Reply, Refusal> {
        let partner = self.registered()?;
        let secret = match signing {
            Signing::Good => self.store.unseal(&partner.client_secret),
            Signing::Bad => b"not the client secret".to_vec(),
            Signing::None => Vec::new(),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        if signing != Signing::None {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
            let signature = self.tell(hex(hmac::sign(&key, &body).as_ref()));
            headers.insert("x-vercel-signature", header_value(&signature));
        }
        let path = url::Url::parse(&partner.webhook_url).map(|url| url.path().to_owned()).unwrap_or_default();
        let (method, url, timeout) = (Method::POST, partner.webhook_url, WEBHOOK_TIMEOUT);
        Ok(self.send(Outgoing { method, url, path, headers, body, timeout }).await)
    }

    /// Makes the next try of a queued webhook.
    pub(crate) async fn deliver(&self, key: &str) -> Result<(), Refusal> {
        let Some(delivery) = self.store.read(|world| world.deliveries.get(key).cloned()) else { return Ok(()) };
        let body = Bytes::copy_from_slice(delivery.body.get().as_bytes());
        let reply = self.post_webhook(body, Signing::Good).await;
        let status = reply.as_ref().ok().and_then(|reply| reply.status);
        let is_taken = reply.is_ok_and(|reply| reply.is_success());
        let now = self.now();
        self.store.write(|world| {
            world.deliveries.update(key, |row| {
                row.attempts += 1;
                row.last_status = status;
                row.due = if is_taken { None } else { next_try(row.created_at, now, row.attempts) };
                row.state = match (is_taken, row.due) {
                    (true, _) => DeliveryState::Delivered,
                    (false, Some(_)) => DeliveryState::Pending,
                    (false, None) => DeliveryState::Dropped,
                };
            });
            Ok(())
        })
    }
}
