//! What happens at the doors, and what is written down of it: draws, counts, the trace.
//!
//! A fault is drawn from the seed, the door, the operation and how often it was called, so a trace is the same to the
//! byte for the same seed, whatever else is added elsewhere. The weather says how likely faults are; it is calm at
//! the end of every history.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use tradepost_provider::state::keys::hex;

use super::dice::Dice;
use super::lock;

/// How often something goes wrong, in 1/10,000 of the calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// At the doors over the network.
    pub(super) network: u64,
    /// At the store.
    pub(super) store: u64,
    /// How often the provider dies at one of its calls.
    pub(super) crash: u64,
    /// Vercel is down altogether.
    pub(super) vercel_is_down: bool,
    /// The provisioner is.
    pub(super) provisioner_is_down: bool,
}

impl Weather {
    /// Nothing goes wrong.
    pub(super) const CALM: Self =
        Self { network: 0, store: 0, crash: 0, vercel_is_down: false, provisioner_is_down: false };
}

/// What the histories contained: so that an empty run shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// By name.
    #[serde(flatten)]
    pub all: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn add(&mut self, name: &str, n: u64) {
        if let Some(count) = self.all.get_mut(name) {
            *count += n;
        } else {
            self.all.insert(name.to_owned(), n);
        }
    }

    /// How often something happened.
    pub fn of(&self, name: &str) -> u64 {
        self.all.get(name).copied().unwrap_or_default()
    }

    /// Adds those of another history.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.all {
            self.add(name, *n);
        }
    }
}

#[derive(Default)]
struct Book {
    weather: Weather,
    occurrences: BTreeMap<String, u64>,
    counts: Counts,
    trace: String,
    step: usize,
}

/// Shared by all doors of one history.
#[derive(Clone)]
pub(super) struct Fate {
    dice: Dice,
    book: Arc<Mutex<Book>>,
}

impl Fate {
    pub(super) fn new(dice: Dice) -> Self {
        Self { dice, book: Arc::default() }
    }

    pub(super) fn weather(&self) -> Weather {
        lock(&self.book).weather
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        lock(&self.book).weather = weather;
    }

    /// The draw for the next call of an operation.
    pub(super) fn draw(&self, operation: &str) -> u64 {
        let mut book = lock(&self.book);
        let n = if let Some(n) = book.occurrences.get_mut(operation) {
            *n += 1;
            *n
        } else {
            book.occurrences.insert(operation.to_owned(), 1);
            1
        };
        self.dice.draw(operation, n)
    }

    pub(super) fn count(&self, name: &str, n: u64) {
        lock(&self.book).counts.add(name, n);
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.book).counts.clone()
    }

    /// Writes a line of the trace.
    pub(super) fn tell(&self, line: &str) {
        let mut book = lock(&self.book);
        let step = book.step;
        let _ = writeln!(book.trace, "{step:3}  {line}");
    }

    /// Something went wrong at a door.
    pub(super) fn fault(&self, operation: &str, what: &str) {
        self.count(&format!("fault {what}"), 1);
        self.count("faults", 1);
        self.tell(&format!("      ! {operation}: {what}"));
    }

    pub(super) fn begin_step(&self, step: usize) {
        lock(&self.book).step = step;
    }

    pub(super) fn trace(&self) -> String {
        lock(&self.book).trace.clone()
    }

    /// What the trace comes to: sixteen digits of its SHA-256.
    pub(super) fn digest(&self) -> String {
        let mut text = hex(digest(&SHA256, lock(&self.book).trace.as_bytes()).as_ref());
        text.truncate(16);
        text
    }
}
