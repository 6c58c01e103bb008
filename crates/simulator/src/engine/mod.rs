//! What time does: everything that is due, in order, each step awaited before the next.
//!
//! The order at one instant is fixed: invoices, webhooks, re-reads, purchases, finalizations, crons, each by
//! key; so the same calls give the same history. One loop serves the frozen clock, whose due work is done by the
//! control calls and by nobody else (between them nothing happens), and the running one, for which a
//! background task sleeps until the next due instant.

pub(crate) mod finalize;
pub(crate) mod invoices;
pub(crate) mod plans;
pub(crate) mod purchases;
pub(crate) mod rereads;
pub(crate) mod resources;
pub(crate) mod secrets;
pub(crate) mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::doors::{Sleeper as _, SystemSleeper};

use crate::Inner;
use crate::clock::later;
use crate::cron::Schedule;
use crate::partner::{CRON_TIMEOUT, Outgoing, header_value};
use crate::refusal::Refusal;
use crate::world::World;

/// The longest the background sleeps without looking.
const BACKGROUND_SLEEP_MAX: Duration = Duration::from_mins(1);
/// How long to wait after the journal failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// The first pause between tries of a webhook or a re-read; each next one is twice as long.
pub(crate) const RETRY_FIRST: SignedDuration = SignedDuration::from_mins(1);
/// For how long webhooks and re-reads are tried (spec E).
pub(crate) const RETRY_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    Invoice(String),
    Webhook(String),
    Reread(String),
    Purchase(String),
    Finalization(String),
    Cron(String),
}

/// The first thing due, and when.
fn first(world: &World) -> Option<(Timestamp, Task)> {
    let invoice = world.invoices.first_due().map(|(at, key)| (at, Task::Invoice(key.to_owned())));
    let webhook = world.deliveries.first_due().map(|(at, key)| (at, Task::Webhook(key.to_owned())));
    let reread = world.rereads.first_due().map(|(at, key)| (at, Task::Reread(key.to_owned())));
    let purchase = world.purchases.first_due().map(|(at, key)| (at, Task::Purchase(key.to_owned())));
    let end = world.installations.first_due().map(|(at, key)| (at, Task::Finalization(key.to_owned())));
    let cron = world.crons.first_due().map(|(at, key)| (at, Task::Cron(key.to_owned())));
    [invoice, webhook, reread, purchase, end, cron].into_iter().flatten().min()
}

/// When try number `attempts + 1` is made of something first tried at `since`; `None` once it is given up.
pub(crate) fn next_try(since: Timestamp, now: Timestamp, attempts: u32) -> Option<Timestamp> {
    let pause = RETRY_FIRST.checked_mul(1_i32.checked_shl(attempts.saturating_sub(1)).unwrap_or(i32::MAX))?;
    let at = later(now, pause);
    (at <= later(since, RETRY_FOR)).then_some(at)
}

/// Says that time is being moved, until it is dropped.
struct Advancing<'a>(&'a AtomicBool);

impl<'a> Advancing<'a> {
    fn begin(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::SeqCst);
        Self(flag)
    }
}

impl Drop for Advancing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Inner {
    /// Does what is due now. Waits for whoever is at it already.
    pub(crate) async fn pump(&self) -> Result<(), Refusal> {
        let _held = self.pump.lock().await;
        self.run_until(self.now()).await
    }

    /// Waits until nothing is due, unless time itself is being moved right now.
    pub(crate) async fn settle(&self) -> Result<(), Refusal> {
        if self.advancing.load(Ordering::SeqCst) { Ok(()) } else { self.pump().await }
    }

    /// Moves time to `target`, from one due instant to the next.
    pub(crate) async fn advance(&self, target: Timestamp) -> Result<(), Refusal> {
        let _held = self.pump.lock().await;
        let _advancing = Advancing::begin(&self.advancing);
        self.run_until(target).await?;
        self.clock.move_to(target);
        // The instant itself is part of the state.
        self.store.write(|_| Ok(()))
    }

    /// Does everything due until `target`; the caller holds the pump.
    async fn run_until(&self, target: Timestamp) -> Result<(), Refusal> {
        while let Some((at, task)) = self.store.read(first).filter(|(at, _)| *at <= target) {
            self.clock.move_to(at);
            match task {
                Task::Invoice(key) => self.store.write(|world| invoices::step(world, &key, self.now()))?,
                Task::Webhook(key) => self.deliver(&key).await?,
                Task::Reread(key) => self.reread(&key).await?,
                Task::Purchase(key) => match self.provision_purchase(&key).await {
                    // What the provider does wrong is noted with the purchase; only the journal's failure stops.
                    Err(refusal) if refusal.status == StatusCode::INTERNAL_SERVER_ERROR => return Err(refusal),
                    _ => {}
                },
                Task::Finalization(key) => self.store.write(|world| {
                    finalize::window_over(world, &key, self.now());
                    Ok(())
                })?,
                Task::Cron(key) => self.run_cron(&key, at).await?,
            }
        }
        Ok(())
    }

    /// Calls a cron's path as Vercel does; what it answers is only logged.
    async fn run_cron(&self, key: &str, at: Timestamp) -> Result<(), Refusal> {
        let row = self.store.read(|world| Some((world.crons.get(key)?.clone(), world.partner()?.clone())));
        let Some((cron, partner)) = row else {
            return self.store.write(|world| {
                world.crons.remove(key);
                Ok(())
            });
        };
        let secret = String::from_utf8_lossy(&self.store.unseal(&partner.cron_secret)).into_owned();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", header_value(&format!("Bearer {secret}")));
        headers.insert("user-agent", header_value("vercel-cron/1.0"));
        let url = format!("{}{}", partner.base_url, cron.path);
        let (method, path, timeout) = (Method::GET, cron.path.clone(), CRON_TIMEOUT);
        self.send(Outgoing { method, url, path, headers, body: bytes::Bytes::new(), timeout }).await;
        // Noted after the call: a crash in between repeats a cron, as Vercel may, and never loses one.
        let next = Schedule::parse(&cron.schedule).ok().and_then(|schedule| schedule.next_after(at));
        self.store.write(|world| {
            world.crons.update(key, |cron| cron.due = next);
            Ok(())
        })
    }
}

/// With a running clock, does what is due at once and what falls due as time passes. Never ends.
pub(crate) async fn background(simulator: Arc<Inner>) {
    if !simulator.clock.is_running() {
        return;
    }
    loop {
        let pause = match simulator.pump().await {
            Ok(()) => simulator.pause_until_due(),
            Err(refusal) => {
                tracing::error!(error.message = %refusal.message, "simulator cannot do what is due");
                FAILURE_PAUSE
            }
        };
        tokio::select! {
            () = simulator.wake.notified() => {}
            () = SystemSleeper.sleep(pause) => {}
        }
    }
}

impl Inner {
    fn pause_until_due(&self) -> Duration {
        let next = self.store.read(first);
        let until = next.map(|(at, _)| self.now().duration_until(at));
        let pause = until.map_or(BACKGROUND_SLEEP_MAX, |until| until.try_into().unwrap_or(Duration::ZERO));
        pause.clamp(Duration::from_millis(1), BACKGROUND_SLEEP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_a_minute_apart_then_twice_that_and_end_after_a_day() {
        let since = Timestamp::UNIX_EPOCH;
        let mut now = since;
        let mut minutes = Vec::new();
        let mut attempts = 1;
        while let Some(next) = next_try(since, now, attempts) {
            minutes.push(since.duration_until(next).as_mins());
            now = next;
            attempts += 1;
        }
        assert_eq!(minutes, [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]);
    }
}
