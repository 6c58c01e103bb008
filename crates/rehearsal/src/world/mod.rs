//! One process with everything real in it, for the flow tests: embedded DynamoDB, simulated Vercel and demo
//! provisioner, all from [`crate::local`], and the provider on a socket of its own, behind doors that a
//! test can hold ([`doors`]) and in front of a provisioner that a test can make fail ([`provisioner`]). Each function
//! has what its deployment gives it and no more: its own concerns, and its own policy on the table ([`policy`]).
//!
//! A test opens a [`World`], acts as Vercel ([`vercel`]), as a partner system ([`partner`]) or as the scheduler
//! ([`World::cron`]), looks at the table ([`table`]) and closes the world. Time is advanced, never awaited.
//! [`World::close`] fails the test that leaves an effect in the outbox, an operation on a resource, a fault unspent, a
//! request running, or a ledger that differs from what Vercel has, and the one in which a function did what its policy
//! in `template.yaml` denies; a world that is dropped without it fails, too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and this is only for tests")]
#![allow(missing_docs, reason = "helpers of tests, named as what they do")]
#![allow(clippy::missing_panics_doc, reason = "everything here panics when a test must fail")]
#![allow(clippy::return_self_not_must_use, reason = "a call that is made and not looked at is what some tests want")]
#![allow(clippy::new_without_default, reason = "a hand on the clock is made on purpose")]

pub mod acts;
pub mod audit;
pub mod doors;
pub mod doubts;
pub mod end;
pub mod got;
pub mod log;
pub mod mortal;
pub mod partner;
pub mod policy;
pub mod provisioner;
pub mod table;
pub mod template;
pub mod vercel;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::serve::ListenerExt as _;
use http::Method;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use tradepost_host::guarded;
use tradepost_marketplace::doors::{BusinessClock, LeaseClock};
use tradepost_provider::catalog::Catalog;
use tradepost_provider::flows::ROUTERS;
use tradepost_provider::signing::PartnerKeys;
use tradepost_provider::{Doors, Provider};
use tradepost_simulator::ClockMode;
use tradepost_store::{Backend, FaultKind, FaultPlan, Store};

use crate::demo::repeats::Repeats;
use crate::development;
use crate::local::{Local, Options};
use crate::whole::configured;
use doors::{Hand, Waits};
use got::Got;
use mortal::Mortal;
use policy::Watch;
use provisioner::StandIn;
use template::Policies;

/// The product of the repository's catalog, and its plans.
pub const PRODUCT: &str = "ledgerbase";
pub const FREE: &str = "ledgerbase-free-1";
pub const TEAM: &str = "ledgerbase-team-1";
pub const SCALE: &str = "ledgerbase-scale-1";

/// A plan of installation scope. No function is configured with one yet; what there is of it is tested.
pub const ORG: &str = "ledgerbase-org-1";

/// The repository's catalog with [`ORG`] in it.
pub fn with_org() -> String {
    let plan = r#"
        [[product.plan]]
        id = "ledgerbase-org-1"
        name = "Org"
        type = "subscription"
        scope = "installation"
        payment_method_required = false
        period = "month"
        upgrade = "immediate"
        downgrade = "immediate"
    "#;
    format!("{}{plan}", development::CATALOG)
}

/// What the simulator and the demo provisioner derive ids and secrets from.
pub const SEED: u64 = 7;

/// When every world begins.
pub const BEGIN: &str = "2027-01-01T00:00:00Z";

/// Everything, running.
pub struct World {
    /// DynamoDB, simulator and demo provisioner, and a provider that nobody calls.
    pub local: Local,
    /// Where the provider under test is served.
    pub url: String,
    /// The provisioner in front of the demo's.
    pub provisioner: StandIn,
    /// Lease time.
    pub lease: Arc<Hand>,
    /// What the provider waits for.
    pub waits: Arc<Waits>,
    /// The life of the provider.
    pub mortal: Mortal,
    /// What each function did with the table.
    pub watch: Arc<Watch>,
    recipe: Recipe,
    served: Arc<Mutex<Router>>,
    servers: Vec<JoinHandle<()>>,
    numbers: AtomicU64,
    repeats: Option<Repeats>,
    closed: bool,
}

/// What a world is made of.
#[derive(Default)]
pub struct Setup<'a> {
    /// A catalog's text; the repository's without.
    pub catalog: Option<&'a str>,
    /// What Vercel's scheduler calls: path and schedule. None without: a test calls them itself.
    pub crons: &'a [(&'a str, &'a str)],
    /// Where a signed-in person is sent.
    pub dashboard: Option<&'a str>,
    /// Every request of Vercel's is sent twice, byte for byte, and the second may change nothing.
    pub everything_twice: bool,
    /// What the functions do with the table is written down, and nothing denied.
    pub permissive: bool,
    /// Routes of the test's own beside the flows'.
    pub extra: Option<fn(&Provider) -> Router>,
    /// Where everything is kept (`FILE`, `FILE.vercel`, `FILE.provisioner`); in memory without.
    pub store: Option<&'a Path>,
    /// What [`World::number`] counts on from: a world that goes on where another ended must not use its ids again.
    pub numbers_after: u64,
}

