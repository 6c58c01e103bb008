//! The platform in front of the functions, in this process: it leads a request to its function as `vercel.json` says,
//! lets it wait while the function is being started, and answers 502 if it dies over it. Aside, on a socket of
//! their own: the provisioner, and who says what time it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use fancy_regex::Regex;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tradepost_marketplace::doors::{BusinessClock, Clock};
use tradepost_marketplace::http_door::HttpDoor;
use tradepost_provider::settings::Function;
use tradepost_rehearsal::canaries::Canaries;
use tradepost_rehearsal::development;
use tradepost_rehearsal::provisioner::DemoProvisioner;

use crate::processes::{Name, Processes};

/// How long a function may take: as long as the simulator waits for a cron.
const TIMEOUT: Duration = Duration::from_mins(5);
const BODY_BYTES_MAX: usize = 1 << 20;

/// Vercel's time, as it was last asked.
struct Told(Mutex<Timestamp>);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where everything is.
pub(crate) struct Front {
    /// The provider, as the world sees it.
    pub(crate) url: String,
    /// What only the functions see.
    pub(crate) aside_url: String,
    pub(crate) provisioner: DemoProvisioner,
    cut_off: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Inside {
    processes: Processes,
    http: HttpDoor,
    rewrites: Arc<Vec<(Regex, String)>>,
    told: Arc<Told>,
    cut_off: Arc<AtomicUsize>,
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn rewrites() -> Vec<(Regex, String)> {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/vercel.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let rewrite = |it: &Value| {
        let source = Regex::new(&format!("^{}$", it["source"].as_str().unwrap())).unwrap();
        (source, it["destination"].as_str().unwrap().to_owned())
    };
    file["rewrites"].as_array().unwrap().iter().map(rewrite).collect()
}

impl Front {
    pub(crate) async fn open(processes: Processes, http: HttpDoor, seed: u64) -> Self {
        let told = Arc::new(Told(Mutex::new(Timestamp::UNIX_EPOCH)));
        let (clock, secret) = (BusinessClock(told.clone()), development::PROVISIONER_SECRET);
        let provisioner = DemoProvisioner::open(None, seed, clock, secret, Canaries::default()).unwrap();
        let cut_off = Arc::new(AtomicUsize::new(0));
        let inside = Inside { processes, http, rewrites: Arc::new(rewrites()), told, cut_off: cut_off.clone() };
        let aside = Router::new().route("/time", get(time)).with_state(inside.clone());
        let aside_url = serve(aside.nest_service("/provisioner", provisioner.router())).await;
        let url = serve(Router::new().fallback(pass).with_state(inside)).await;
        Self { url, aside_url, provisioner, cut_off }
    }

    /// How many requests lost their function.
    pub(crate) fn cut_off(&self) -> usize {
        self.cut_off.load(Ordering::Relaxed)
    }
}

/// What time it is for a function: Vercel's, and the wall's plus what the leases of the dead are over by.
async fn time(State(inside): State<Inside>) -> Response {
    let asked = async {
        let url = format!("{}/_sim/clock", inside.processes.url(Name::Vercel));
        let request = http::Request::builder().uri(url).body(Bytes::new()).ok()?;
        let answer = inside.http.send(request, TIMEOUT).await.ok()?;
        let answer: Value = serde_json::from_slice(answer.body()).ok()?;
        answer["now"].as_str()?.parse::<Timestamp>().ok()
    };
    let Some(now) = asked.await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    *inside.told.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    let ahead = inside.processes.lease_ahead_seconds();
    axum::Json(json!({ "now": now.to_string(), "leaseAheadSeconds": ahead })).into_response()
}

fn function_of(inside: &Inside, path: &str) -> Option<Function> {
    let (source, destination) = inside.rewrites.iter().find(|(source, _)| source.is_match(path).unwrap())?;
    let name = source.replace(path, destination.as_str());
    Function::parse(name.strip_prefix("/api/")?)
}

async fn pass(State(inside): State<Inside>, request: Request) -> Response {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let Some(function) = function_of(&inside, request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let place = inside.processes.place(Name::Function(function)).await;
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let mut onward = http::Request::builder().method(parts.method).uri(format!("{place}{path}"));
    for (name, value) in parts.headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str())) {
        onward = onward.header(name, value);
    }
    let Ok(answer) = inside.http.send(onward.body(body).unwrap(), TIMEOUT).await else {
        inside.cut_off.fetch_add(1, Ordering::Relaxed);
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove("transfer-encoding");
    Response::from_parts(parts, Body::from(body))
}
