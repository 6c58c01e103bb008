//! All of Vercel's state, and its one way onto disk.
//!
//! [`Store::write`] runs a change under the lock, then appends the changed rows to the journal before it
//! returns. A closure that refuses must not have changed anything: rules are checked first.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tradepost_marketplace::doors::Clock as _;

use crate::OpenError;
use crate::clock::SimulatedClock;
use crate::derive::Seed;
use crate::faults::ArmedFault;
use crate::journal::{Journal, JournalError, replay};
use crate::model::{
    Action, Config, Connection, Control, Cron, Delivery, Event, Installation, Interim, Invoice, Item, Meta, Partner,
    Purchase, Reread, Resource, SecretDigest, SignOn, StoredBalance, Token,
};
use crate::refusal::Refusal;
use crate::switches::Switches;
use crate::table::Table;

/// The key of the one row of [`Meta`] and of [`Partner`].
const ONE: &str = "one";

/// The tables of [`World`], each by its name in the journal.
macro_rules! tables {
    ($($name:ident: $row:ty,)*) => {
        /// Vercel's state.
        pub(crate) struct World {
            pub(crate) seed: Arc<Seed>,
            $(pub(crate) $name: Table<$row>,)*
        }

        impl World {
            fn new(seed: Seed) -> Self {
                Self { seed: Arc::new(seed), $($name: Table::new(stringify!($name)),)* }
            }

            /// Takes one put from the journal; `false` if it makes no sense.
            fn load(&mut self, table: &str, key: &str, row: &str) -> bool {
                match table {
                    $(stringify!($name) => self.$name.load(key, row).is_ok(),)*
                    _ => false,
                }
            }

            fn is_changed(&self) -> bool {
                $(self.$name.is_changed())||*
            }

            fn drain(&mut self) -> Result<Vec<String>, serde_json::Error> {
                let mut line = Vec::new();
                $(self.$name.drain(&mut line)?;)*
                Ok(line)
            }

            fn dump(&self) -> Result<Vec<String>, serde_json::Error> {
                let mut lines = Vec::new();
                $(self.$name.dump(&mut lines)?;)*
                Ok(lines)
            }
        }
    };
}

tables! {
    meta: Meta,
    partner: Partner,
    crons: Cron,
    installations: Installation,
    tokens: Token,
    resources: Resource,
    secrets: SecretDigest,
    interim: Interim,
    balances: StoredBalance,
    invoices: Invoice,
    purchases: Purchase,
    items: Item,
    configs: Config,
    actions: Action,
    connections: Connection,
    events: Event,
    rereads: Reread,
    deliveries: Delivery,
    codes: SignOn,
    refreshes: SignOn,
    controls: Control,
    faults: ArmedFault,
    switches: Switches,
}

impl World {
    /// What is played of what nobody knows.
    pub(crate) fn switches(&self) -> &Switches {
        static DEFAULT: LazyLock<Switches> = LazyLock::new(Switches::default);
        self.switches.get(ONE).unwrap_or(&DEFAULT)
    }

    pub(crate) fn set_switches(&mut self, switches: Switches) {
        if switches != *self.switches() {
            self.switches.put(ONE, switches);
        }
    }

    pub(crate) fn partner(&self) -> Option<&Partner> {
        self.partner.get(ONE)
    }

    pub(crate) fn set_partner(&mut self, partner: Partner) {
        self.partner.put(ONE, partner);
    }

    /// The next number of a kind, from 1.
    pub(crate) fn count(&mut self, kind: &str) -> u64 {
        let mut meta = self.meta.get(ONE).cloned().unwrap_or_default();
        let number = meta.counters.entry(kind.to_owned()).or_default();
        *number += 1;
        let number = *number;
        self.meta.put(ONE, meta);
        number
    }

    fn set_now(&mut self, now: Timestamp) {
        if self.meta.get(ONE).is_none_or(|meta| meta.now != now) {
            let mut meta = self.meta.get(ONE).cloned().unwrap_or_default();
            meta.now = now;
            self.meta.put(ONE, meta);
        }
    }
}

struct Held {
    world: World,
    journal: Option<Journal>,
}

