//! The processes: started, killed, started again at the same place; their lines as they come.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;
use tokio::sync::watch;
use tradepost_provider::settings::Function;
use tradepost_rehearsal::development;
use tradepost_store::embedded::TABLE_NAME;

use crate::MONTH_SEED;
use crate::front::Front;
use crate::support::process::{Environment, environment};
use crate::support::release;

/// By how much lease time is ahead of the wall after each kill: whoever held a lease is dead, and known to be.
const LEASE_STEP_SECONDS: i64 = 3600;
/// Lines at the beginning of each call out, so that kills come in the middle of requests.
const LOG: &str = "info,aws_smithy_runtime=debug,hyper_util=trace";
/// How often one is started that ends before it serves.
const STARTS_MAX: usize = 20;
/// How many of a process's last lines are shown if the test fails.
const SHOWN_LINES: usize = 30;

/// Who a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Name {
    Function(Function),
    Store,
    Vercel,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(function) => write!(f, "{function}"),
            Self::Store => f.write_str("the store"),
            Self::Vercel => f.write_str("Vercel"),
        }
    }
}

/// What happens, in the order in which it is told.
pub(crate) enum Line {
    /// An act of the month is over.
    Act(usize),
    /// A function has written a line.
    Log(Name),
}

/// Tells the acts.
pub(crate) struct Teller(Sender<Line>);

impl Teller {
    pub(crate) fn act(&self, n: usize) {
        println!("act {n} is over");
        let _ = self.0.send(Line::Act(n));
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) started: usize,
    /// Requests that were served to their end, by function.
    pub(crate) served: BTreeMap<String, usize>,
}

struct Inner {
    folder: PathBuf,
    running: Mutex<HashMap<Name, Child>>,
    /// Where each is, as a URL; none while it is not.
    places: Mutex<HashMap<Name, watch::Sender<Option<String>>>>,
    environment: Mutex<Environment>,
    last_lines: Mutex<HashMap<Name, Vec<String>>>,
    served: Mutex<BTreeMap<String, usize>>,
    started: AtomicUsize,
    lease_ahead: AtomicI64,
    lines: Mutex<Option<Sender<Line>>>,
}

