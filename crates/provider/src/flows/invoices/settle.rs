//! Settling what does not go by itself, on the word of a partner system: `invoice.settle` for an invoice that Vercel
//! refused, or of which nobody knows whether Vercel has it; `effect.settle` for every other effect that is dead or
//! fails again and again.
//!
//! An invoice is declared submitted (then Vercel is asked for it under the id given, and what it says is booked), is
//! submitted again, or is given up: booked as issued and written off, so that the books show what was earned and
//! lost. Should Vercel turn out to have it, its webhook takes the write-off back. Whatever waits behind it in the
//! money lane goes on. What fails: the lane is being delivered (409, `Retry-After`), the invoice or effect is not
//! one to be settled (409, 404), Vercel's invoice is another (422), Vercel does not answer (503).

use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::InvoiceId;
use tradepost_marketplace::wire::Invoice;
use tradepost_store::{Stored, Write};

use super::book::{self, Seen, book};
use super::command::find;
use crate::caller::PartnerCall;
use crate::edge::error::{ApiError, Code};
use crate::flows::{self, OpenToken, committed};
use crate::idempotency::{self, Answer, Known};
use crate::outbox::{self, Class, Effect, Enqueued, LaneName, Stuck, What, parse_effect_id};
use crate::provider::Provider;
use crate::state::{InstallationStatus, InvoicePhase, InvoiceRecord, RefundPhase};

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 160;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Way {
    /// Vercel has the invoice.
    Submitted,
    /// The invoice is submitted again.
    Resubmit,
    /// The effect is tried again.
    Retry,
    /// It is given up.
    Abandon,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettleInvoice {
    invoice_id: String,
    outcome: Way,
    /// Vercel's id of it, for [`Way::Submitted`].
    vercel_invoice_id: Option<InvoiceId>,
    /// For [`Way::Abandon`].
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettleEffect {
    effect_id: String,
    outcome: Way,
    /// For [`Way::Abandon`].
    reason: Option<String>,
}

/// `invoice.settle`. `None`: something moved, look again.
pub(super) async fn invoice(
    provider: &Provider,
    call: &PartnerCall,
    command: &SettleInvoice,
) -> Result<Option<Answer>, ApiError> {
    let reason = reason(command.outcome, command.reason.as_deref())?;
    if (command.outcome == Way::Submitted) != command.vercel_invoice_id.is_some() {
        return Err(ApiError::invalid("vercelInvoiceId goes with the outcome submitted, and with no other"));
    }
    // State first, then the record: they are written together, so new state means that the answer is there.
    let found = stuck_invoice(provider, call, &command.invoice_id).await;
    if let Known::Answered(answer) = idempotency::look_up(provider, &call.identity).await? {
        return Ok(Some(answer));
    }
    let (mut stored, stuck) = found?;
    let now = provider.clock.now();
    let mut writes = Vec::new();
    let owed = match (command.outcome, &command.vercel_invoice_id) {
        (Way::Submitted, Some(vercel_id)) => {
            let seen = Seen::of_invoice(&at_vercel(provider, call, &stored, vercel_id).await?)?;
            stored.item.vercel_id = Some(vercel_id.clone());
            writes.extend(book(&mut stored.item, seen, now)?);
            stuck.done(provider).await?
        }
        (Way::Resubmit, _) => {
            stored.item.phase = InvoicePhase::Submitting;
            stuck.again(provider).await?
        }
        (Way::Abandon, _) => {
            writes.extend(book::abandon(&mut stored.item, reason, now)?);
            stuck.abandon(provider, reason).await?
        }
        _ => return Err(ApiError::invalid("outcome must be submitted, resubmit or abandon")),
    };
    writes.push(Write::replace(&stored.item, stored.version)?);
    tracing::info!(invoice.id = %stored.external_id, outcome = ?command.outcome, "an invoice was settled by hand");
    commit(provider, call, writes, owed).await
}

/// `effect.settle`. `None`: something moved, look again.
pub(super) async fn effect(
    provider: &Provider,
    call: &PartnerCall,
    command: &SettleEffect,
) -> Result<Option<Answer>, ApiError> {
    let reason = reason(command.outcome, command.reason.as_deref())?;
    if !matches!(command.outcome, Way::Retry | Way::Abandon) {
        return Err(ApiError::invalid("outcome must be retry or abandon"));
    }
    let parsed = parse_effect_id(&command.effect_id).filter(|(lane, ..)| lane.installation == call.installation);
    let (lane, place, sequence) = parsed.ok_or_else(|| ApiError::not_found("effect"))?;
    let stuck = outbox::find(provider, &lane, &place, sequence).await;
    if let Known::Answered(answer) = idempotency::look_up(provider, &call.identity).await? {
        return Ok(Some(answer));
    }
    let stuck = tried(stuck?)?;
    if stuck.effect().what.submits().is_some() {
        return Err(ApiError::conflict("what is to be settled is the invoice: invoice.settle"));
    }
    let kind = stuck.effect().what.name();
    let mut writes = Vec::new();
    let owed = if command.outcome == Way::Retry {
        stuck.again(provider).await?
    } else {
        writes.extend(given_up(provider, stuck.effect()).await?);
        stuck.abandon(provider, reason).await?
    };
    tracing::info!(effect.kind = kind, outcome = ?command.outcome, "an effect was settled by hand");
    commit(provider, call, writes, owed).await
}

async fn commit(
    provider: &Provider,
    call: &PartnerCall,
    mut writes: Vec<Write>,
    owed: Enqueued,
) -> Result<Option<Answer>, ApiError> {
    let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": owed.ids }))?;
    writes.extend(owed.writes);
    writes.extend(call.identity.remember(&answer, provider.clock.now())?);
    if !committed(provider, writes).await? {
        return Ok(None);
    }
    outbox::deliver_all(provider, owed.holds, call.deadline).await;
    Ok(Some(answer))
}

/// The reason of what is given up; nothing else has one.
fn reason(way: Way, reason: Option<&str>) -> Result<&str, ApiError> {
    let reason = reason.map(str::trim);
    match (way == Way::Abandon, reason) {
        (true, Some(text)) if !text.is_empty() && text.chars().count() <= REASON_CHARS_MAX => Ok(text),
        (true, _) => Err(ApiError::invalid(format!("reason must have 1 to {REASON_CHARS_MAX} characters"))),
        (false, None) => Ok(""),
        (false, Some(_)) => Err(ApiError::invalid("reason goes with the outcome abandon, and with no other")),
    }
}

/// Nothing is settled that may still go by itself at its first try.
fn tried(stuck: Stuck) -> Result<Stuck, ApiError> {
    if stuck.was_tried() { Ok(stuck) } else { Err(ApiError::conflict("it has not been tried yet")) }
}

/// An invoice that Vercel is not known to have, and the effect that submits it.
async fn stuck_invoice(
    provider: &Provider,
    call: &PartnerCall,
    invoice: &str,
) -> Result<(Stored<InvoiceRecord>, Stuck), ApiError> {
    let stored = find(provider, &call.installation, invoice).await?;
    if stored.vercel_id.is_some() {
        return Err(ApiError::conflict("Vercel has this invoice"));
    }
    let lane = LaneName { installation: call.installation.clone(), class: Class::Money, resource: None };
    let first = outbox::head(provider, &lane).await?;
    let stuck = first
        .filter(|stuck| stuck.effect().what.submits() == Some(stored.number))
        .ok_or_else(|| ApiError::conflict("this invoice is not what the installation's money lane waits for"))?;
    Ok((stored, tried(stuck)?))
}

/// The invoice as Vercel has it, if it is ours.
async fn at_vercel(
    provider: &Provider,
    call: &PartnerCall,
    ours: &InvoiceRecord,
    id: &InvoiceId,
) -> Result<Invoice, ApiError> {
    let refused = |why: String| ApiError::new(Code::Unprocessable, why);
    let installation = flows::installation(provider, &call.installation).await?;
    let token = OpenToken::of(provider, &installation, call.deadline).await?;
    let theirs = provider.vercel()?.get_invoice(&token.call(), id).await.map_err(|error| {
        if error.is_retryable() || error.maybe_done() {
            ApiError::unavailable(error)
        } else {
            refused(format!("Vercel does not show invoice {id}: {error}"))
        }
    })?;
    let is_named = match &theirs.external_id {
        Some(external) => *external == ours.external_id,
        None => theirs.period.start == ours.period_start,
    };
    if !is_named || theirs.test.unwrap_or(false) != ours.is_test {
        return Err(refused(format!("Vercel's invoice {id} is not this one")));
    }
    if theirs.total.money() != Ok(ours.total) {
        return Err(refused(format!("Vercel's invoice {id} is over {}, ours over {}", theirs.total, ours.total)));
    }
    Ok(theirs)
}

/// What giving up an effect changes beside it.
async fn given_up(provider: &Provider, effect: &Effect) -> Result<Option<Write>, ApiError> {
    let installation = &effect.lane.installation;
    match &effect.what {
        What::RefundInvoice { number } => {
            let key = InvoiceRecord::key_of(installation, *number);
            let Some(mut stored) = provider.store.get::<InvoiceRecord>(&key).await? else { return Ok(None) };
            let asked = stored.item.refund.as_mut().filter(|refund| refund.phase == RefundPhase::Requesting);
            let Some(refund) = asked else { return Ok(None) };
            refund.phase = RefundPhase::Rejected;
            Ok(Some(Write::replace(&stored.item, stored.version)?))
        }
        What::FinalizeInstallation => {
            let mut stored = flows::installation(provider, installation).await?;
            stored.item.status = InstallationStatus::Finalized;
            Ok(Some(Write::replace(&stored.item, stored.version)?))
        }
        _ => Ok(None),
    }
}
