//! `simulation FUNCTION`: one of the functions as a process on localhost, at the time of a simulated Vercel.
//!
//! Used by the month of many processes (`tests/kills`), and whenever the functions shall run beside `tradepost simulate
//! --frozen`. Built with the feature `simulation` only, and a binary of its own: nothing of it can get into a function.
//!
//! At the beginning of each request it asks `TRADEPOST_SIMULATION_CLOCK`, a URL on loopback, what time it is: JSON with
//! `now`, as the simulator's `/_sim/clock` answers it, and perhaps `leaseAheadSeconds`: how far lease time is ahead
//! of the wall, for whoever knows that a holder of leases is dead. What fails: 503 to a request at which nobody says what
//! time it is, and nothing is done; exit code 1 elsewhere than on localhost.

use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tradepost_host::{Marks, Place};
use tradepost_marketplace::doors::{
    BusinessClock, Clock, Environment as _, LeaseClock, ProcessEnvironment, SystemClock,
};
use tradepost_marketplace::endpoint::{self, Endpoint};
use tradepost_marketplace::http_door::{Http as _, Network};
use tradepost_provider::settings::{Function, Platform, Settings};
use tradepost_provider::{caller, flows, layer};

/// Where the time is asked.
const VARIABLE: &str = "TRADEPOST_SIMULATION_CLOCK";
/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What it was when it was last asked.
struct Told {
    now: Mutex<Timestamp>,
    lease_ahead_seconds: AtomicI64,
}

/// Business time.
struct Business(Arc<Told>);

impl Clock for Business {
    fn now(&self) -> Timestamp {
        *self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lease time.
struct Lease(Arc<Told>);

impl Clock for Lease {
    fn now(&self) -> Timestamp {
        let (now, ahead) = (SystemClock.now(), self.0.lease_ahead_seconds.load(Ordering::Relaxed));
        now.saturating_add(SignedDuration::from_secs(ahead)).unwrap_or(now)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    now: Timestamp,
    #[serde(default)]
    lease_ahead_seconds: i64,
}

/// Who says what time it is.
struct Asked {
    network: Network,
    url: Endpoint,
    told: Arc<Told>,
}

impl Asked {
    async fn ask(&self) -> Result<(), String> {
        let request = http::Request::builder().uri(self.url.as_str()).body(Bytes::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.network.send(request, TIMEOUT).await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        *self.told.now.lock().unwrap_or_else(PoisonError::into_inner) = answer.now;
        self.told.lease_ahead_seconds.store(answer.lease_ahead_seconds, Ordering::Relaxed);
        Ok(())
    }
}

async fn at_its_time(asked: Arc<Asked>, request: Request, next: Next) -> Response {
    match asked.ask().await {
        Ok(()) => next.run(request).await,
        Err(error) => {
            tracing::warn!(error.cause = error, "nobody says what time it is");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn router(function: Function, place: Place) -> Result<Router, String> {
    if place != Place::Localhost {
        return Err("a simulation runs on localhost only".to_owned());
    }
    let url = ProcessEnvironment.var(VARIABLE).ok_or_else(|| format!("{VARIABLE} is not set"))?;
    let url = endpoint::checked(&url).ok().filter(Endpoint::is_loopback);
    let url =
        url.ok_or_else(|| format!("{VARIABLE} must be a URL on loopback, such as http://127.0.0.1:3211/_sim/clock"))?;
    let network = Network::new("Tradepost-Simulation/1.0").map_err(|error| error.to_string())?;
    let told = Arc::new(Told { now: Mutex::new(Timestamp::UNIX_EPOCH), lease_ahead_seconds: AtomicI64::new(0) });
    let (clock, lease) = (BusinessClock(Arc::new(Business(told.clone()))), LeaseClock(Arc::new(Lease(told.clone()))));
    let shown = |error: &dyn fmt::Display| error.to_string();
    let settings = Settings::read(&ProcessEnvironment, Platform::Localhost, function).map_err(|error| shown(&error))?;
    let provider = settings.provider_at(clock, lease).map_err(|error| shown(&error))?;
    let asked = Arc::new(Asked { network, url, told });
    let layer = middleware::from_fn(move |request: Request, next: Next| at_its_time(asked.clone(), request, next));
    let served = flows::ROUTERS.into_iter().find(|(own, _)| *own == function);
    let (_, make) = served.ok_or_else(|| format!("{} serves nothing", function.name()))?;
    Ok(make(&provider).layer(layer))
}

fn main() -> ExitCode {
    let Some(function) = std::env::args().nth(1).as_deref().and_then(Function::parse) else {
        eprintln!("simulation: name a function, such as billing");
        return ExitCode::from(2);
    };
    let marks = Marks { scheduled: caller::mark_scheduled, deadline: layer::mark_deadline };
    tradepost_host::main(function.name(), marks, &[], |place| router(function, place))
}
