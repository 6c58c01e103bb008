//! Invoices: the scheduled close of periods, submission, what becomes of them, refunds, finalization.
//!
//! A close prices the period with the same pure function as the hourly push, over the same totals, and
//! commits in one transaction: the installation's next period, the invoice, the effect that submits it, what
//! is carried on, and the ledger's entry for it. Submission is deduplicated by `externalId` (spec A.14); an
//! answer that says no more than "already there" leaves the invoice unknown until Vercel's webhook, which
//! carries our id, settles it. What is booked (issued, paid, refunded) is what the invoice says when it is
//! read (A.15).
//!
//! What fails: the scheduler fires twice (the guard on the installation lets one close through), a crash
//! between any two steps (lines are written first, under the invoice's number, and overwritten by the next
//! try), Vercel refuses an invoice (it is tried again for a day, with its lines under other plans, too: the effect `submit_invoice`;
//! then it is a dead letter that blocks the installation's money lane, an `error` in the log: a person must act, by way
//! of `settle`).

mod close;
mod command;
mod held;
mod refund;
mod settle;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use serde::Serialize;
use tradepost_marketplace::ids::InstallationId;

use crate::caller;
use crate::deadline::Deadline;
use crate::edge::error::{ApiError, Problem};
use crate::edge::wide::{Field, note};
use crate::effects;
use crate::layer;
use crate::outbox::Hold;
use crate::provider::Provider;
use crate::state::installation::CLOSES;
use crate::state::keys;

/// What a run keeps of its time: one close, and delivering what it owes.
const MARGIN_SECONDS: i64 = 10;
/// How many closes one run takes up.
const RUN_MAX: usize = 500;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    let routes = Router::new()
        .route("/partner/invoices", post(command::handle))
        .route("/partner/invoices/query", post(command::query))
        .route("/partner/invoices/{invoice}/refund", post(refund::handle))
        .route("/cron/invoices", get(run).post(run));
    layer::wrap(provider, routes)
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Installations whose period was due.
    due: u32,
    /// Periods closed.
    closed: u32,
    /// Installations whose close failed; they come again.
    failed: u32,
    /// Left for the next run, for want of time.
    left: u32,
}

/// `/cron/invoices`.
async fn run(State(provider): State<Provider>, request: Request) -> Result<Json<Report>, Problem> {
    let deadline = caller::scheduler(&provider, &request)?;
    let mut report = Report::default();
    let mut holds = Vec::new();
    for key in provider.store.due(CLOSES, provider.clock.now(), RUN_MAX).await? {
        let Some(id) = keys::installation_of(&key) else { continue };
        report.due += 1;
        if deadline.less(MARGIN_SECONDS).is_over(&provider.lease) {
            report.left += 1;
            continue;
        }
        if let Err(error) = close_all(&provider, &id, deadline, &mut report, &mut holds).await {
            report.failed += 1;
            error.log_as("a period could not be closed");
        }
    }
    // All closes first: a slow Vercel must not keep other customers' periods open.
    effects::deliver_all(&provider, holds, deadline).await;
    note(Field::PeriodsClosed, report.closed);
    note(Field::PeriodsFailed, report.failed);
    note(Field::PeriodsLeft, report.left);
    Ok(Json(report))
}

/// Closes all periods of an installation that are over: of a customer who leaves, every invoice must go inside Vercel's
/// window.
async fn close_all(
    provider: &Provider,
    id: &InstallationId,
    deadline: Deadline,
    report: &mut Report,
    holds: &mut Vec<Hold>,
) -> Result<(), ApiError> {
    while let Some(closed) = close::scheduled(provider, id, deadline).await? {
        report.closed += 1;
        holds.extend(closed);
        if deadline.less(MARGIN_SECONDS).is_over(&provider.lease) {
            break;
        }
    }
    Ok(())
}
