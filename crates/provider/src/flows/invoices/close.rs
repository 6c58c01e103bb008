//! The close of a period.

use async_trait::async_trait;
use http::StatusCode;
use jiff::Timestamp;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::Period;
use tradepost_pricing::ledger::Entry;
use tradepost_pricing::metering::READING_AGE_MAX;
use tradepost_pricing::period;
use tradepost_pricing::pricing::{self, Bill, Settlement};
use tradepost_store::{Record, Stored, Write};

use crate::answer::Answer;
use crate::command::{Change, NOBODY, Reply};
use crate::commit::{Attempt, Tried, committed, until_won};
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::effects::What;
use crate::idempotency::Identity;
use crate::invoice::{CARRIED_NAME, entry_write, late, lines};
use crate::outbox::Hold;
use crate::provider::Provider;
use crate::slice::{self, Slice, archive};
use crate::state::installation::CLOSED_PERIODS_MAX;
use crate::state::{CarriedAmount, Installation, InstallationStatus, InvoicePhase, InvoiceRecord, SignedMoney, keys};

/// Closes the oldest open period if its time has come. `None`: there was nothing to close.
pub(super) async fn scheduled(
    provider: &Provider,
    id: &InstallationId,
    deadline: Deadline,
) -> Result<Option<Vec<Hold>>, ApiError> {
    until_won(provider, deadline, &mut Scheduled { id }).await
}

struct Scheduled<'a> {
    id: &'a InstallationId,
}

#[async_trait]
impl Attempt for Scheduled<'_> {
    type Output = Option<Vec<Hold>>;

    async fn attempt(&mut self, provider: &Provider) -> Result<Tried<Self::Output>, ApiError> {
        let Some(slice) = slice::read(provider, self.id).await? else { return Ok(Tried::Through(None)) };
        let now = provider.clock.now();
        let installation = &slice.installation;
        let open = matches!(installation.status, InstallationStatus::Active | InstallationStatus::Uninstalling);
        if !open || (installation.closing.is_none() && period::close_at(installation.period_end) > now) {
            return Ok(Tried::Through(None));
        }
        if installation.closing.is_none() {
            begin(provider, installation, installation.period_end, None).await?;
            return Ok(Tried::Step);
        }
        if archive(provider, &slice).await? {
            return Ok(Tried::Step);
        }
        let closing = prepare(provider, &slice, installation.open_period(), now).await?;
        let Some(closed) = closing.commit(provider, self.id, &NOBODY).await? else { return Ok(Tried::Lost) };
        tidy(provider, self.id).await;
        Ok(Tried::Through(Some(closed.holds)))
    }
}

/// Begins a close: from this commit on no reading lands in the period. What got in before is in the slice as
/// it is read next.
pub(super) async fn begin(
    provider: &Provider,
    stored: &Stored<Installation>,
    end: Timestamp,
    asked_by: Option<&Identity>,
) -> Result<(), ApiError> {
    let mut installation = stored.item.clone();
    installation.closing = Some(end);
    installation.period_end = end;
    let mut writes = Vec::new();
    if let Some(record) = asked_by.and_then(|identity| identity.running("close", provider.clock.now())) {
        // Whoever finishes the close answers this request.
        installation.closing_for = Some(record.key());
        writes.push(Write::create(&record)?);
    }
    writes.push(Write::replace(&installation, stored.version)?);
    committed(provider, writes).await.map(|_| ())
}

/// Moves the closed period's totals out of the slice. Should it fail, the next close does it.
pub(super) async fn tidy(provider: &Provider, id: &InstallationId) {
    let tidied = async {
        match slice::read(provider, id).await? {
            Some(slice) => archive(provider, &slice).await,
            None => Ok(false),
        }
    };
    if let Err(error) = tidied.await {
        error.log_as("totals of a closed period stay in the slice for now");
    }
}

/// What a period costs, and what its close comes to with what is carried: the one way to a total, for the close, a dry
/// run and a rehearsal.
async fn settled(provider: &Provider, slice: &Slice, period: Period) -> Result<Settled, ApiError> {
    let bill = slice.bill(provider.catalog()?, period, period::invoice_date(period)).map_err(ApiError::internal)?;
    let mut installation = slice.installation.item.clone();
    let caught_up = late::catch_up(provider, slice, &mut installation, period).await?;
    let (carried, is_last) = (installation.carried_for_pricing(), installation.is_last_period());
    let settlement = pricing::settle(&bill, &carried, is_last).map_err(ApiError::internal)?;
    Ok(Settled { bill, settlement, installation, caught_up })
}

/// What a period comes to.
struct Settled {
    bill: Bill,
    settlement: Settlement,
    /// The installation, with what is caught up with carried.
    installation: Installation,
    /// The ledger's entry for that.
    caught_up: Option<Write>,
}

/// What a close now would come to, to the cent. Writes nothing.
pub(super) async fn dry_run(provider: &Provider, slice: &Slice, period: Period) -> Result<Answer, ApiError> {
    let Settled { bill, settlement, .. } = settled(provider, slice, period).await?;
    let body = serde_json::json!({
        "dryRun": true,
        "period": period,
        "invoiced": settlement.is_invoiced,
        "notInvoiced": pricing::why_not(&bill, &settlement),
        "total": settlement.total,
        "lines": settlement.items,
        "discounts": settlement.discounts,
        "carriedIn": settlement.carried_in.to_string(),
        "carriedOver": settlement.carry_over.to_string(),
    });
    Answer::json(StatusCode::OK, &body)
}

