//! Runs one axum router on AWS Lambda, on Vercel or on localhost, from the same binary.
//!
//! A binary of `api/` calls [`main`] with its name, its [`Marks`] and a closure that builds its router.
//! The host looks at the environment ([`Place::detect`]: Vercel's variables first, because Vercel itself
//! runs on Lambda), sets up JSON logs, puts the router behind the same guard everywhere (health answer,
//! limits of head and body, no panic gets out) and serves it. What arrives:
//!
//! ```text
//! Vercel, localhost   HTTP/1.1 ───────────────────────────▶ guard ─▶ router
//! Lambda              JSON event ─▶ HTTP        ─▶ request ─▶ guard ─▶ router
//!                                   schedule    ─▶ GET /cron/{function}, marked
//!                                   SQS record  ─▶ POST /cron/{function}, marked, one each
//!                                   else        ─▶ refused, logged
//! ```
//!
//! So a flow only ever sees requests, and the mark of a schedule is a request extension: no outside
//! request can carry one. The host knows neither the mark's type nor the provider; the caller hands the
//! two functions that set them.
//!
//! Fails when the environment is unusable (a line on stderr for each problem, exit code 1) or the socket is.

mod guard;
mod lambda;
mod localhost;
pub mod log;
pub mod metrics;
mod place;
mod slow;
#[cfg(not(feature = "otel"))]
#[path = "no_traces.rs"]
mod traces;
#[cfg(feature = "otel")]
pub mod traces;
mod vercel;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use http::Extensions;
use tradepost_marketplace::doors::{Environment, ProcessEnvironment};

pub use guard::{BODY_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, PATH_BYTES_MAX, QUERY_BYTES_MAX, guarded};
pub use metrics::Metric;
pub use place::{Place, PlaceError, problems};
use traces::Traces;

/// How the host tells the router what only the platform can know. Plain functions of the caller, so that
/// the types of the marks belong to whoever reads them.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// Marks a request as made by the cloud's own scheduler or queue.
    pub scheduled: fn(&mut Extensions),
    /// Tells a request how long the platform leaves for it, counted from its arrival.
    pub deadline: fn(&mut Extensions, Duration),
}

/// The whole life of a function's process: detect the place, set up logs, build the router, serve.
///
/// `metrics` are the fields of its log that are metrics as well ([`metrics`]).
/// A wrong configuration is told on stderr, in a line for each problem, and ends with exit code 1; so does a socket
/// that fails. `build` runs inside the async runtime; its error may have several lines.
pub fn main<E: Display>(
    function: &'static str,
    marks: Marks,
    metrics: &[Metric],
    build: impl FnOnce(Place) -> Result<Router, E>,
) -> ExitCode {
    exit(function, start(function, marks, metrics, &ProcessEnvironment, build))
}

/// Serves the router where this process runs, until it is told to stop.
async fn run(
    function: &'static str,
    router: Router,
    place: Place,
    marks: Marks,
    traces: Option<Traces>,
    environment: &dyn Environment,
) -> anyhow::Result<()> {
    let mut router = guarded(function, router);
    if let Some(traces) = traces {
        router = traces.around(router);
    }
    match place {
        Place::Vercel => vercel::serve(router).await,
        Place::Lambda => lambda::serve(function, router, marks).await,
        Place::Localhost => localhost::serve(router, place::port(environment)?).await,
    }
}

fn start<E: Display>(
    function: &'static str,
    marks: Marks,
    metrics: &[Metric],
    environment: &dyn Environment,
    build: impl FnOnce(Place) -> Result<Router, E>,
) -> anyhow::Result<()> {
    let place = Place::detect(environment);
    // Whatever is wrong is told at once: what the host reads, and what the function does.
    let mut wrong: Vec<String> = problems(environment, place).iter().map(ToString::to_string).collect();
    let mut keeper = None;
    if wrong.is_empty() {
        keeper = Traces::of(function, environment)?;
        log::init(environment, metrics, keeper.as_ref())?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let outcome = build(place);
        wrong.extend(outcome.as_ref().err().map(|error| format!("{error:#}")));
        let router = outcome.ok().filter(|_| wrong.is_empty()).ok_or_else(|| anyhow::anyhow!(wrong.join("\n")))?;
        tracing::debug!(function.name = function, host.place = place.name(), "starting");
        run(function, router, place, marks, keeper, environment).await
    })
}

fn exit(function: &'static str, outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("{function}: {line}");
            }
            ExitCode::FAILURE
        }
    }
}
