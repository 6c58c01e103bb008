//! Logs: one JSON object a line on stdout, flat, dotted field names; what both clouds collect. The level
//! comes from `TRADEPOST_LOG` (`info` by default). A panic is one more line of the same kind. Some numbers are
//! metrics as well ([`crate::metrics`]).

mod line;

use std::panic::PanicHookInfo;

use anyhow::Context;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tradepost_marketplace::doors::Environment;
use tradepost_marketplace::trace_context::TARGET as TRACES;

use crate::metrics::{Emf, Metric};
use crate::traces::Traces;
use line::{Line, Members};

/// `error`, `warn`, `info`, `debug` or `trace`, also per crate: `info,tradepost_provider=debug`.
pub const VARIABLE: &str = "TRADEPOST_LOG";
pub(crate) const LEVEL_DEFAULT: &str = "info";

/// A function's logs, once in a process, before anything logs.
pub(crate) fn init(environment: &dyn Environment, metrics: &[Metric], traces: Option<&Traces>) -> anyhow::Result<()> {
    globally(traced(environment, LEVEL_DEFAULT, metrics, traces, std::io::stdout)?)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// JSON lines to a writer, from `default` on unless [`VARIABLE`] says otherwise; for the whole process.
pub fn start<W>(environment: &dyn Environment, default: &str, writer: W) -> anyhow::Result<()>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    globally(dispatch(environment, default, &[], writer)?)
}

/// The same, with the fields that are metrics as well, for whoever uses it as they see fit: a test, for itself.
pub fn dispatch<W>(
    environment: &dyn Environment,
    default: &str,
    metrics: &[Metric],
    writer: W,
) -> anyhow::Result<Dispatch>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    traced(environment, default, metrics, None, writer)
}

fn traced<W>(
    environment: &dyn Environment,
    default: &str,
    metrics: &[Metric],
    traces: Option<&Traces>,
    writer: W,
) -> anyhow::Result<Dispatch>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = lines(Emf::of(environment, metrics)?, writer).with_filter(filter(environment, default)?);
    Ok(tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).into())
}

fn globally(dispatch: Dispatch) -> anyhow::Result<()> {
    let set = tracing::dispatcher::set_global_default(dispatch);
    set.map_err(|error| anyhow::anyhow!("the log is set up already: {error}"))
}

fn lines<S, W>(emf: Option<Emf>, writer: W) -> tracing_subscriber::fmt::Layer<S, Members, Line, W>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    tracing_subscriber::fmt::layer().fmt_fields(Members).event_format(Line { emf }).with_writer(writer)
}

/// Levels by crate; not `EnvFilter`, whose patterns of span fields cost a regular expression engine.
pub(crate) fn filter(environment: &dyn Environment, default: &str) -> anyhow::Result<Targets> {
    let directives = environment.var(VARIABLE).unwrap_or_else(|| default.to_owned());
    // A word alone would be a target, with all that it says: here it is a level, or a slip.
    let slip = directives.split(',').any(|part| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err());
    let levels = directives.parse::<Targets>().ok().filter(|_| !slip);
    let levels = levels
        .with_context(|| format!("{VARIABLE} is {directives:?}, which is not a log level such as info or debug"))?;
    // Spans that are for traces only would cost the same without them.
    Ok(levels.with_target(TRACES, LevelFilter::OFF))
}

/// Where it happened, and the message when it is a constant: a formatted one may hold what it failed on.
fn log_panic(info: &PanicHookInfo<'_>) {
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    let reason = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("not a constant, so not logged");
    tracing::error!(panic.file = file, panic.line = line, panic.reason = reason, "panicked");
}

#[cfg(test)]
mod tests;
