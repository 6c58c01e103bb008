//! Settling what does not go by itself, on the word of a partner system: `invoice.settle` for an invoice that Vercel
//! refused, or of which nobody knows whether Vercel has it; `effect.settle` for every other effect that is dead or
//! fails again and again.
//!
//! An invoice is declared submitted (then Vercel is asked for it under the id given, and what it says is booked), is
//! submitted again, or is given up: booked as issued and written off, so that the books show what was earned and
//! lost. Should Vercel turn out to have it, its webhook takes the write-off back. Whatever waits behind it in the
//! money lane goes on. What fails: the lane is being delivered (409, `Retry-After`), the invoice or effect is not
//! one to be settled (409, 404), Vercel's invoice is another (422), Vercel does not answer (503).

use async_trait::async_trait;
use serde::Deserialize;
use tradepost_marketplace::ids::{InstallationId, InvoiceId};
use tradepost_marketplace::wire::Invoice as VercelInvoice;
use tradepost_store::{Stored, Write};

use crate::caller::PartnerCall;
use crate::command::{Change, Command, Judged};
use crate::edge::error::{ApiError, Code};
use crate::effects::{Stuck, What};
use crate::installed::{self, OpenToken};
use crate::invoice::seen::compare;
use crate::invoice::{Seen, book, find};
use crate::outbox::{self, Class, LaneName, Owed, parse_effect_id};
use crate::provider::Provider;
use crate::state::{InstallationStatus, InvoicePhase, InvoiceRecord, RefundPhase};

use super::refund;

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
    /// The refund that Vercel took: the money went back.
    Refunded,
    /// It did not.
    NotRefunded,
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

impl SettleInvoice {
    /// If a refund of it is to be settled, and not the invoice.
    pub(super) fn of_refund<'a>(&self, call: &'a PartnerCall) -> Result<Option<refund::Settle<'a>>, ApiError> {
        let is_refunded = match self.outcome {
            Way::Refunded => true,
            Way::NotRefunded => false,
            _ => return Ok(None),
        };
        if self.vercel_invoice_id.is_some() || self.reason.is_some() {
            return Err(ApiError::invalid("a refund is settled without vercelInvoiceId and reason"));
        }
        Ok(Some(refund::Settle { call, invoice: self.invoice_id.clone(), is_refunded }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettleEffect {
    effect_id: String,
    outcome: Way,
    /// For [`Way::Abandon`].
    reason: Option<String>,
}

/// `invoice.settle`.
pub(super) struct Invoice<'a> {
    call: &'a PartnerCall,
    command: SettleInvoice,
    reason: String,
}

impl<'a> Invoice<'a> {
    /// The command, if it makes sense by itself.
    pub(super) fn of(call: &'a PartnerCall, command: SettleInvoice) -> Result<Self, ApiError> {
        let reason = reason(command.outcome, command.reason.as_deref())?.to_owned();
        if (command.outcome == Way::Submitted) != command.vercel_invoice_id.is_some() {
            return Err(ApiError::invalid("vercelInvoiceId goes with the outcome submitted, and with no other"));
        }
        Ok(Self { call, command, reason })
    }
}

#[async_trait]
impl Command for Invoice<'_> {
    type State = (Stored<InvoiceRecord>, Stuck);
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        stuck_invoice(provider, self.call, &self.command.invoice_id).await
    }

    async fn judge(&self, provider: &Provider, (mut stored, stuck): Self::State) -> Result<Judged, ApiError> {
        let (command, reason, now) = (&self.command, &self.reason, provider.clock.now());
        let mut writes = Vec::new();
        let owed = match (command.outcome, &command.vercel_invoice_id) {
            (Way::Submitted, Some(vercel_id)) => {
                let seen = Seen::of_invoice(&at_vercel(provider, self.call, &stored, vercel_id).await?, &stored)?;
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
            _ => {
                let text = "outcome must be submitted, resubmit, abandon, refunded or notRefunded";
                return Err(ApiError::invalid(text));
            }
        };
        writes.push(Write::replace(&stored.item, stored.version)?);
        tracing::info!(invoice.id = %stored.external_id, outcome = ?command.outcome, "an invoice was settled by hand");
        Ok(Judged::Change(Change::accepted().writing(writes).enqueued(owed)))
    }
}