/// All of them. Clones share them; killed with the last one.
#[derive(Clone)]
pub(crate) struct Processes(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The port of a URL on loopback.
fn port(url: &str) -> &str {
    url.rsplit(':').next().unwrap()
}

impl Processes {
    /// None yet; what they keep goes into the folder.
    pub(crate) fn at(folder: &Path) -> (Self, Receiver<Line>, Teller) {
        let (sender, lines) = channel();
        let functions = Function::ALL.map(Name::Function).into_iter();
        let names = functions.chain([Name::Store, Name::Vercel]);
        let inner = Inner {
            folder: folder.to_owned(),
            running: Mutex::default(),
            places: Mutex::new(names.map(|name| (name, watch::Sender::new(None))).collect()),
            environment: Mutex::default(),
            last_lines: Mutex::default(),
            served: Mutex::default(),
            started: AtomicUsize::new(0),
            lease_ahead: AtomicI64::new(0),
            lines: Mutex::new(Some(sender.clone())),
        };
        (Self(Arc::new(inner)), lines, Teller(sender))
    }

    /// Starts the store, Vercel, and then the functions.
    pub(crate) fn start_all(&self, front: &Front) {
        self.start(Name::Store);
        self.start(Name::Vercel);
        let (store, vercel) = (self.url(Name::Store), self.url(Name::Vercel));
        *lock(&self.0.environment) = environment([
            ("PORT", "0"),
            ("TRADEPOST_SIMULATION_CLOCK", &format!("{}/time", front.aside_url)),
            ("TRADEPOST_LOG", LOG),
            ("TRADEPOST_TABLE", TABLE_NAME),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &store),
            ("TRADEPOST_KEY_RING", development::KEY_RING),
            ("INTEGRATION_CLIENT_ID", development::CLIENT_ID),
            ("INTEGRATION_CLIENT_SECRET", development::CLIENT_SECRET),
            ("CRON_SECRET", development::CRON_SECRET),
            ("VERCEL_API_URL", &vercel),
            ("VERCEL_OIDC_ISSUER", &vercel),
            ("TRADEPOST_PARTNER_KEYS", &development::partner_keys()),
            ("TRADEPOST_PROVISIONER_URL", &format!("{}/provisioner", front.aside_url)),
            ("TRADEPOST_PROVISIONER_SECRET", development::PROVISIONER_SECRET),
        ]);
        for function in Function::ALL {
            self.start(Name::Function(function));
        }
    }

    /// The command that starts it: where it was before, if it was.
    fn command(&self, name: Name) -> Command {
        let before = lock(&self.0.places)[&name].borrow().clone();
        let listen = before.as_deref().map_or("127.0.0.1:0".to_owned(), |url| format!("127.0.0.1:{}", port(url)));
        let file = |name: &str| self.0.folder.join(name);
        let mut command = match name {
            Name::Function(function) => {
                let mut command = Command::new(release::simulation());
                command.arg(function.name());
                command
            }
            Name::Store => {
                let mut command = Command::new(release::tradepost());
                command.args(["dynamodb", "--json", "--listen", &listen, "--store"]).arg(file("month.db"));
                command
            }
            Name::Vercel => {
                let mut command = Command::new(release::tradepost());
                let seed = MONTH_SEED.to_string();
                command.args(["simulate", "--json", "--frozen", "--start", "2027-01-01T00:00:00Z"]);
                command.args(["--seed", &seed, "--listen", &listen, "--store"]).arg(file("month.db.vercel"));
                command
            }
        };
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if let Name::Function(_) = name {
            command.envs(lock(&self.0.environment).iter().map(|(name, value)| (name, value)));
        }
        command
    }

    /// Starts one, and comes back when it serves.
    fn start(&self, name: Name) {
        let (child, mut lines, url) = (0..STARTS_MAX)
            .find_map(|_| self.try_start(name))
            .unwrap_or_else(|| panic!("{name} ended {STARTS_MAX} times before it served"));
        lock(&self.0.running).insert(name, child);
        self.0.started.fetch_add(1, Ordering::Relaxed);
        let processes = self.clone();
        thread::spawn(move || lines.by_ref().for_each(|line| processes.heard(name, line)));
        lock(&self.0.places)[&name].send_replace(Some(url));
    }

    /// None if it ends before it serves: a connection that somebody tries to make may have its port for a moment.
    fn try_start(&self, name: Name) -> Option<(Child, impl Iterator<Item = String> + Send + 'static, String)> {
        let mut child = self.command(name).spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let Some(url) = lines.find_map(|line| served_at(&line)) else {
            child.wait().unwrap();
            return None;
        };
        Some((child, lines, url))
    }

    fn heard(&self, name: Name, line: String) {
        if let Some(lines) = &*lock(&self.0.lines) {
            let _ = lines.send(Line::Log(name));
        }
        if line.contains(r#""message":"request""#) {
            *lock(&self.0.served).entry(name.to_string()).or_default() += 1;
        }
        let mut all = lock(&self.0.last_lines);
        let last = all.entry(name).or_default();
        last.push(line);
        let extra = last.len().saturating_sub(SHOWN_LINES);
        last.drain(..extra);
    }

    /// Kills one by SIGKILL, and starts it again.
    pub(crate) fn kill(&self, name: Name) {
        let mut child = lock(&self.0.running).remove(&name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if let Name::Function(_) = name {
            lock(&self.0.places)[&name].send_replace(None);
        }
        self.0.lease_ahead.fetch_add(LEASE_STEP_SECONDS, Ordering::SeqCst);
        self.start(name);
    }

    /// Where it is, or was last.
    pub(crate) fn url(&self, name: Name) -> String {
        lock(&self.0.places)[&name].borrow().clone().unwrap()
    }

    /// Where it is, once it is.
    pub(crate) async fn place(&self, name: Name) -> String {
        let mut place = lock(&self.0.places)[&name].subscribe();
        let place = place.wait_for(Option::is_some).await.unwrap();
        place.clone().unwrap()
    }

    pub(crate) fn lease_ahead_seconds(&self) -> i64 {
        self.0.lease_ahead.load(Ordering::SeqCst)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { started: self.0.started.load(Ordering::Relaxed), served: lock(&self.0.served).clone() }
    }

    /// Ends all of them.
    pub(crate) fn stop_all(&self) {
        lock(&self.0.lines).take();
        for (_, mut child) in lock(&self.0.running).drain() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a process says when it serves.
fn served_at(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let url = line.get("dynamodb").or(line.get("simulator")).and_then(Value::as_str).map(str::to_owned);
    url.or_else(|| Some(format!("http://{}", line["server.address"].as_str()?)))
}

impl fmt::Display for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, lines) in lock(&self.0.last_lines).iter() {
            writeln!(f, "{name} wrote last:\n{}", lines.join("\n"))?;
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for child in lock(&self.running).values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
