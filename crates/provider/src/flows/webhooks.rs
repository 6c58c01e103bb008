//! `POST /webhooks/vercel`: events from Vercel (spec E).
//!
//! At least once, unordered, for up to 24 h until a 2xx. A bad signature is 403; a delivery seen before is
//! acknowledged and changes nothing; an unknown type is acknowledged. For money the event is a hint: what
//! is booked is what the invoice says when it is read (A.15), through the outbox, so that a webhook whose
//! read fails is not lost.

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use tradepost_marketplace::ids::{ExternalInvoiceId, InstallationId, InvoiceId, ResourceId};
use tradepost_marketplace::webhook::{Event, EventPayload};
use tradepost_marketplace::webhook_signature;
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::caller::deadline_of;
use crate::command::{self, Call, Change, Command, Judged, Remembers, Reply};
use crate::delivery::Nothing;
use crate::edge::body::{self, WEBHOOK_BYTES_MAX};
use crate::edge::error::{ApiError, Code, Problem};
use crate::edge::wide::{CallerKind, Field, note};
use crate::effects::What;
use crate::invoice::Hint;
use crate::layer;
use crate::provider::{Provider, RotatingSecret};
use crate::state::{Installation, InvoicePhase, InvoiceRecord, Resource, WebhookSeen, keys};
use crate::uninstall::uninstall;

/// How many digits of an event's digest tell it from the others of its invoice.
const EVENT_DIGITS: usize = 16;

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
    let record = Seen(&event);
    let call = |installation| Call { installation, record: &record, deadline };
    let answer = match told(&event)? {
        Told::Nothing => return Ok(StatusCode::OK.into_response()),
        Told::Invoice(invoice) => command::run(&provider, call(&invoice.installation), &invoice).await?,
        Told::Removed(installation) => command::run(&provider, call(installation), &Removed { installation }).await?,
        Told::Resource(installation, resource) => {
            command::run(&provider, call(installation), &Named { installation, resource }).await?
        }
    };
    Ok(StatusCode::from_u16(answer.status).map_err(ApiError::internal)?.into_response())
}

/// What is remembered of a delivery: that it was taken. Its answer is always the same.
struct Seen<'a>(&'a Event);

#[async_trait]
impl Remembers for Seen<'_> {
    async fn answered(&self, provider: &Provider) -> Result<Option<Answer>, ApiError> {
        let seen = provider.store.get::<WebhookSeen>(&WebhookSeen::key_of(&self.0.id)).await?;
        if seen.is_some() {
            note(Field::RequestRepeated, true);
        }
        Ok(seen.map(|_| ok()))
    }

    async fn remember(&self, provider: &Provider, _: &Answer) -> Result<Vec<Write>, ApiError> {
        let Event { id, .. } = self.0;
        let seen = WebhookSeen { id: id.clone(), kind: self.0.kind().to_owned(), at: provider.clock.now() };
        Ok(vec![Write::create(&seen)?])
    }
}

fn ok() -> Answer {
    Answer::empty(StatusCode::OK)
}

/// What an event tells that concerns us.
enum Told<'a> {
    /// Something of an invoice.
    Invoice(Invoice),
    /// The customer uninstalled.
    Removed(&'a InstallationId),
    /// A resource was connected to a project, or is no longer: Vercel knows it.
    Resource(&'a InstallationId, &'a ResourceId),
    /// Nothing that changes anything: it need not be remembered.
    Nothing,
}

