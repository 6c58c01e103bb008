//! One history, from its beginning to its judgement.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::acts::{Act, Call, Meant, customer, partner, perform};
use super::bill::month_end;
use super::check;
use super::dice::{Dice, Stream};
use super::fate::Weather;
use super::model::Customer;
use super::sabotage::Sabotage;
use super::stage::Stage;
use super::{History, audit, unknowns};

/// The span after [`BEGIN`] in which a history begins.
const BEGIN_SPAN_SECONDS: i64 = 28 * 24 * 3600;
/// The first instant at which a history may begin.
const BEGIN: &str = "2027-01-01T00:00:00Z";
/// What the scheduler calls.
const CRONS: [&str; 4] = ["/cron/billing", "/cron/outbox", "/cron/invoices", "/cron/secrets"];
/// For how many hours the calm at the end may last.
const CALM_HOURS_MAX: usize = 120;
/// How often the table is looked into while the history goes on.
const LOOK_EVERY: usize = 6;

/// A history being played.
pub(super) struct Play {
    pub(super) stage: Stage,
    pub(super) customers: Vec<Customer>,
    pub(super) script: Stream,
    dice: Dice,
    sabotage: Option<Sabotage>,
    numbers: u64,
    violations: Vec<String>,
    /// What Vercel will ask again, since nobody has answered.
    pub(super) pending: Vec<Act>,
}

/// Plays a history.
pub(super) async fn history(seed: u64, sabotage: Option<Sabotage>) -> anyhow::Result<History> {
    let dice = Dice::new(seed);
    let mut script = Stream::new(dice, "script");
    let begin: Timestamp = BEGIN.parse()?;
    let begin = begin.checked_add(SignedDuration::from_secs(script.between(1, BEGIN_SPAN_SECONDS)))?;
    let stage = Stage::open(seed, begin, sabotage).await?;
    let (customers, violations) = (Vec::new(), Vec::new());
    let pending = Vec::new();
    let mut play = Play { stage, customers, script, dice, sabotage, numbers: 0, violations, pending };
    play.all().await?;
    let Play { stage, violations, .. } = play;
    for violation in &violations {
        stage.fate.tell(&format!("VIOLATION {violation}"));
    }
    Ok(History {
        seed,
        violations,
        counts: stage.fate.counts(),
        digest: stage.fate.digest(),
        trace: stage.fate.trace(),
    })
}

impl Play {
    /// Notes a violation.
    pub(super) fn wrong(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        self.install().await?;
        let steps = 24 + self.script.below(40);
        for step in 1..=steps {
            self.stage.fate.begin_step(step);
            let weather = self.weather();
            self.stage.fate.set_weather(weather);
            self.step(u64::try_from(step)?).await?;
            if step % LOOK_EVERY == 0 {
                audit::look(self).await?;
            }
            let state = check::state(&self.stage).await?;
            for what in check::all(&self.stage, &self.customers, &state) {
                self.wrong(what);
            }
            if !self.violations.is_empty() {
                break;
            }
        }
        self.stage.fate.count("steps", u64::try_from(steps)?);
        self.stage.fate.begin_step(steps + 1);
        self.finale().await
    }

    /// A customer installs and buys, in good weather: histories begin somewhere.
    pub(super) async fn install(&mut self) -> anyhow::Result<()> {
        self.stage.fate.set_weather(Weather::CALM);
        let key = format!("k{}", self.number());
        let act = customer("install".to_owned(), "POST", "/_sim/installations".to_owned(), key, json!({}));
        self.make(vec![act.meant(Meant::Install).tries(9)]).await?;
        let last = self.customers.len().saturating_sub(1);
        for _ in 0..=self.script.below(2) {
            let act = self.provision(last);
            self.make(act.into_iter().map(|act| act.tries(9)).collect()).await?;
        }
        Ok(())
    }

    fn weather(&mut self) -> Weather {
        let level = self.script.below(10);
        let (network, store, crash) = match level {
            0..=2 => (0, 0, 0),
            3..=6 => (150, 40, 20),
            7..=8 => (800, 200, 80),
            _ => (2_500, 600, 200),
        };
        let vercel_is_down = self.script.chance(3);
        let provisioner_is_down = self.script.chance(3);
        Weather { network, store, crash, vercel_is_down, provisioner_is_down }
    }

    /// Some time, the scheduler as it comes, and an act or two.
    async fn step(&mut self, step: u64) -> anyhow::Result<()> {
        let by = self.pause();
        self.stage.advance(by).await?;
        self.stage.fate.tell(&format!("{}  {:?}", self.stage.now(), self.stage.fate.weather()));
        let gone = self.gone(step).await?;
        self.scheduler().await?;
        self.ask_again().await?;
        let mut acts: Vec<Act> = Vec::new();
        let together = if self.script.chance(20) { 2 } else { 1 };
        for _ in 0..together {
            acts.extend(self.draw().await?);
        }
        self.make(acts).await?;
        self.stage.arrive().await;
        if let Some(id) = gone {
            self.stage.gone(None).await?;
            self.is_there(&id, 3).await?;
        }
        Ok(())
    }

