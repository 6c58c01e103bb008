#![doc = include_str!("../README.md")]

mod clock;
mod control;
mod cron;
mod derive;
mod engine;
mod face;
mod faults;
mod journal;
mod json;
mod keys;
mod model;
mod partner;
mod port;
mod refusal;
mod requests;
mod rules;
mod serve;
mod switches;
mod table;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tradepost_marketplace::doors::Clock;
use tradepost_marketplace::http_door::{HttpDoor, Network};

use crate::clock::SimulatedClock;
use crate::keys::Signer;
use crate::requests::RequestLog;
use crate::world::Store;

pub use crate::clock::{ClockMode, DEFAULT_START_SECONDS};
pub use crate::rules::{RULES, Rule};

/// How to open a simulator.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What all ids, tokens, codes and draws are derived from.
    pub seed: u64,
    /// The journal's file; without one the state dies with the simulator.
    pub store: Option<PathBuf>,
    /// How simulated time passes. With a journal, its last instant counts instead of `start`.
    pub clock: ClockMode,
}

/// Why a simulator cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be read or written.
    #[error("the journal {} cannot be used: {cause}", path.display())]
    Store {
        /// The journal's file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        cause: io::Error,
    },
    /// A line of the journal makes no sense, and it is not a torn last one.
    #[error("line {line} of the journal {} is damaged; delete the file to start anew", path.display())]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The journal was begun with another seed.
    #[error("the journal {} was begun with another seed; open it with that seed, or delete it", path.display())]
    OtherSeed {
        /// The journal's file.
        path: PathBuf,
    },
    /// The development key or the HTTP client cannot be made.
    #[error("the simulator cannot be set up: {0}")]
    Setup(String),
}

/// When a repeat hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatMoment {
    /// Just before an extra send.
    Before,
    /// Just after it was answered, or was not.
    After,
}

/// One extra send of a request to the provider (`repeat` of `POST /_sim/partner`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat<'a> {
    /// Before or after the extra send.
    pub moment: RepeatMoment,
    /// The request's method.
    pub method: &'a str,
    /// The request's path at the provider, with its query, without its base URL.
    pub path: &'a str,
    /// The status of the first send, which is the one that counts; `None` if there was no answer.
    pub first_status: Option<u16>,
    /// The status of this extra send: `None` before it, and if there was no answer.
    pub status: Option<u16>,
}

/// Called around every extra send. A request and its repeats are sent before any other request to the provider.
pub type RepeatHook = Arc<dyn Fn(&Repeat<'_>) + Send + Sync>;
/// Told every token, JWT, sign-on code and webhook signature that the simulator makes.
pub type SecretHook = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Hooks {
    repeat: Option<RepeatHook>,
    secret: Option<SecretHook>,
}

pub(crate) struct Inner {
    store: Store,
    clock: Arc<SimulatedClock>,
    signer: Signer,
    network: HttpDoor,
    log: RequestLog,
    /// The simulator's own URL: the OIDC issuer.
    address: Mutex<String>,
    hooks: Mutex<Hooks>,
    /// Held by whoever does what is due.
    pump: tokio::sync::Mutex<()>,
    /// Held while a request and its repeats are sent.
    repeating: tokio::sync::Mutex<()>,
    /// Set while `/_sim/clock` is moving time.
    advancing: AtomicBool,
    /// Tells the background that something is due now.
    wake: Notify,
    /// Idempotency keys of the control calls under way.
    busy: Mutex<BTreeSet<String>>,
}

/// A simulated Vercel. Cheap to clone: clones are handles of the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// Opens a simulator: reads its journal, if it has one, and is ready to be served.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let network = Network::new("Vercel-Simulator/1.0 (tradepost)");
        let network = network.map_err(|error| OpenError::Setup(error.to_string()))?;
        Self::open_with(options, Arc::new(network))
    }

    /// Opens a simulator whose calls to the provider go through `network`.
    pub fn open_with(options: Options, network: HttpDoor) -> Result<Self, OpenError> {
        let setup = |error: &dyn fmt::Display| OpenError::Setup(error.to_string());
        let clock = Arc::new(SimulatedClock::new(options.clock, options.clock.start()));
        let store = Store::open(options.seed, options.store, clock.clone())?;
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            signer: Signer::new().map_err(|error| setup(&error))?,
            network,
            log: RequestLog::default(),
            address: Mutex::new(String::new()),
            hooks: Mutex::default(),
            pump: tokio::sync::Mutex::new(()),
            repeating: tokio::sync::Mutex::new(()),
            advancing: AtomicBool::new(false),
            wake: Notify::new(),
            busy: Mutex::default(),
        })))
    }

    /// The simulated clock: give it to the provider as its business clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock.clone()
    }

    /// Serves both faces on `listener` until `shutdown` completes, then lets open requests end. The
    /// listener's address becomes the OIDC issuer.
    pub async fn serve<F>(&self, listener: TcpListener, shutdown: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        serve::serve(self.0.clone(), listener, shutdown).await
    }

    /// Both faces without a socket, for simulations in one thread. `address` is what they are called by: it becomes the
    /// OIDC issuer. Only a frozen clock is served so: nothing runs between the calls.
    pub fn port(&self, address: &str) -> HttpDoor {
        Arc::new(port::open(self.0.clone(), address))
    }

    /// Has `hook` called around every extra send. Replaces the hook before.
    pub fn on_repeat(&self, hook: RepeatHook) {
        lock(&self.0.hooks).repeat = Some(hook);
    }

    /// Has `hook` told every token, JWT, sign-on code and webhook signature made from now on, so that a
    /// test can look for them where they must not be. Replaces the hook before.
    pub fn on_secret(&self, hook: SecretHook) {
        lock(&self.0.hooks).secret = Some(hook);
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn issuer(&self) -> String {
        lock(&self.address).clone()
    }

    /// Tells the hook a secret, and passes it on.
    pub(crate) fn tell(&self, secret: String) -> String {
        let hook = lock(&self.hooks).secret.clone();
        if let Some(hook) = hook {
            hook(&secret);
        }
        secret
    }
}
