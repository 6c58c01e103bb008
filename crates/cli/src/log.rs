//! Logs: JSON lines on stderr, from `warn` on unless `TRADEPOST_LOG` says otherwise; stdout is for the answer.

pub use tradepost_host::log::VARIABLE;
use tradepost_host::log::start;
use tradepost_marketplace::doors::Environment;

// The emulator warns of every answer that is an error, also of those that its caller expects.
const LEVEL_DEFAULT: &str = "warn,dynoxide=error";

/// Once in a process, before anything logs.
pub fn init(environment: &dyn Environment) -> anyhow::Result<()> {
    start(environment, LEVEL_DEFAULT, std::io::stderr)
}