    /// For one step, Vercel says of one who stays that their installation is gone.
    async fn gone(&mut self, step: u64) -> anyhow::Result<Option<String>> {
        let stays = |who: &&Customer| who.leaves.is_none();
        let who = self.customers.iter().find(stays).filter(|_| unknowns::is_gone(self.dice, step));
        let Some(id) = who.map(|who| who.id.clone()) else { return Ok(None) };
        self.stage.fate.tell(&format!("{id} is gone, for a while"));
        self.stage.fate.count("with gone", 1);
        self.stage.gone(Some(&id)).await?;
        Ok(Some(id))
    }

    /// A partner system settles that it is not gone, if that is in question.
    async fn is_there(&mut self, id: &str, tries: usize) -> anyhow::Result<()> {
        let number = self.number();
        let (path, data) = ("/partner/invoices".to_owned(), json!({ "outcome": "there" }));
        let act = partner(format!("{id} is there"), format!("msg_{number}"), "installation.settle", path, id, &data);
        self.make(vec![act.tries(tries)]).await
    }

    /// Vercel repeats what nobody has answered.
    async fn ask_again(&mut self) -> anyhow::Result<()> {
        for act in std::mem::take(&mut self.pending) {
            self.make(vec![act]).await?;
        }
        Ok(())
    }

    /// How long nothing is done. After an uninstall the scheduler must come inside Vercel's 24 hours.
    fn pause(&mut self) -> SignedDuration {
        let now = self.stage.now();
        let leaving = self.customers.iter().filter_map(|customer| customer.leaves);
        let is_urgent = leaving.clone().any(|at| now.duration_since(at) < SignedDuration::from_hours(25));
        let minutes = match self.script.below(10) {
            0..=2 => self.script.between(1, 50),
            3..=4 => self.script.between(60, 600),
            _ if is_urgent => self.script.between(120, 420),
            _ => self.script.between(600, 2_880),
        };
        let minutes = if is_urgent { minutes.min(420) } else { minutes };
        SignedDuration::from_mins(minutes) + SignedDuration::from_secs(self.script.between(0, 59))
    }

    /// The scheduler: each cron once, twice at once, or not at all.
    async fn scheduler(&mut self) -> anyhow::Result<()> {
        let now = self.stage.now();
        let mut due = self.customers.iter().filter_map(|customer| customer.leaves);
        let is_urgent = due.any(|at| {
            let since = now.duration_since(at);
            since > SignedDuration::from_hours(6) && since < SignedDuration::from_hours(25)
        });
        for path in CRONS {
            let drawn = self.script.below(100);
            let tries = if is_urgent { 6 } else { 1 };
            let cron = || Act { name: format!("cron {path}"), call: Call::Cron(path), meant: Meant::Nothing, tries };
            match drawn {
                0..=24 if !is_urgent => self.stage.fate.count("crons missed", 1),
                25..=34 => {
                    self.stage.fate.count("crons doubled", 1);
                    self.make(vec![cron(), cron()]).await?;
                }
                _ => self.make(vec![cron()]).await?,
            }
        }
        Ok(())
    }

    /// Makes acts, all at once if there are several.
    async fn make(&mut self, acts: Vec<Act>) -> anyhow::Result<()> {
        for act in &acts {
            self.intend(act);
        }
        let chances: Vec<Stream> = acts
            .iter()
            .map(|_| {
                self.numbers += 1;
                Stream::new(self.dice, &format!("act/{}", self.numbers))
            })
            .collect();
        let calls = acts.iter().zip(chances).map(|(act, chance)| perform(&self.stage, act, chance));
        let outcomes = futures_util::future::join_all(calls).await;
        for (act, outcome) in acts.iter().zip(outcomes) {
            self.learn(act, &outcome?);
        }
        Ok(())
    }

    /// Calm: nothing goes wrong any more, the scheduler comes hourly, and everything owed must be delivered. Then the
    /// judgement.
    async fn finale(&mut self) -> anyhow::Result<()> {
        self.stage.fate.set_weather(Weather::CALM);
        self.stage.fate.tell("calm");
        self.stage.arrive().await;
        self.ask_again().await?;
        if unknowns::is_drawn(self.dice) {
            let ids: Vec<String> = self.customers.iter().map(|who| who.id.clone()).collect();
            for id in ids {
                self.is_there(&id, 9).await?;
            }
        }
        self.stage.advance(SignedDuration::from_hours(2)).await?;
        for path in CRONS {
            self.stage.cron(path).await?;
        }
        if self.script.chance(50) {
            for at in 0..self.customers.len() {
                let Some(who) = self.customers.get(at).filter(|who| who.leaves.is_none()) else { continue };
                let id = who.id.clone();
                let act = self.uninstall(at, &id);
                self.make(vec![act.tries(9)]).await?;
            }
        }
        audit::sabotage(self, self.sabotage).await?;
        let mut hours = 0;
        while hours < CALM_HOURS_MAX {
            let by = if hours < 3 { 1 } else { 6 };
            self.stage.advance(SignedDuration::from_hours(i64::try_from(by)?)).await?;
            hours += by;
            for path in CRONS {
                let got = self.stage.cron(path).await?;
                if !got.is_good() {
                    self.wrong(format!("in the calm a cron is answered well: {path} was {}", got.shown()));
                }
            }
            if hours >= 3 && audit::owed(self).await?.is_empty() {
                break;
            }
        }
        self.stage.fate.tell(&format!("{}  judgement", self.stage.now()));
        audit::judge(self).await
    }

    /// The start of the period that follows the month of an instant: for the audit.
    pub(super) fn month_after(at: Timestamp) -> Timestamp {
        month_end(at)
    }
}
