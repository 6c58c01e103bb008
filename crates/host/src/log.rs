//! Logs: one JSON object a line on stdout, flat, dotted field names; what both clouds collect. The level
//! comes from `TRADEPOST_LOG` (`info` by default). A panic is one more line of the same kind.

use std::panic::PanicHookInfo;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tradepost_marketplace::doors::Environment;

/// `error`, `warn`, `info`, `debug` or `trace`, also per crate: `info,tradepost_provider=debug`.
const VARIABLE: &str = "TRADEPOST_LOG";
const LEVEL_DEFAULT: &str = "info";

/// Once in a process, before anything logs.
pub(crate) fn init(environment: &dyn Environment) -> anyhow::Result<()> {
    let filter = filter(environment)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init()
        .map_err(|error| anyhow::anyhow!("the log is set up already: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn filter(environment: &dyn Environment) -> anyhow::Result<EnvFilter> {
    let directives = environment.var(VARIABLE).unwrap_or_else(|| LEVEL_DEFAULT.to_owned());
    EnvFilter::try_new(&directives)
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
        assert_eq!(filter(&Level("")).unwrap().to_string(), "info");
        assert_eq!(filter(&Level("warn")).unwrap().to_string(), "warn");
        let error = filter(&Level("info,tradepost=shout")).unwrap_err();
        assert!(format!("{error:#}").starts_with("TRADEPOST_LOG is \"info,tradepost=shout\""), "{error:#}");
    }
}
