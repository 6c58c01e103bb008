//! What partner systems ask of invoices: `invoice.close`, `invoice.adjust` and what settles ([`settle`]) on
//! `/partner/invoices`, `invoice.query` on `/partner/invoices/query`.

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::money::Money;
use tradepost_pricing::ledger::Entry;
use tradepost_pricing::period;
use tradepost_store::{Stored, Write};

use super::close::{begin, dry_run, prepare, rehearse, tidy};
use super::{held, settle};
use crate::answer::Answer;
use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::delivery::Nothing;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::effects::What;
use crate::installed;
use crate::invoice::{entry_write, find, lines};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::slice::{self, Slice, archive};
use crate::state::{CarriedAmount, Installation, keys};

/// The most lines of one adjustment.
const LINES_MAX: usize = 20;
/// When to come back for the answer to a close that became the installation's last.
const CLOSED_BY_SCHEDULE_SECONDS: u32 = 600;
/// What may be asked on `/partner/invoices`.
const TYPES: [&str; 6] =
    ["invoice.close", "invoice.adjust", "invoice.settle", "effect.settle", "resource.settle", "installation.settle"];
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
    let types = TYPES.map(|kind| (kind, Scope::Invoices));
    let call = caller::partner(&provider, request, &types, BODY_BYTES_MAX).await?;
    let asked = Call::of_partner(&call);
    Ok(match call.kind.as_str() {
        "invoice.close" => {
            let Close { dry_run, test } = call.read()?;
            command::answer(&provider, asked, &CloseNow { call: &call, dry_run, test }).await?
        }
        "invoice.settle" => {
            let settle: settle::SettleInvoice = call.read()?;
            match settle.of_refund(&call)? {
                Some(settle) => command::answer(&provider, asked, &settle).await?,
                None => command::answer(&provider, asked, &settle::Invoice::of(&call, settle)?).await?,
            }
        }
        "effect.settle" => {
            let settle = settle::Effect::of(&call, call.read()?)?;
            command::answer(&provider, asked, &settle).await?
        }
        "resource.settle" => {
            let settle = held::OfResource { call: &call, command: call.read()? };
            command::answer(&provider, asked, &settle).await?
        }
        "installation.settle" => {
            let settle = held::OfInstallation { call: &call, command: call.read()? };
            command::answer(&provider, asked, &settle).await?
        }
        _ => {
            let command: Adjust = call.read()?;
            if command.lines.is_empty() || command.lines.len() > LINES_MAX {
                return Err(ApiError::invalid(format!("lines must be 1 to {LINES_MAX}")).into());
            }
            command::answer(&provider, asked, &AddLines { call: &call, lines: command.lines }).await?
        }
    })
}

/// Ends the open period now and invoices it; or says, as a dry run, what that would come to; or submits that as
/// a test invoice and closes nothing.
struct CloseNow<'a> {
    call: &'a PartnerCall,
    dry_run: bool,
    test: bool,
}

#[async_trait]
impl Command for CloseNow<'_> {
    type State = Option<Slice>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        slice::read(provider, &self.call.installation).await
    }

    async fn judge(&self, provider: &Provider, slice: Self::State) -> Result<Judged, ApiError> {
        let slice = slice.ok_or_else(|| ApiError::not_found("installation"))?;
        let installation = &slice.installation;
        if !installation.is_active() {
            return Err(self.overtaken(installation));
        }
        let now = provider.clock.now();
        let open = installation.open_period();
        // A period that is over and waits for its close is closed as it is.
        let is_over = installation.closing.is_some() || open.end <= now;
        let period = if is_over { open } else { period::cut(open, now).ok_or_else(empty)? };
        if self.dry_run {
            return dry_run(provider, &slice, period).await.map(Judged::Answer);
        }
        if self.test {
            return rehearse(provider, &slice, period, now).await.map(Judged::Change);
        }
        if installation.closing.is_none() {
            begin(provider, installation, period.end, Some(&self.call.identity)).await?;
            return Ok(Judged::Again);
        }
        if archive(provider, &slice).await? {
            return Ok(Judged::Again);
        }
        prepare(provider, &slice, period, now).await.map(Judged::Change)
    }

    async fn committed(&self, provider: &Provider) {
        if !self.test {
            tidy(provider, &self.call.installation).await;
        }
    }
}

impl CloseNow<'_> {
    /// What is answered once the installation was uninstalled.
    fn overtaken(&self, installation: &Installation) -> ApiError {
        let begun = &installation.closing_for;
        // What this very request began is the end now. The scheduler closes it, once Vercel has heard of the uninstall
        // and takes a final invoice, and answers this request.
        if begun.is_some() && *begun == self.call.identity.key {
            ApiError::busy(CLOSED_BY_SCHEDULE_SECONDS)
        } else {
            ApiError::conflict("the installation was uninstalled")
        }
    }
}

fn empty() -> ApiError {
    ApiError::conflict("the open period has only just begun")
}

/// Puts amounts on the next invoice.
struct AddLines<'a> {
    call: &'a PartnerCall,
    lines: Vec<AdjustLine>,
}

#[async_trait]
impl Command for AddLines<'_> {
    type State = Stored<Installation>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        installed::active(provider, &self.call.installation).await
    }

    async fn judge(&self, provider: &Provider, mut stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        let id = &self.call.installation;
        let cause = &keys::digest_of(&[self.call.identity.seed.as_bytes()])[..16];
        let mut writes = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let length = line.name.chars().count();
            if length == 0 || length > LINE_NAME_CHARS_MAX || line.amount == Money::ZERO {
                let text =
                    format!("a line has a name of 1 to {LINE_NAME_CHARS_MAX} characters and an amount above 0.00");
                return Err(ApiError::invalid(text));
            }
            let amount = if line.credit { -line.amount } else { line.amount };
            let cause = format!("{id}.a{cause}.{number}");
            let entry = Entry::carried(&cause, provider.clock.now(), amount, &line.name).map_err(ApiError::internal)?;
            writes.extend(entry_write(id, entry)?);
            let resource = line.resource_id.clone();
            stored.item.carry(CarriedAmount { amount: amount.into(), resource, name: line.name.clone() });
        }
        let answer = Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "lines": self.lines.len() }))?;
        writes.push(Write::replace(&stored.item, stored.version)?);
        Ok(Judged::Change(Change::answered(answer).writing(writes)))
    }
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
        "vercelTotal": invoice.above.map(|above| invoice.total + above),
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
