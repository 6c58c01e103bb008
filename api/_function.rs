//! What every function binary does: read its settings, build its router, hand it to the host.
//!
//! The one place that knows both the provider and the host. Not a function itself: Vercel ignores files of
//! `api/` that begin with an underscore.

use std::process::ExitCode;

use axum::Router;
use tradepost_host::{Marks, Metric, Place};
use tradepost_marketplace::doors::ProcessEnvironment;
use tradepost_provider::edge::wide::Field;
use tradepost_provider::settings::{self, Function, Platform};
use tradepost_provider::{Provider, caller, layer};

/// Runs a function until its platform ends it.
pub fn serve(function: Function, router: fn(&Provider) -> Router) -> ExitCode {
    let marks = Marks { scheduled: caller::mark_scheduled, deadline: layer::mark_deadline };
    tradepost_host::main(function.name(), marks, &metrics(), |place| {
        let platform = match place {
            Place::Vercel => Platform::Vercel,
            Place::Lambda => Platform::Lambda,
            Place::Localhost => Platform::Localhost,
        };
        settings::provider(&ProcessEnvironment, platform, function).map(|provider| router(&provider))
    })
}

/// The fields of the wide event that are metrics as well.
pub fn metrics() -> Vec<Metric> {
    let metrics = Field::ALL.into_iter().filter_map(|field| Some((field.as_str(), field.metric()?)));
    metrics.map(|(field, metric)| Metric { field, name: metric.name, unit: metric.unit }).collect()
}
