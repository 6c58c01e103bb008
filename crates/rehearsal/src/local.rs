//! One process with everything in it: embedded DynamoDB, simulated Vercel, provider with all flows, demo provisioner.
//!
//! Used by `dev`, by `demo` and by tests that need the whole. The parts talk over sockets only; what they share in
//! memory is the simulator's clock, which is the provider's business clock. With a store file each part keeps
//! its own beside it (`FILE`, `FILE.vercel`, `FILE.provisioner`), each journaled before it answers, so the process
//! may be killed at any instant and opened again. Fails when an address is taken or off loopback, when a file is
//! in use or of another seed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::serve::ListenerExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tradepost_host::guarded;
use tradepost_marketplace::doors::{
    BusinessClock, Clock, LeaseClock, Sleeper as _, SystemClock, SystemEntropy, SystemSleeper,
};
use tradepost_marketplace::http_door::{HttpDoor, Network};
use tradepost_provider::catalog::Catalog;
use tradepost_provider::{Doors, Provider, flows};
use tradepost_simulator::{ClockMode, Options as SimulatorOptions, Simulator};
use tradepost_store::{DynamoBackend, Embedded, Faulty, Store, Where};

use crate::canaries::Canaries;
use crate::control::Control;
use crate::development;
use crate::provisioner::DemoProvisioner;
use crate::whole::{REQUEST_DEADLINE, configured};

/// How long open requests may take to end after the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much later the lease clock is at each start on the same files: the leases of a killed process are over, since
/// the lock on the store says that it is gone.
const LEASE_STEP: SignedDuration = SignedDuration::from_hours(1);

/// The file that an option of the form `memory|FILE` names, if it names one.
pub fn file(kept_in: &Path) -> Option<&Path> {
    (kept_in.as_os_str() != "memory").then_some(kept_in)
}

/// Where the table is kept: in memory, without a file.
pub fn place(file: Option<&Path>) -> Where {
    file.map_or(Where::Memory, |file| Where::File(file.to_owned()))
}

/// What to open.
#[derive(Clone)]
pub struct Options {
    /// Where the provider is served; port 0 takes a free one, as everywhere.
    pub provider: SocketAddr,
    /// Where the simulator is served.
    pub simulator: SocketAddr,
    /// Where the embedded DynamoDB is served.
    pub dynamodb: SocketAddr,
    /// Where to keep everything; in memory without.
    pub store: Option<PathBuf>,
    /// What the simulator and the demo provisioner derive ids and secrets from.
    pub seed: u64,
    /// How time passes.
    pub clock: ClockMode,
    /// A catalog's text; the repository's without. Plans that are not served yet are taken, so that they can be tested:
    /// whoever passes a catalog on checks it ([`served_catalog`](tradepost_provider::settings::served_catalog)).
    pub catalog: Option<String>,
    /// Who is told every secret.
    pub canaries: Canaries,
}

impl Options {
    /// Free ports, in memory, the repository's catalog.
    pub fn new(seed: u64, clock: ClockMode) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let canaries = Canaries::default();
        Self { provider: free, simulator: free, dynamodb: free, store: None, seed, clock, catalog: None, canaries }
    }
}

/// Everything, running. [`Local::close`] ends it; dropped, it ends without waiting.
pub struct Local {
    /// The provider's URL.
    pub provider_url: String,
    /// The simulator's URL: both faces.
    pub simulator_url: String,
    /// The embedded DynamoDB's URL.
    pub dynamodb_url: String,
    /// The simulator.
    pub simulator: Simulator,
    /// The demo provisioner.
    pub provisioner: DemoProvisioner,
    /// The provider.
    pub provider: Provider,
    /// The door between the provider and its store: counts commits, injects faults.
    pub faulty: Faulty,
    /// The same table without the door, for looking.
    pub bare: Store,
    /// The simulator's control face.
    pub control: Control,
    /// The network as everybody here uses it.
    pub http: HttpDoor,
    servers: Vec<Server>,
    embedded: Embedded,
}

/// Reads an address such as `127.0.0.1:3210` or `localhost:0`.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "not an address such as 127.0.0.1:3210; port 0 takes a free one".to_owned())
}

/// The same, and refuses what others could reach.
pub fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address = parse_address(text)?;
    development::check_loopback(&[address]).map(|()| address).map_err(|error| error.to_string())
}

/// Takes an address.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("{address} cannot be taken; stop what is there, or name another (port 0: any free one)")
    })
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr().context("a listener has no address")?))
}

/// `FILE.suffix`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Lease time that is ahead of the wall.
struct Ahead(SignedDuration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.checked_add(self.0).unwrap_or(now)
    }
}