/// The state behind its lock, with its journal and the clock that is saved with it.
pub(crate) struct Store {
    /// What seals the journal: the seed the simulator was opened with.
    root: Arc<Seed>,
    clock: Arc<SimulatedClock>,
    held: Mutex<Held>,
}

impl Store {
    /// Opens the journal, if there is to be one, and sets the clock to where it was.
    pub(crate) fn open(seed: u64, path: Option<PathBuf>, clock: Arc<SimulatedClock>) -> Result<Self, OpenError> {
        let root = Arc::new(Seed::new(seed));
        let mut world = World::new(Seed::new(seed));
        let Some(path) = path else {
            world.meta.put(ONE, Meta { now: clock.now(), ..Meta::default() });
            return Ok(Self { root, clock, held: Mutex::new(Held { world, journal: None }) });
        };
        replay(&path, |put| world.load(&put.table, &put.key, put.row.get())).map_err(|error| match error {
            JournalError::Io(cause) => OpenError::Store { path: path.clone(), cause },
            JournalError::Damaged(line) => OpenError::Damaged { path: path.clone(), line },
        })?;
        if let Some(meta) = world.meta.get(ONE).cloned() {
            let text = root.unseal(&meta.seed).and_then(|bytes| String::from_utf8(bytes).ok());
            let number = text.and_then(|text| text.parse().ok());
            world.seed = Arc::new(Seed::new(number.ok_or_else(|| OpenError::OtherSeed { path: path.clone() })?));
            clock.restart(meta.now);
        } else {
            let sealed = root.seal(seed.to_string().as_bytes());
            world.meta.put(ONE, Meta { now: clock.now(), seed: sealed, ..Meta::default() });
        }
        let rows = world.dump().map_err(|error| OpenError::Store { path: path.clone(), cause: error.into() })?;
        let _ = world.drain();
        let journal = Journal::compact(&path, &rows).map_err(|cause| OpenError::Store { path, cause })?;
        Ok(Self { root, clock, held: Mutex::new(Held { world, journal: Some(journal) }) })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.held().world)
    }

    /// Changes the state, and returns once the change is in the journal.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut World) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut held = self.held();
        let result = change(&mut held.world)?;
        // A running clock is saved along with what changes; a frozen one is a change by itself.
        if !self.clock.is_running() || held.world.is_changed() {
            held.world.set_now(self.clock.now());
        }
        Self::commit(&mut held)
            .map_err(|error| Refusal::internal(format!("the journal cannot be written: {error}")))?;
        Ok(result)
    }

    fn commit(held: &mut Held) -> std::io::Result<()> {
        let puts = held.world.drain()?;
        let Some(journal) = held.journal.as_mut().filter(|_| !puts.is_empty()) else { return Ok(()) };
        journal.append(&puts)?;
        if journal.is_too_long() {
            *journal = Journal::compact(journal.path(), &held.world.dump()?)?;
        }
        Ok(())
    }

    /// Forgets everything and starts the clock again, with a new seed or the old one.
    pub(crate) fn reset(&self, seed: Option<u64>) -> Result<(), Refusal> {
        let mut held = self.held();
        let seed = Seed::new(seed.unwrap_or(held.world.seed.number()));
        self.clock.restart(self.clock.start());
        let sealed = self.root.seal(seed.number().to_string().as_bytes());
        let mut world = World::new(seed);
        world.meta.put(ONE, Meta { now: self.clock.now(), seed: sealed, ..Meta::default() });
        held.world = world;
        let failed = |error: std::io::Error| Refusal::internal(format!("the journal cannot be rewritten: {error}"));
        if let Some(path) = held.journal.as_ref().map(|journal| journal.path().to_owned()) {
            let rows = held.world.dump().map_err(|error| failed(error.into()))?;
            held.journal = Some(Journal::compact(&path, &rows).map_err(failed)?);
        }
        Ok(())
    }

    /// Encrypts for the journal.
    pub(crate) fn seal(&self, plain: &[u8]) -> String {
        self.root.seal(plain)
    }

    /// Decrypts what [`Self::seal`] made; empty if it was not made by this seed.
    pub(crate) fn unseal(&self, sealed: &str) -> Vec<u8> {
        self.root.unseal(sealed).unwrap_or_default()
    }
}