/// Prices a period and prepares its close. Writes the invoice's lines, nothing else.
pub(super) async fn prepare(
    provider: &Provider,
    slice: &Slice,
    period: Period,
    now: Timestamp,
) -> Result<Change, ApiError> {
    let stored = &slice.installation;
    let id = stored.id.clone();
    let is_last = stored.is_last_period();
    let Settled { bill, settlement, mut installation, caught_up } = settled(provider, slice, period).await?;
    let mut writes = Vec::from_iter(caught_up);
    late::leave_out(slice, &mut installation, period);
    let mut owed = Vec::new();
    let invoice = if settlement.is_invoiced {
        let invoice = InvoiceRecord {
            is_final: is_last,
            ..invoice(provider, &mut installation, &settlement, period, now).await?
        };
        writes.push(Write::create(&invoice)?);
        owed.push(What::SubmitInvoice { number: invoice.number });
        Some(invoice)
    } else {
        let cause = format!("{id}.p{}", period.start.as_millisecond());
        let memo = format!("not invoiced for the period from {}", period.start);
        let entry = Entry::carried(&cause, now, bill.total, &memo).map_err(ApiError::internal)?;
        writes.extend(entry_write(&id, entry)?);
        if let Some((amount, reason)) = settlement.written_off {
            let entry = Entry::written_off(&cause, now, amount, reason).map_err(ApiError::internal)?;
            writes.extend(entry_write(&id, entry)?);
            tracing::info!(installation = %id, reason, "an amount was written off");
        }
        None
    };
    carry_on(&mut installation, &settlement);
    advance(&mut installation, period, is_last, now);
    if is_last {
        owed.push(What::FinalizeInstallation);
    }
    writes.push(Write::replace(&installation, stored.version)?);
    let change = Change::of(answer(&settlement, invoice.as_ref())).writing(writes).owing(owed);
    Ok(change.awaited(stored.closing_for.clone()))
}

/// Prepares a rehearsal (spec F, "Test mode"): what a close now would come to is submitted as a test invoice. It
/// closes nothing, carries nothing, and is in no ledger.
pub(super) async fn rehearse(
    provider: &Provider,
    slice: &Slice,
    period: Period,
    now: Timestamp,
) -> Result<Change, ApiError> {
    let stored = &slice.installation;
    let Settled { bill, settlement, .. } = settled(provider, slice, period).await?;
    if let Some(why) = pricing::why_not(&bill, &settlement) {
        return Err(ApiError::conflict(why));
    }
    let mut installation = stored.item.clone();
    let invoice = invoice(provider, &mut installation, &settlement, period, now).await?;
    let invoice = InvoiceRecord { is_test: true, carried_in: SignedMoney::ZERO, ..invoice };
    let writes = vec![Write::create(&invoice)?, Write::replace(&installation, stored.version)?];
    let change = Change::of(answer(&settlement, Some(&invoice)));
    Ok(change.writing(writes).owing([What::SubmitInvoice { number: invoice.number }]))
}

/// What a partner system is answered: what the close comes to.
fn answer(settlement: &Settlement, invoice: Option<&InvoiceRecord>) -> Reply {
    let mut body = serde_json::json!({
        "invoiceId": invoice.map(|invoice| &invoice.external_id),
        "total": settlement.total,
        "carriedOver": settlement.carry_over.to_string(),
    });
    Reply::Of(Box::new(move |effects| {
        body["effects"] = serde_json::json!(effects);
        Answer::json(StatusCode::ACCEPTED, &body)
    }))
}

/// The installation's next invoice. Writes its lines.
async fn invoice(
    provider: &Provider,
    installation: &mut Installation,
    settlement: &Settlement,
    period: Period,
    now: Timestamp,
) -> Result<InvoiceRecord, ApiError> {
    let number = installation.invoice_next;
    installation.invoice_next += 1;
    let id = &installation.id;
    let lines = lines::write(provider, id, number, &settlement.items, &settlement.discounts).await?;
    Ok(InvoiceRecord {
        installation: id.clone(),
        number,
        external_id: keys::invoice_id(id, number).map_err(ApiError::internal)?,
        vercel_id: None,
        phase: InvoicePhase::Submitting,
        period_start: period.start,
        period_end: period.end,
        invoice_date: period::invoice_date(period),
        total: settlement.total,
        carried_in: settlement.carried_in.into(),
        is_final: false,
        is_test: false,
        lines,
        booked_issued: false,
        booked_paid: false,
        booked_refunds: Money::ZERO,
        refund: None,
        refunded_at: None,
        untold_refunds: Vec::new(),
        notes_untold: true,
        above: None,
        abandoned: None,
        refused: None,
        created_at: now,
    })
}

/// What was invoiced or written off is no longer carried; what is carried on is one amount.
fn carry_on(installation: &mut Installation, settlement: &Settlement) {
    installation.carried.clear();
    let amount = settlement.carry_over.into();
    installation.carry(CarriedAmount { amount, resource: None, name: CARRIED_NAME.to_owned() });
}

/// The next period is the open one; after the last there is none.
fn advance(installation: &mut Installation, closed: Period, is_last: bool, now: Timestamp) {
    installation.closing = None;
    installation.closing_for = None;
    installation.closed_periods.retain(|period| now.duration_since(period.end) <= READING_AGE_MAX);
    installation.closed_periods.push(closed);
    let extra = installation.closed_periods.len().saturating_sub(CLOSED_PERIODS_MAX);
    installation.closed_periods.drain(..extra);
    if is_last {
        installation.status = InstallationStatus::Settling;
        return;
    }
    let next = installation.schedule().following(closed.end);
    installation.period_start = closed.end;
    installation.period_end = installation.uninstalled_at.map_or(next.end, |at| next.end.min(at));
}