fn told(event: &Event) -> Result<Told<'_>, ApiError> {
    let digest = keys::digest_of(&[event.id.as_str().as_bytes()])[..EVENT_DIGITS].to_owned();
    let hint = |phase, invoice: &InvoiceId| Hint {
        phase,
        refunded: None,
        vercel_id: invoice.clone(),
        event: Some(digest.clone()),
    };
    let (event, phase) = match &event.payload {
        EventPayload::InvoiceCreated(event) => (event, InvoicePhase::Invoiced),
        EventPayload::InvoicePaid(event) => (event, InvoicePhase::Paid),
        EventPayload::InvoiceNotPaid(event) => (event, InvoicePhase::NotPaid),
        EventPayload::InvoiceOverdue(event) => (event, InvoicePhase::Overdue),
        EventPayload::InvoiceRefunded(event) => {
            let refunded = event.amount.money().map_err(|error| ApiError::invalid(error.to_string()))?;
            let hint = Hint { refunded: Some(refunded), ..hint(InvoicePhase::Refunded, &event.invoice_id) };
            return Ok(told_of(&event.installation_id, event.external_invoice_id.as_ref(), hint));
        }
        EventPayload::ProjectConnected(event) | EventPayload::ProjectDisconnected(event) => {
            return Ok(Told::Resource(&event.installation_id, &event.resource_id));
        }
        EventPayload::InstallationRemoved(event) => return Ok(Told::Removed(&event.installation_id)),
        _ => return Ok(Told::Nothing),
    };
    let hint = hint(phase, &event.invoice_id);
    Ok(told_of(&event.installation_id, event.external_invoice_id.as_ref(), hint))
}

/// What concerns an invoice, if it is one of ours.
fn told_of<'a>(home: &InstallationId, external: Option<&ExternalInvoiceId>, hint: Hint) -> Told<'a> {
    let ours = external.and_then(|id| keys::parse_invoice_id(id.as_str()));
    let Some((installation, number)) = ours.filter(|(installation, _)| installation == home) else {
        tracing::warn!(invoice.vercel_id = %hint.vercel_id, "an invoice that is not ours");
        return Told::Nothing;
    };
    Told::Invoice(Invoice { installation, number, hint })
}

/// An event of an invoice owes a read of it. Our own id in the event also says what Vercel calls it: that settles a
/// submission whose answer was lost.
struct Invoice {
    installation: InstallationId,
    number: u32,
    hint: Hint,
}

#[async_trait]
impl Command for Invoice {
    type State = Option<Stored<InvoiceRecord>>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(&self.installation, self.number)).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged, ApiError> {
        let Self { installation, number, hint } = self;
        let vercel_id = &hint.vercel_id;
        if stored.is_none() {
            // After a restore, it may come to be once more: what the event says is kept until then.
            tracing::error!(invoice.vercel_id = %vercel_id, invoice.number = number, "an invoice that we do not have");
            if provider.store.get::<Installation>(&Installation::key_of(installation)).await?.is_none() {
                return Ok(Judged::Answer(ok()));
            }
        }
        let mut change = Change::answered(ok());
        if let Some(mut stored) = stored.filter(|stored| stored.vercel_id.is_none()) {
            stored.item.vercel_id = Some(vercel_id.clone());
            change = change.writing([Write::replace(&stored.item, stored.version)?]);
        }
        Ok(Judged::Change(change.owing([What::ReadInvoice {
            number: *number,
            hint: Some(hint.clone()),
            follows_refund: false,
        }])))
    }
}

/// Vercel named a resource, so it knows it: we never undo its create.
struct Named<'a> {
    installation: &'a InstallationId,
    resource: &'a ResourceId,
}

#[async_trait]
impl Command for Named<'_> {
    type State = Option<Stored<Resource>>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<Resource>(&Resource::key_of(self.installation, self.resource)).await?)
    }

    async fn judge(&self, _: &Provider, stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        Ok(match stored {
            Some(mut stored) if stored.life.is_in_question() => {
                stored.item.life = stored.life.known();
                Judged::Change(Change::answered(ok()).writing([Write::replace(&stored.item, stored.version)?]))
            }
            _ => Judged::Answer(ok()),
        })
    }
}

/// The same path as Delete Installation: the event follows or replaces it.
struct Removed<'a> {
    installation: &'a InstallationId,
}

#[async_trait]
impl Command for Removed<'_> {
    type State = Option<Stored<Installation>>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<Installation>(&Installation::key_of(self.installation)).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged, ApiError> {
        Ok(match stored {
            Some(stored) => Judged::Change(uninstall(&stored, provider.clock.now(), None, Reply::Ready(ok()))?),
            None => Judged::Answer(ok()),
        })
    }
}