/// One HTTP server of this process.
struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves a router with a graceful stop.
    fn of_router(listener: TcpListener, router: Router) -> Self {
        let (stop, stopping) = watch::channel(false);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(until(stopping)).await;
            if let Err(error) = served {
                tracing::error!(error = %error, "a local server failed");
            }
        });
        Self { stop, task }
    }

    fn of_simulator(listener: TcpListener, simulator: Simulator) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(async move {
            if let Err(error) = simulator.serve(listener, until(stopping)).await {
                tracing::error!(error = %error, "the simulator cannot serve");
            }
        });
        Self { stop, task }
    }

    async fn stop(mut self) {
        let _ = self.stop.send(true);
        tokio::select! {
            _ = &mut self.task => {}
            () = SystemSleeper.sleep(STOP_TIMEOUT) => self.task.abort(),
        }
    }
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // A dropped sender means stop, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

impl Local {
    /// Opens everything. The provider is not registered at the simulator yet: [`Local::register`].
    pub async fn open(options: Options) -> anyhow::Result<Self> {
        development::check_loopback(&[options.provider, options.simulator, options.dynamodb])?;
        let catalog = options.catalog.as_deref().unwrap_or(development::CATALOG);
        let catalog = Catalog::parse(catalog).context("the catalog cannot be used")?;
        let at_provider = bind(options.provider).await?;
        let at_simulator = bind(options.simulator).await?;
        let at_dynamodb = bind(options.dynamodb).await?;
        let at_provisioner = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        // First: its lock is what keeps a second process off all three files.
        let embedded = Embedded::start(place(options.store.as_deref()), at_dynamodb).await?;

        let vercel_file = options.store.as_deref().map(|file| beside(file, ".vercel"));
        let simulator =
            Simulator::open(SimulatorOptions { seed: options.seed, store: vercel_file, clock: options.clock })?;
        simulator.on_secret(options.canaries.hook());
        let clock = BusinessClock(simulator.clock());
        let provisioner_file = options.store.as_deref().map(|file| beside(file, ".provisioner"));
        let provisioner = DemoProvisioner::open(
            provisioner_file.as_deref(),
            options.seed,
            clock.clone(),
            development::PROVISIONER_SECRET,
            options.canaries.clone(),
        )?;
        let ahead = i32::try_from(provisioner.starts().saturating_sub(1)).unwrap_or(i32::MAX);
        let lease = LeaseClock(Arc::new(Ahead(LEASE_STEP.checked_mul(ahead).unwrap_or(SignedDuration::ZERO))));

        let (provider_url, simulator_url) = (url(&at_provider)?, url(&at_simulator)?);
        let provisioner_url = url(&at_provisioner)?;
        let http: HttpDoor = Arc::new(Network::new("Tradepost-Local/1.0").context("there is no HTTP client")?);
        let backend = Arc::new(DynamoBackend::new(embedded.config()));
        let faulty = Faulty::counting(backend.clone());
        let (sleeper, entropy) = (Arc::new(SystemSleeper), Arc::new(SystemEntropy));
        let doors = Doors {
            store: Store::new(Arc::new(faulty.clone()), sleeper.clone(), entropy.clone()).without_ttl(),
            deadline: REQUEST_DEADLINE,
            clock,
            lease,
            sleeper,
            entropy,
        };
        let provider = configured(&simulator_url, &provisioner_url, catalog)?.provider(&http, doors);
        let bare = Store::new(backend, Arc::new(SystemSleeper), Arc::new(SystemEntropy)).without_ttl();

        let routes = guarded("tradepost", flows::all(&provider));
        let servers = vec![
            Server::of_simulator(at_simulator, simulator.clone()),
            Server::of_router(at_provisioner, provisioner.router()),
            Server::of_router(at_provider, routes),
        ];
        let control = Control::new(http.clone(), &simulator_url);
        control.ready().await?;
        let dynamodb_url = embedded.url.clone();
        Ok(Self {
            provider_url,
            simulator_url,
            dynamodb_url,
            simulator,
            provisioner,
            provider,
            faulty,
            bare,
            control,
            http,
            servers,
            embedded,
        })
    }

    /// Registers the provider at the simulator; every request is sent `repeat` times.
    pub async fn register(&self, repeat: u32) -> anyhow::Result<()> {
        self.control.register(&self.provider_url, repeat).await
    }

    /// Ends everything: open requests first, then the store.
    pub async fn close(self) {
        for server in self.servers {
            server.stop().await;
        }
        self.embedded.stop().await;
    }
}
