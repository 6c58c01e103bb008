//! Logs: one JSON object a line on stdout, flat, dotted field names; what both clouds collect. The level
//! comes from `TRADEPOST_LOG` (`info` by default). A panic is one more line of the same kind.

use std::panic::PanicHookInfo;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tradepost_marketplace::doors::Environment;

/// `error`, `warn`, `info`, `debug` or `trace`, also per crate: `info,tradepost_provider=debug`.
pub const VARIABLE: &str = "TRADEPOST_LOG";
pub(crate) const LEVEL_DEFAULT: &str = "info";

/// A function's logs, once in a process, before anything logs.
pub(crate) fn init(environment: &dyn Environment) -> anyhow::Result<()> {
    start(environment, LEVEL_DEFAULT, std::io::stdout)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// JSON lines to a writer, from `default` on unless [`VARIABLE`] says otherwise.
pub fn start<W>(environment: &dyn Environment, default: &str, writer: W) -> anyhow::Result<()>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(writer)
        .finish();
    let started = lines.with(filter(environment, default)?).try_init();
    started.map_err(|error| anyhow::anyhow!("the log is set up already: {error}"))
}

/// Levels by crate; not `EnvFilter`, whose patterns of span fields cost a regular expression engine.
pub(crate) fn filter(environment: &dyn Environment, default: &str) -> anyhow::Result<Targets> {
    let directives = environment.var(VARIABLE).unwrap_or_else(|| default.to_owned());
    directives
        .parse()
        .with_context(|| format!("{VARIABLE} is {directives:?}, which is not a log level such as info or debug"))
}

/// Where it happened, and the message when it is a constant: a formatted one may hold what it failed on.
fn log_panic(info: &PanicHookInfo<'_>) {
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    let reason = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("not a constant, so not logged");
    tracing::error!(panic.file = file, panic.line = line, panic.reason = reason, "panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Level(&'static str);

    impl Environment for Level {
        fn var(&self, name: &str) -> Option<String> {
            (name == VARIABLE && !self.0.is_empty()).then(|| self.0.to_owned())
        }
    }

    #[test]
    fn the_level_is_info_unless_told_and_a_wrong_one_names_the_variable() {
        assert_eq!(filter(&Level(""), LEVEL_DEFAULT).unwrap().to_string(), "info");
        assert_eq!(filter(&Level("warn"), LEVEL_DEFAULT).unwrap().to_string(), "warn");
        let error = filter(&Level("info,tradepost=shout"), LEVEL_DEFAULT).unwrap_err();
        assert!(format!("{error:#}").starts_with("TRADEPOST_LOG is \"info,tradepost=shout\""), "{error:#}");
    }
}