/// What a provider under test is made of, beside what the world has.
struct Recipe {
    catalog: Catalog,
    dashboard: Option<String>,
    provisioner_url: String,
    extra: Option<fn(&Provider) -> Router>,
}

async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn serve(listener: TcpListener, router: axum::Router) -> JoinHandle<()> {
    // Without this each answer waits for the peer's delayed acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

impl World {
    /// A world with the repository's catalog, in which nothing is scheduled.
    pub async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    /// Opens a world, the provider registered at the simulator.
    pub async fn with(setup: Setup<'_>) -> Self {
        let options = Options {
            catalog: setup.catalog.map(str::to_owned),
            store: setup.store.map(Path::to_owned),
            ..Options::new(SEED, ClockMode::Frozen { start: BEGIN.parse().unwrap() })
        };
        let local = Local::open(options).await.unwrap();
        let (at_provisioner, provisioner_url) = bind().await;
        let (at_provider, url) = bind().await;
        let provisioner = StandIn::before(local.provisioner.router());
        let (lease, waits, mortal) = (Arc::new(Hand::new()), Arc::new(Waits::default()), Mortal::default());
        let recipe = Recipe {
            catalog: Catalog::parse(setup.catalog.unwrap_or(development::CATALOG)).unwrap(),
            dashboard: setup.dashboard.map(str::to_owned),
            provisioner_url,
            extra: setup.extra,
        };
        let watch = Arc::new(Watch::by_the_template(!setup.permissive));
        let makings = Makings { local: &local, recipe: &recipe, lease: &lease, waits: &waits, mortal: &mortal };
        let served = Arc::new(Mutex::new(makings.routes(&watch)));
        let front = Arc::clone(&served);
        let front = Router::new().fallback(move |request: Request| {
            let router = front.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move { router.oneshot(request).await }
        });
        let servers = vec![serve(at_provisioner, provisioner.router()), serve(at_provider, front)];
        let numbers = AtomicU64::new(setup.numbers_after);
        let repeats = setup.everything_twice.then(|| Repeats::new(local.faulty.clone()));
        if let Some(repeats) = &repeats {
            local.simulator.on_repeat(repeats.hook());
        }
        let closed = false;
        let world = Self {
            local,
            url,
            provisioner,
            lease,
            waits,
            mortal,
            watch,
            recipe,
            served,
            servers,
            numbers,
            repeats,
            closed,
        };
        world.register(setup.crons, if setup.everything_twice { 2 } else { 1 }).await;
        world
    }

    /// From now on Vercel's scheduler calls these.
    pub async fn schedule(&self, crons: &[(&str, &str)]) {
        self.register(crons, 1).await;
    }

    async fn register(&self, crons: &[(&str, &str)], repeat: u32) {
        let crons: Vec<Value> =
            crons.iter().map(|(path, schedule)| json!({ "path": path, "schedule": schedule })).collect();
        let body = json!({
            "baseUrl": self.url,
            "clientId": development::CLIENT_ID,
            "clientSecret": development::CLIENT_SECRET,
            "cronSecret": development::CRON_SECRET,
            "crons": crons,
            "repeat": repeat,
        });
        self.control("POST", "/_sim/partner", body).await.expect(200);
    }

    /// What each function may do with the table. The template is read once: a test process opens hundreds of worlds.
    pub fn policies() -> Policies {
        static READ: OnceLock<Policies> = OnceLock::new();
        let read = || Policies::read(&template::template(), &ROUTERS.map(|(function, _)| function.name()));
        READ.get_or_init(read).clone()
    }

    /// A number that no other call has: for ids and keys.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What time it is in business.
    pub fn now(&self) -> Timestamp {
        self.local.simulator.clock().now()
    }

    /// Moves business time by so much (`90s`, `1h`, `31d`), doing all that falls due on Vercel's side.
    pub async fn advance(&self, by: &str) {
        self.control("POST", "/_sim/clock", json!({ "advance": by })).await.expect(200);
    }

    /// Moves business time to an instant.
    pub async fn advance_to(&self, to: &str) {
        self.control("POST", "/_sim/clock", json!({ "to": to })).await.expect(200);
    }

    /// Calls a scheduled path as the scheduler does.
    pub async fn cron(&self, path: &str) -> Value {
        let bearer = format!("Bearer {}", development::CRON_SECRET);
        self.send(self.request(Method::GET, path).header("authorization", bearer), "").await.expect(200).body
    }

    /// Calls the sweeper, after the longest pause between two tries.
    pub async fn sweep(&self) -> Value {
        self.advance("1h").await;
        self.cron("/cron/outbox").await
    }

    /// Vercel has had the answer to what it asked for: the sweeper carries it on.
    pub async fn answered(&self) -> Value {
        self.advance("5s").await;
        self.cron("/cron/outbox").await
    }

    /// Puts the store's door into a mood; [`FaultKind::None`] ends it.
    pub fn store_fails(&self, kind: FaultKind, every: u32) {
        self.local.faulty.set_plan(FaultPlan { kind, every });
    }

    /// Has the provider die, as far as the table can tell, after so many further commits.
    pub fn die_after(&self, commits: u64) {
        self.local.faulty.halt_after(Some(commits));
    }

    /// Brings it back to life, later by `seconds` of lease and of business time.
    pub async fn revive_after(&self, seconds: i64) {
        self.local.faulty.halt_after(None);
        self.lease.advance(seconds);
        self.advance(&format!("{seconds}s")).await;
    }

    /// Starts the provider anew, with nothing in memory, once the leases of the one that died are over.
    pub fn start_anew(&self, seconds: i64) {
        self.mortal.arm(None);
        self.lease.advance(seconds);
        let Self { local, recipe, lease, waits, mortal, watch, .. } = self;
        let router = Makings { local, recipe, lease, waits, mortal }.routes(watch);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// Ends the world: nothing may be owed, nothing armed, and the ledger must be Vercel's.
    pub async fn close(self) {
        self.close_leaving(&[]).await;
    }

    /// Ends the world of a test that leaves exactly these effects: the names of their kinds, sorted.
    pub async fn close_leaving(mut self, effects: &[&str]) {
        self.closed = true;
        self.local.faulty.halt_after(None);
        audit::left(&self, effects).await;
        audit::faults_are_spent(&self).await;
        audit::books(&self).await;
        audit::nothing_runs(&self).await;
        self.provisioner.is_spent();
        assert_eq!(self.watch.denied(), Vec::<String>::new(), "done against the policies of template.yaml");
        if let Some(repeats) = &self.repeats {
            let counts = repeats.counts();
            assert!(counts.sent > 0, "nothing was sent twice");
            assert_eq!(repeats.named(), Vec::<String>::new(), "second sends that changed something");
        }
        for server in &self.servers {
            server.abort();
        }
    }

    /// Ends the world in the middle of everything, and looks at nothing.
    pub fn leave(mut self) {
        self.closed = true;
        self.local.faulty.halt_after(None);
        for server in &self.servers {
            server.abort();
        }
    }

    /// Calls the simulator's control face.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Got {
        let url = format!("{}{path}", self.local.simulator_url);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = http::Request::builder().method(method).uri(url).header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request, &body).await
    }

    /// A request to the provider.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        http::Request::builder().method(method).uri(format!("{}{path}", self.url))
    }

    /// Sends anything anywhere.
    pub async fn send(&self, request: http::request::Builder, body: &str) -> Got {
        let request = request.body(bytes::Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let response = self.local.http.send(request, std::time::Duration::from_mins(1)).await.unwrap();
        Got::of(&response)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.closed || std::thread::panicking(), "a world is closed, so that what it leaves is looked at");
    }
}