/// `effect.settle`.
pub(super) struct Effect<'a> {
    call: &'a PartnerCall,
    outcome: Way,
    reason: String,
    lane: LaneName,
    place: String,
    sequence: u64,
}

impl<'a> Effect<'a> {
    /// The command, if it makes sense by itself.
    pub(super) fn of(call: &'a PartnerCall, command: SettleEffect) -> Result<Self, ApiError> {
        let SettleEffect { effect_id, outcome, reason: given } = command;
        let reason = reason(outcome, given.as_deref())?.to_owned();
        if !matches!(outcome, Way::Retry | Way::Abandon) {
            return Err(ApiError::invalid("outcome must be retry or abandon"));
        }
        let parsed = parse_effect_id(&effect_id).filter(|(lane, ..)| lane.installation == call.installation);
        let (lane, place, sequence) = parsed.ok_or_else(|| ApiError::not_found("effect"))?;
        Ok(Self { call, outcome, reason, lane, place, sequence })
    }
}

#[async_trait]
impl Command for Effect<'_> {
    type State = Stuck;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        outbox::find(provider, &self.lane, &self.place, self.sequence).await
    }

    async fn judge(&self, provider: &Provider, stuck: Self::State) -> Result<Judged, ApiError> {
        let stuck = tried(stuck)?;
        if stuck.effect().what.submits().is_some() {
            return Err(ApiError::conflict("what is to be settled is the invoice: invoice.settle"));
        }
        let kind = stuck.effect().what.name();
        let mut change = Change::accepted();
        let owed = if self.outcome == Way::Retry {
            stuck.again(provider).await?
        } else {
            let installation = &self.call.installation;
            change = change.writing(given_up(provider, installation, &stuck.effect().what).await?);
            stuck.abandon(provider, &self.reason).await?
        };
        tracing::info!(effect.kind = kind, outcome = ?self.outcome, "an effect was settled by hand");
        Ok(Judged::Change(change.enqueued(owed)))
    }
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
    let first = outbox::head::<What>(provider, &lane).await?;
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
) -> Result<VercelInvoice, ApiError> {
    let refused = |why: String| ApiError::new(Code::Unprocessable, why);
    let installation = installed::installation(provider, &call.installation).await?;
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
    match compare(&theirs, ours) {
        Ok(()) => Ok(theirs),
        Err(reason) => Err(refused(format!("Vercel's invoice {id} is not ours: {reason}"))),
    }
}

/// What giving up an effect changes beside it.
async fn given_up(provider: &Provider, installation: &InstallationId, what: &What) -> Result<Option<Write>, ApiError> {
    match what {
        What::RefundInvoice { number } | What::ReadInvoice { number, follows_refund: true, .. } => {
            let key = InvoiceRecord::key_of(installation, *number);
            let Some(mut stored) = provider.store.get::<InvoiceRecord>(&key).await? else { return Ok(None) };
            let is_asking = matches!(what, What::RefundInvoice { .. });
            let phase = if is_asking { RefundPhase::Requesting } else { RefundPhase::Requested };
            let is_changed = book::not_refunded(&mut stored.item, phase);
            Ok(is_changed.then(|| Write::replace(&stored.item, stored.version)).transpose()?)
        }
        What::FinalizeInstallation => {
            let mut stored = installed::installation(provider, installation).await?;
            stored.item.status = InstallationStatus::Finalized;
            Ok(Some(Write::replace(&stored.item, stored.version)?))
        }
        _ => Ok(None),
    }
}
