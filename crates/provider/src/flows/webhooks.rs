//! `POST /webhooks/vercel`: events from Vercel (spec E).
//!
//! At least once, unordered, for up to 24 h until a 2xx. A bad signature is 403; a delivery seen before is
//! acknowledged and changes nothing; an unknown type is acknowledged. For money the event is a hint: what
//! is booked is what the invoice says when it is read (A.15), through the outbox, so that a webhook whose
//! read fails is not lost.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use tradepost_marketplace::ids::{ExternalInvoiceId, InstallationId};
use tradepost_marketplace::webhook::{Event, EventPayload};
use tradepost_marketplace::webhook_signature;
use tradepost_store::Write;

use crate::caller::deadline_of;
use crate::edge::body::{self, WEBHOOK_BYTES_MAX};
use crate::edge::error::{ApiError, Code, Problem};
use crate::edge::layer::{self, CallerKind, Field, note};
use crate::flows::{RACES_MAX, committed, installations};
use crate::outbox::{self, Hint, Hold, What};
use crate::provider::{Provider, RotatingSecret};
use crate::state::{Installation, InvoicePhase, InvoiceRecord, WebhookSeen, keys};

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    layer::wrap(provider, Router::new().route("/webhooks/vercel", post(handle)))
}

fn is_signed(secrets: &RotatingSecret, headers: &HeaderMap, body: &[u8]) -> bool {
    webhook_signature::verify_request(&secrets.0, headers, body).is_ok()
}

async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let deadline = deadline_of(&provider, &parts.extensions);
    let body = body::read(body, WEBHOOK_BYTES_MAX).await?;
    if !is_signed(provider.webhooks()?, &parts.headers, &body) {
        note(Field::ErrorCode, Code::InvalidSignature.as_str());
        // The shape that Vercel's own documents print for this one refusal.
        let refusal = serde_json::json!({ "code": "invalid_signature", "error": "the signature is not valid" });
        return Ok((StatusCode::FORBIDDEN, axum::Json(refusal)).into_response());
    }
    note(Field::CallerKind, CallerKind::VercelWebhook);
    let event = Event::parse(&body).map_err(|error| ApiError::invalid(error.to_string()))?;
    note(Field::WebhookType, event.kind());
    for _ in 0..RACES_MAX {
        if provider.store.get::<WebhookSeen>(&WebhookSeen::key_of(&event.id)).await?.is_some() {
            note(Field::RequestRepeated, true);
            return Ok(StatusCode::OK.into_response());
        }
        let Some((mut writes, holds)) = take(&provider, &event).await? else {
            return Ok(StatusCode::OK.into_response());
        };
        let seen = WebhookSeen { id: event.id.clone(), kind: event.kind().to_owned(), at: provider.clock.now() };
        writes.push(Write::create(&seen)?);
        if committed(&provider, writes).await? {
            outbox::deliver_all(&provider, holds, deadline).await;
            return Ok(StatusCode::OK.into_response());
        }
    }
    Err(ApiError::busy(1).into())
}

type Taken = (Vec<Write>, Vec<Hold>);

/// What an event changes; none for one that changes nothing and need not be remembered.
async fn take(provider: &Provider, event: &Event) -> Result<Option<Taken>, ApiError> {
    let (event, phase) = match &event.payload {
        EventPayload::InvoiceCreated(event) => (event, InvoicePhase::Invoiced),
        EventPayload::InvoicePaid(event) => (event, InvoicePhase::Paid),
        EventPayload::InvoiceNotPaid(event) => (event, InvoicePhase::NotPaid),
        EventPayload::InvoiceOverdue(event) => (event, InvoicePhase::Overdue),
        EventPayload::InvoiceRefunded(event) => {
            let refunded = event.amount.money().map_err(|error| ApiError::invalid(error.to_string()))?;
            let hint =
                Hint { phase: InvoicePhase::Refunded, refunded: Some(refunded), vercel_id: event.invoice_id.clone() };
            return read_invoice(provider, &event.installation_id, event.external_invoice_id.as_ref(), hint).await;
        }
        EventPayload::InstallationRemoved(event) => return removed(provider, &event.installation_id).await,
        _ => return Ok(None),
    };
    let hint = Hint { phase, refunded: None, vercel_id: event.invoice_id.clone() };
    read_invoice(provider, &event.installation_id, event.external_invoice_id.as_ref(), hint).await
}

/// Owes a read of the invoice. Our own id in the event also says what Vercel calls it: that settles a
/// submission whose answer was lost.
async fn read_invoice(
    provider: &Provider,
    id: &InstallationId,
    external: Option<&ExternalInvoiceId>,
    hint: Hint,
) -> Result<Option<Taken>, ApiError> {
    let ours = external.and_then(|external| keys::parse_invoice_id(external.as_str()));
    let Some((_, number)) = ours.filter(|(home, _)| home == id) else {
        tracing::warn!(invoice.vercel_id = %hint.vercel_id, "an invoice that is not ours");
        return Ok(None);
    };
    let stored = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await?;
    if stored.is_none() {
        // After a restore, it may come to be once more: what the event says is kept until then.
        tracing::error!(invoice.vercel_id = %hint.vercel_id, invoice.number = number, "an invoice that we do not have");
        if provider.store.get::<Installation>(&Installation::key_of(id)).await?.is_none() {
            return Ok(None);
        }
    }
    let vercel_id = hint.vercel_id.clone();
    let owed = outbox::enqueue(provider, id, vec![What::ReadInvoice { number, hint: Some(hint) }]).await?;
    let mut writes = owed.writes;
    if let Some(mut stored) = stored.filter(|stored| stored.vercel_id.is_none()) {
        stored.item.vercel_id = Some(vercel_id);
        writes.push(Write::replace(&stored.item, stored.version)?);
    }
    Ok(Some((writes, owed.holds)))
}

/// The same path as Delete Installation: the event follows or replaces it.
async fn removed(provider: &Provider, id: &InstallationId) -> Result<Option<Taken>, ApiError> {
    let Some(stored) = provider.store.get::<Installation>(&Installation::key_of(id)).await? else { return Ok(None) };
    let taken = installations::uninstall(provider, id, &stored, provider.clock.now()).await?;
    Ok(Some(taken))
}
