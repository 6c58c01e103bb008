//! What partner systems ask of invoices: `invoice.close`, `invoice.adjust` and what settles ([`settle`]) on
//! `/partner/invoices`, `invoice.query` on `/partner/invoices/query`.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::money::Money;
use tradepost_store::{Key, Stored, Write};

use super::close::{begin, entry_write, prepare, rehearse, tidy};
use super::{archive, lines, settle};
use crate::caller::{self, PartnerCall};
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::flows::{self, RACES_MAX, committed, slice};
use crate::idempotency::{self, Answer, Known};
use crate::ledger::Entry;
use crate::outbox;
use crate::period;
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::{CarriedAmount, InvoiceRecord, keys};

/// The most lines of one adjustment.
const LINES_MAX: usize = 20;
/// When to come back for the answer to a close that became the installation's last.
const CLOSED_BY_SCHEDULE_SECONDS: u32 = 600;
/// The longest name of a line, in characters.
const LINE_NAME_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Close {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    test: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjust {
    lines: Vec<AdjustLine>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdjustLine {
    name: String,
    amount: Money,
    /// Whether it is in the customer's favour.
    #[serde(default)]
    credit: bool,
    resource_id: Option<ResourceId>,
}

/// `POST /partner/invoices`.
pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let types = ["invoice.close", "invoice.adjust", "invoice.settle", "effect.settle"];
    let types = types.map(|kind| (kind, Scope::Invoices));
    let call = caller::partner(&provider, request, &types, BODY_BYTES_MAX).await?;
    for _ in 0..RACES_MAX {
        let answer = match call.kind.as_str() {
            "invoice.close" => close(&provider, &call, call.read()?).await?,
            "invoice.settle" => settle::invoice(&provider, &call, &call.read()?).await?,
            "effect.settle" => settle::effect(&provider, &call, &call.read()?).await?,
            _ => adjust(&provider, &call, &call.read()?).await?,
        };
        if let Some(answer) = answer {
            return Ok(respond(&provider, &call.installation, answer).await?);
        }
    }
    Err(ApiError::busy(1).into())
}

/// Ends the open period now and invoices it; or says, as a dry run, what that would come to; or submits that as
/// a test invoice and closes nothing.
async fn close(provider: &Provider, call: &PartnerCall, command: Close) -> Result<Option<Answer>, ApiError> {
    // State first, then the record: they are written together, so new state means that the answer is there.
    let slice = slice::read(provider, &call.installation).await?;
    if let Known::Answered(answer) = idempotency::look_up(provider, &call.identity).await? {
        return Ok(Some(answer));
    }
    let slice = slice.ok_or_else(|| ApiError::not_found("installation"))?;
    if !slice.installation.is_active() {
        let begun = slice.installation.closing_for.as_ref().map(|(pk, sk)| Key { pk: pk.clone(), sk: sk.clone() });
        // What this very request began is the end now. The scheduler closes it, once Vercel has heard of the uninstall
        // and takes a final invoice, and answers this request.
        return Err(if begun.is_some() && begun == call.identity.key {
            ApiError::busy(CLOSED_BY_SCHEDULE_SECONDS)
        } else {
            ApiError::conflict("the installation was uninstalled")
        });
    }
    let now = provider.clock.now();
    let open = slice.installation.open_period();
    // A period that is over and waits for its close is closed as it is.
    let is_over = slice.installation.closing.is_some() || open.end <= now;
    let period = if is_over { open } else { period::cut(open, now).ok_or_else(empty)? };
    if command.dry_run {
        let bill = slice.bill(provider.catalog()?, period, period::invoice_date(period)).map_err(ApiError::internal)?;
        let body = serde_json::json!({ "dryRun": true, "period": period, "total": bill.total, "lines": bill.lines });
        return Answer::json(StatusCode::OK, &body).map(Some);
    }
    if command.test {
        let rehearsal = rehearse(provider, &slice, period, now).await?;
        let Some(done) = rehearsal.commit(provider, Some(&call.identity)).await? else { return Ok(None) };
        outbox::deliver_all(provider, done.holds, call.deadline).await;
        return Ok(Some(done.answer));
    }
    if slice.installation.closing.is_none() {
        begin(provider, &slice.installation, period.end, Some(&call.identity)).await?;
        return Ok(None);
    }
    if archive(provider, &slice).await? {
        return Ok(None);
    }
    let closing = prepare(provider, &slice, period, now).await?;
    let Some(closed) = closing.commit(provider, Some(&call.identity)).await? else { return Ok(None) };
    tidy(provider, &call.installation).await;
    outbox::deliver_all(provider, closed.holds, call.deadline).await;
    Ok(Some(closed.answer))
}

fn empty() -> ApiError {
    ApiError::conflict("the open period has only just begun")
}

/// Puts amounts on the next invoice.
async fn adjust(provider: &Provider, call: &PartnerCall, command: &Adjust) -> Result<Option<Answer>, ApiError> {
    if command.lines.is_empty() || command.lines.len() > LINES_MAX {
        return Err(ApiError::invalid(format!("lines must be 1 to {LINES_MAX}")));
    }
    let stored = flows::active(provider, &call.installation).await;
    if let Known::Answered(answer) = idempotency::look_up(provider, &call.identity).await? {
        return Ok(Some(answer));
    }
    let mut stored = stored?;
    let cause = &keys::digest_of(&[call.identity.seed.as_bytes()])[..16];
    let mut writes = Vec::new();
    for (number, line) in command.lines.iter().enumerate() {
        let length = line.name.chars().count();
        if length == 0 || length > LINE_NAME_CHARS_MAX || line.amount == Money::ZERO {
            let text = format!("a line has a name of 1 to {LINE_NAME_CHARS_MAX} characters and an amount above 0.00");
            return Err(ApiError::invalid(text));
        }
        let amount = if line.credit { -line.amount } else { line.amount };
        let cause = format!("{}.a{cause}.{number}", call.installation);
        let entry = Entry::carried(&cause, provider.clock.now(), amount, &line.name).map_err(ApiError::internal)?;
        writes.extend(entry_write(&call.installation, entry)?);
        let resource = line.resource_id.clone();
        stored.item.carry(CarriedAmount { cents: amount.cents(), resource, name: line.name.clone() });
    }
    let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "lines": command.lines.len() }))?;
    writes.push(Write::replace(&stored.item, stored.version)?);
    writes.extend(call.identity.remember(&answer, provider.clock.now())?);
    Ok(committed(provider, writes).await?.then_some(answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Query {
    invoice_id: String,
}

/// `POST /partner/invoices/query`.
pub(super) async fn query(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let call = caller::partner(&provider, request, &[("invoice.query", Scope::Read)], BODY_BYTES_MAX).await?;
    let query: Query = call.read()?;
    let invoice = find(&provider, &call.installation, &query.invoice_id).await?;
    let (items, discounts) = lines::read(&provider, &invoice).await?;
    let body = serde_json::json!({
        "invoiceId": invoice.external_id,
        "vercelInvoiceId": invoice.vercel_id,
        "state": invoice.phase,
        "period": { "start": invoice.period_start, "end": invoice.period_end },
        "total": invoice.total,
        "refunded": invoice.booked_refunds,
        "refund": invoice.refund,
        "final": invoice.is_final,
        "abandoned": invoice.abandoned,
    });
    let mut text = body.to_string();
    // Appended as text: a `serde_json::Value` would lose the digits of quantities.
    text.pop();
    let items = serde_json::to_string(&items).map_err(ApiError::internal)?;
    let discounts = serde_json::to_string(&discounts).map_err(ApiError::internal)?;
    let text = format!("{text},\"items\":{items},\"discounts\":{discounts}}}");
    let raw = serde_json::value::RawValue::from_string(text).map_err(ApiError::internal)?;
    Ok(Json(raw).into_response())
}

/// An invoice by our id; one of another installation is not found.
pub(super) async fn find(
    provider: &Provider,
    id: &InstallationId,
    invoice: &str,
) -> Result<Stored<InvoiceRecord>, ApiError> {
    let parsed = keys::parse_invoice_id(invoice).filter(|(home, _)| home == id);
    let (_, number) = parsed.ok_or_else(|| ApiError::not_found("invoice"))?;
    let stored = provider.store.get::<InvoiceRecord>(&InvoiceRecord::key_of(id, number)).await?;
    stored.ok_or_else(|| ApiError::not_found("invoice"))
}
