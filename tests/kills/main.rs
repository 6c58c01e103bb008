//! The month of `tradepost demo` as processes: each function a release process of its own, the embedded DynamoDB
//! another, the simulated Vercel another. Twenty times one of them is killed by SIGKILL in the middle of its work, and
//! started again. The month balances to the cent.
//!
//! A kill is drawn from the seed: after which act of the month, after how many further lines of the functions' logs,
//! and whom: whoever wrote that line and so is at work just then, or the store, or Vercel. No time is waited for
//! anywhere. The test process is the platform ([`front`]: routes as `vercel.json` does, starts what is dead), the
//! customer, the partner system and the provisioner. `TRADEPOST_KILLS_SEED` plays another seed; the seed is printed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the seed and the kills are told")]

mod front;
mod plan;
mod processes;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use tradepost_marketplace::doors::{Environment as _, ProcessEnvironment, SystemEntropy, SystemSleeper};
use tradepost_marketplace::http_door::{HttpDoor, Network};
use tradepost_rehearsal::control::Control;
use tradepost_rehearsal::demo::{self, Event, Site};
use tradepost_store::connect::{DynamoConfig, DynamoCredentials, Identity};
use tradepost_store::embedded::TABLE_NAME;
use tradepost_store::{DynamoBackend, Store};

use front::Front;
use plan::{Kill, Whom};
use processes::{Line, Name, Processes};

/// The seed of the plan, without another.
const SEED: u64 = 1;
/// How often somebody is killed.
const KILLS: usize = 20;
/// What the month is drawn from.
const MONTH_SEED: u64 = 7;
/// How long nothing at all may happen.
const SILENCE_MAX: Duration = Duration::from_mins(3);

/// Kills as planned, on the lines as they come; who was killed, in order.
fn kill_all(processes: &Processes, plan: &[Kill], lines: &Receiver<Line>) -> Vec<Name> {
    let mut killed = Vec::new();
    let mut acts = 0;
    for kill in plan {
        let mut left = kill.lines;
        let writer = loop {
            match lines.recv_timeout(SILENCE_MAX) {
                Ok(Line::Act(n)) => acts = n,
                Ok(Line::Log(name)) if acts >= kill.act => {
                    left -= 1;
                    if left == 0 {
                        break name;
                    }
                }
                Ok(Line::Log(_)) => {}
                // The month is over, or stands still: the test tells which.
                Err(_) => return killed,
            }
        };
        let victim = match kill.whom {
            Whom::AtWork => writer,
            Whom::Store => Name::Store,
            Whom::Vercel => Name::Vercel,
        };
        println!("after act {} and {} lines: {victim} is killed", kill.act, kill.lines);
        processes.kill(victim);
        killed.push(victim);
    }
    killed
}

/// The table as it is, for looking.
fn table(url: &str) -> Store {
    let any = || "any".to_owned();
    let credentials = DynamoCredentials { access_key_id: any(), secret_access_key: any().into(), session_token: None };
    let config = DynamoConfig {
        table: TABLE_NAME.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(url.to_owned()),
        identity: Identity::fixed(credentials),
    };
    let backend = Arc::new(DynamoBackend::new(config));
    Store::new(backend, Arc::new(SystemSleeper), Arc::new(SystemEntropy)).without_ttl()
}

#[test]
fn a_month_with_twenty_kills_balances() {
    let seed = ProcessEnvironment.var("TRADEPOST_KILLS_SEED").map_or(SEED, |text| text.parse().unwrap());
    println!("TRADEPOST_KILLS_SEED={seed}");
    let plan = plan::drawn(seed, KILLS);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (processes, lines, told) = Processes::at(folder.path());
    let http: HttpDoor = Arc::new(Network::new("Tradepost-Kills/1.0").unwrap());
    let front = runtime.block_on(Front::open(processes.clone(), http.clone(), MONTH_SEED));
    processes.start_all(&front);
    let control = Control::new(http.clone(), &processes.url(Name::Vercel));
    let site = Site {
        provider_url: front.url.clone(),
        control: control.clone(),
        http,
        bare: table(&processes.url(Name::Store)),
        provisioner: front.provisioner.clone(),
    };
    let reaper = thread::spawn({
        let processes = processes.clone();
        move || kill_all(&processes, &plan, &lines)
    });
    let report = runtime.block_on(async {
        control.register(&front.url, 1).await.unwrap();
        let mut watch = |event: Event<'_>| {
            if let Event::Act(act) = event {
                told.act(act.n);
            }
        };
        demo::run_on(&site, MONTH_SEED, &mut watch).await
    });
    drop(told);
    let counts = processes.counts();
    let report = report.unwrap_or_else(|error| panic!("{error:#}\n{processes}"));
    processes.stop_all();
    let killed = reaper.join().unwrap();
    let (kills, cut_off) = (killed.len(), front.cut_off());
    println!("{kills} kills, {cut_off} of a function in the middle of a request: {killed:?}");
    println!("{} processes; requests served: {:?}", counts.started, counts.served);
    assert_eq!(report.differences, Vec::<String>::new());
    assert!(report.balanced && report.invoices.len() == 2 && report.refunds.len() == 1);
    assert_eq!(killed.len(), KILLS);
    let functions = killed.iter().filter(|name| matches!(name, Name::Function(_))).count();
    assert!(functions >= KILLS / 2, "hardly a function was killed: {killed:?}");
    assert!(cut_off >= functions / 2, "hardly a request lost its function");
}
