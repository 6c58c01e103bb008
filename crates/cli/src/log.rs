//! Logs: JSON lines on stderr, from `warn` on unless `TRADEPOST_LOG` says otherwise; stdout is for the answer.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tradepost_marketplace::doors::Environment;

/// `error`, `warn`, `info`, `debug` or `trace`, also per crate.
pub const VARIABLE: &str = "TRADEPOST_LOG";
// The emulator warns of every answer that is an error, also of those that its caller expects.
const LEVEL_DEFAULT: &str = "warn,dynoxide=error";

/// Once in a process, before anything logs.
pub fn init(environment: &dyn Environment) -> anyhow::Result<()> {
    let directives = environment.var(VARIABLE).unwrap_or_else(|| LEVEL_DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&directives)
        .with_context(|| format!("{VARIABLE} is {directives:?}, which is not a log level such as info or debug"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("the log is set up already: {error}"))
}
