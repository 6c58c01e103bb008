//! One customer's month on the simulator's clock, every byte through the real paths, judged to the cent.
//!
//! [`script`] says who does what when, `play` does it, [`referee`] knows what it must cost, `audit` compares the
//! referee, Vercel's state and our ledger, [`statement`] tells. A run on a store file that is killed goes on
//! when it is started again with the same arguments: the simulator's clock, which is journaled, says what is
//! done; the step it stopped in is made again, under the same keys. What fails: a step that does not go through in
//! any of its tries is an error; whatever is not as expected is a difference, and the month does not balance.

mod audit;
mod browser;
mod partner;
mod play;
pub mod readings;
pub mod referee;
pub mod repeats;
mod requests;
pub mod script;
pub mod site;
pub mod statement;
pub mod usage_csv;
mod vercel;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use tradepost_provider::settings::served_catalog;
use tradepost_simulator::ClockMode;
use tradepost_store::{FaultKind, FaultPlan};

use crate::canaries::Canaries;
use crate::local::{self, Local};
use audit::{Books, Judge};
use play::Play;
use readings::Reading;
use repeats::Repeats;
use requests::{CODES, INVOICES, Requests};
use script::Doing;
pub use site::Site;
pub use statement::{Act, Faults, Report};
use vercel::State;

/// How often every request is sent with `repeat`.
const SENDS: u32 = 2;

/// A fault to inject, and how often: `vercel:reset_after/10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// On calls to Vercel, by the simulator: `reset_after`, `reset_before`, `status` …
    Vercel {
        /// The simulator's name of it.
        kind: String,
        /// At every so-many-th call.
        every: u32,
    },
    /// On calls to the store.
    Store(FaultPlan),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "such as vercel:reset_after/10 or store:conflict/10";
        let (kind, every) = text.split_once('/').ok_or_else(|| format!("not of the form {form}"))?;
        let every =
            every.parse().ok().filter(|every| *every > 0).ok_or_else(|| format!("{every:?} is no count, {form}"))?;
        let kinds = "conflict, throttled, timeout_before, timeout_after or stale_index";
        let kind = match kind.split_once(':') {
            Some(("vercel", kind @ ("reset_after" | "reset_before" | "status" | "foreign"))) => {
                return Ok(Self::Vercel { kind: kind.to_owned(), every });
            }
            Some(("store", "conflict")) => FaultKind::Conflict,
            Some(("store", "throttled")) => FaultKind::Throttled,
            Some(("store", "timeout_before")) => FaultKind::TimeoutBefore,
            Some(("store", "timeout_after")) => FaultKind::TimeoutAfter,
            Some(("store", "stale_index")) => FaultKind::StaleIndex,
            _ => {
                return Err(format!(
                    "vercel: takes reset_after, reset_before, status or foreign; store: takes {kinds}"
                ));
            }
        };
        Ok(Self::Store(FaultPlan { kind, every }))
    }
}

/// How to play the month.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What ids, secrets and usage are drawn from.
    pub seed: u64,
    /// Readings from a CSV file instead of drawn ones.
    pub usage: Option<PathBuf>,
    /// Keep everything in this file and those beside it.
    pub store: Option<PathBuf>,
    /// Another catalog than the repository's. The referee's prices stay what they are.
    pub catalog: Option<PathBuf>,
    /// Faults to inject. The store takes one.
    pub faults: Vec<Fault>,
    /// Send every request twice.
    pub repeat: bool,
    /// Write every secret into this file.
    pub canaries: Option<PathBuf>,
}

/// What the caller may watch.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// An act is over.
    Act(&'a Act),
    /// So many steps of all are done.
    Steps(usize, usize),
}

