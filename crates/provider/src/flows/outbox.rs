//! `/cron/outbox`: the sweeper. Delivers every effect that is due, and finishes operations whose caller
//! never came back. What a crash, a lost answer or an outage left behind is found here.

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use serde::Serialize;

use crate::caller;
use crate::deadline::Deadline;
use crate::delivery::Sweep;
use crate::edge::error::{ApiError, Problem};
use crate::edge::wide::{Field, count, note};
use crate::effects;
use crate::layer;
use crate::operation::finish_abandoned;
use crate::provider::Provider;
use crate::state::resource::OPERATIONS;

/// What a sweep of the lanes leaves to the operations.
const OPERATIONS_SECONDS: i64 = 5;
/// How many operations one run takes up.
const OPERATIONS_MAX: usize = 200;

/// The flow's routes.
pub fn router(provider: &Provider) -> Router {
    layer::wrap(provider, Router::new().route("/cron/outbox", get(sweep).post(sweep)))
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Operations that were finished for their callers.
    operations_finished: u32,
    /// Operations that still do not go through.
    operations_failed: u32,
    /// The lanes.
    #[serde(rename = "lanes")]
    lanes: Sweep,
}

async fn sweep(State(provider): State<Provider>, request: Request) -> Result<Json<Report>, Problem> {
    let deadline = caller::scheduler(&provider, &request)?;
    // Lanes first: a provisioner that hangs must not keep invoices and secrets from Vercel.
    // A part of the time is kept for operations: they would wait for ever behind lanes that are slow.
    let lanes = effects::sweep(&provider, deadline.less(OPERATIONS_SECONDS)).await?;
    note(Field::SweepLanesDue, lanes.due);
    note(Field::SweepLanesBusy, lanes.busy);
    note(Field::SweepLanesFailed, lanes.failed);
    note(Field::SweepLanesLeft, lanes.left);
    note(Field::OutboxAgeSeconds, lanes.age_seconds);
    // So that a sweep that met none says 0.
    count(Field::DeadLetters, 0);
    count(Field::Held, 0);
    let report = operations(&provider, deadline).await?;
    note(Field::OperationsFinished, report.operations_finished);
    note(Field::OperationsFailed, report.operations_failed);
    Ok(Json(Report { lanes, ..report }))
}

async fn operations(provider: &Provider, deadline: Deadline) -> Result<Report, ApiError> {
    let mut report = Report::default();
    for key in provider.store.due(OPERATIONS, provider.clock.now(), OPERATIONS_MAX).await? {
        if deadline.less(OPERATIONS_SECONDS).is_over(&provider.lease) {
            break;
        }
        match finish_abandoned(provider, &key, deadline).await {
            Ok(true) => report.operations_finished += 1,
            Ok(false) => {}
            Err(error) => {
                report.operations_failed += 1;
                error.log_as("an operation left behind does not go through");
            }
        }
    }
    Ok(report)
}