/// What the functions under test are made of.
struct Makings<'a> {
    local: &'a Local,
    recipe: &'a Recipe,
    lease: &'a Arc<Hand>,
    waits: &'a Arc<Waits>,
    mortal: &'a Mortal,
}

impl Makings<'_> {
    /// All functions, as a platform serves them, and the routes of the test's own.
    fn routes(&self, watch: &Arc<Watch>) -> Router {
        let faulty = || self.local.faulty.clone();
        let own = ROUTERS.map(|(function, router)| {
            let watched = Arc::new(watch.of(function.name(), faulty()));
            let provider = self.provider(watched).only(function);
            watch.keep(function, provider.clone());
            router(&provider)
        });
        let extra = self.recipe.extra.map_or_else(Router::new, |extra| extra(&self.provider(Arc::new(faulty()))));
        self.mortal.cut(guarded("tradepost", own.into_iter().fold(extra, Router::merge)))
    }

    /// Local's provider, with doors, keys and a provisioner of the test's.
    fn provider(&self, backend: Arc<dyn Backend>) -> Provider {
        let Self { local, recipe, waits, mortal, .. } = *self;
        let from = &local.provider;
        let lease = LeaseClock(self.lease.clone());
        let clock = BusinessClock(local.simulator.clock());
        let catalog = recipe.catalog.clone();
        let mut configured = configured(&local.simulator_url, &recipe.provisioner_url, catalog).unwrap();
        configured.partners = Some(PartnerKeys::parse(&SecretString::from(partner::keys())).unwrap());
        configured.sign_on.as_mut().unwrap().dashboard_url.clone_from(&recipe.dashboard);
        let doors = Doors {
            store: Store::new(mortal.backend(backend), waits.clone(), from.entropy.clone()).without_ttl(),
            deadline: from.deadline,
            clock,
            lease,
            sleeper: waits.clone(),
            entropy: from.entropy.clone(),
        };
        configured.provider(&mortal.http(local.http.clone()), doors)
    }
}