/// Plays the month.
pub async fn run(options: &Options, watch: &mut (dyn FnMut(Event<'_>) + Send)) -> anyhow::Result<Report> {
    let readings = match &options.usage {
        Some(path) => usage_csv::read(path)?,
        None => readings::drawn(options.seed),
    };
    let canaries = options.canaries.as_deref().map(Canaries::to).transpose()?.unwrap_or_default();
    let read_catalog = |path: &PathBuf| {
        let named = || format!("the catalog {}", path.display());
        let text = std::fs::read_to_string(path).with_context(named)?;
        served_catalog(&text).map_err(anyhow::Error::msg).with_context(named)?;
        anyhow::Ok(text)
    };
    let local = Local::open(local::Options {
        store: options.store.clone(),
        catalog: options.catalog.as_ref().map(read_catalog).transpose()?,
        canaries: canaries.clone(),
        ..local::Options::new(options.seed, ClockMode::default())
    })
    .await?;
    let report = month(options, &local, &readings, &canaries, watch).await;
    local.close().await;
    report
}

async fn month(
    options: &Options,
    local: &Local,
    readings: &[Reading],
    canaries: &Canaries,
    watch: &mut (dyn FnMut(Event<'_>) + Send),
) -> anyhow::Result<Report> {
    let is_whole = local.control.now().await? == script::start();
    let repeats = options.repeat.then(|| Repeats::new(local.faulty.clone()));
    if let Some(repeats) = &repeats {
        local.simulator.on_repeat(repeats.hook());
    }
    local.register(if options.repeat { SENDS } else { 1 }).await?;
    arm(local, &options.faults).await?;
    let site = Site::of(local);
    let mut play = Play::new(&site, options.seed, readings, canaries, repeats.as_ref())?;
    let acts = acts(&mut play, watch).await?;
    let requests = Requests::of(&local.control).await?;
    let faults = injected(local, &requests).await?;
    play.differences.extend(repeats.iter().flat_map(Repeats::named));
    if options.faults.is_empty() && is_whole {
        play.differences.extend(requests.pushes_missing());
    }
    let mut report = judged(play, acts, options.seed).await?;
    report.repeats = repeats.map(|repeats| repeats.counts());
    report.faults = faults;
    Ok(report)
}

/// Plays the month on a site where the provider is registered at the simulator. Hours without a push are no difference,
/// since parts of the site may be down for a while; everything else is judged as ever.
pub async fn run_on(site: &Site, seed: u64, watch: &mut (dyn FnMut(Event<'_>) + Send)) -> anyhow::Result<Report> {
    let readings = readings::drawn(seed);
    let mut play = Play::new(site, seed, &readings, &Canaries::default(), None)?;
    let acts = acts(&mut play, watch).await?;
    judged(play, acts, seed).await
}

/// Judges a month that is over.
async fn judged(play: Play<'_>, acts: Vec<Act>, seed: u64) -> anyhow::Result<Report> {
    let Play { site, readings, installation, resources, differences, .. } = play;
    let state = State::of(&site.control, &installation).await?;
    let books = Books::of(site, &installation).await?;
    let judge = Judge { state: &state, books: &books, readings, resources: &resources, differences };
    let mut differences = judge.judge();
    if let Err(why) = audit::settled(site, &installation).await? {
        differences.push(why);
    }
    let mut told = BTreeSet::new();
    differences.retain(|difference| told.insert(difference.clone()));
    Ok(Report {
        acts,
        balanced: differences.is_empty(),
        charges: statement::charges(&audit::expected(readings)),
        invoices: statement::invoices(&state, &resources),
        ledger: statement::ledger(&books),
        refunds: statement::refunds(&state),
        repeats: None,
        seed,
        usage: audit::usage(readings),
        vercel: statement::vercel(&state),
        differences,
        faults: Faults::default(),
    })
}

/// Makes every step that is not done, and tells every act.
async fn acts(play: &mut Play<'_>, watch: &mut (dyn FnMut(Event<'_>) + Send)) -> anyhow::Result<Vec<Act>> {
    let now = play.site.control.now().await?;
    let steps = script::steps();
    let mut acts: Vec<Act> = Vec::new();
    for (done, step) in steps.iter().enumerate() {
        match step.doing {
            _ if !step.is_done(now) => play.make(step).await?,
            // Made again for what they answer; the simulator has kept it.
            Doing::Install => play.install().await?,
            Doing::Provision => play.provision().await?,
            _ => {}
        }
        if step.ends_act {
            let (name, outcome) = (script::name(step.doing), play::outcome(step.doing, play.readings));
            let act = Act { at: step.at, n: acts.len() + 1, name, outcome };
            watch(Event::Act(&act));
            acts.push(act);
        }
        watch(Event::Steps(done + 1, steps.len()));
    }
    Ok(acts)
}

/// Arms what is asked for, and disarms what an earlier run left.
async fn arm(local: &Local, faults: &[Fault]) -> anyhow::Result<()> {
    let mut at_vercel = Vec::new();
    for fault in faults {
        match fault {
            Fault::Vercel { kind, every } => at_vercel.push(json!({ "match": {}, "fault": kind, "every": every })),
            Fault::Store(plan) => local.faulty.set_plan(*plan),
        }
    }
    local.control.act("PUT", "/_sim/faults", None, &json!(at_vercel)).await.map(|_| ())
}

#[derive(Deserialize)]
struct Armed {
    fault: Kind,
    fired: u64,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

async fn injected(local: &Local, requests: &Requests) -> anyhow::Result<Faults> {
    let armed: Vec<Armed> = local.control.get("/_sim/faults").await?.read()?;
    let vercel = armed.iter().map(|fault| fault.fired).sum();
    let kinds: Vec<&str> = armed.iter().map(|fault| fault.fault.kind.as_str()).collect();
    let (money, codes) = (requests.struck(INVOICES, &kinds), requests.struck(CODES, &kinds));
    Ok(Faults { vercel, money, codes, store: local.faulty.injected() })
}
