//! An installation: the unit of tenancy.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{InstallationId, PlanId, ResourceId};
use tradepost_marketplace::wire::{Notification, Period};
use tradepost_store::seal::Sealed;
use tradepost_store::{Due, Key, Record, Shard};

use super::keys;
use super::signed::SignedMoney;
use tradepost_pricing::period::{self, PeriodKind, Schedule};
use tradepost_pricing::pricing::Carried;

/// The field that an installation's access token is sealed for.
pub const TOKEN_FIELD: &str = "access_token";
/// The `due` partition of period closes.
pub const CLOSES: &str = "closes";
/// The most retired tokens whose digests are kept.
pub const RETIRED_TOKENS_MAX: usize = 16;

/// How many closed periods are remembered at most; older than readings may be they are forgotten.
pub const CLOSED_PERIODS_MAX: usize = 64;
/// How many periods may wait for their close.
const OPEN_PERIODS_MAX: usize = 24;

/// Where an installation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationStatus {
    /// In use.
    Active,
    /// The customer uninstalled; the final invoice is due.
    Uninstalling,
    /// The last period is closed; the final invoice and the finalization are in the outbox.
    Settling,
    /// No more invoices will come (spec A.2).
    Finalized,
}

/// An amount that belongs on the next invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedAmount {
    /// How much; negative in the customer's favour.
    #[serde(rename = "cents")]
    pub amount: SignedMoney,
    /// Of which resource, if of one.
    pub resource: Option<ResourceId>,
    /// What it is, as on the invoice.
    pub name: String,
}

impl From<Carried> for CarriedAmount {
    fn from(Carried { amount, resource, name }: Carried) -> Self {
        Self { amount: amount.into(), resource, name }
    }
}

/// The most amounts carried; beyond it equal ones are put together, and at last all.
pub const CARRIED_MAX: usize = 100;

/// A resource of which nothing was billed in a closed period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbilled {
    /// The one that Vercel denied.
    pub resource: ResourceId,
    /// The period that was closed without it.
    pub period: Period,
}

/// One customer team's install of the integration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Installation {
    /// Vercel's id.
    pub id: InstallationId,
    /// Where it is in its life.
    pub status: InstallationStatus,
    /// When it was first seen.
    pub installed_at: Timestamp,
    /// The dashboard page of the installation at Vercel.
    pub account_url: Option<String>,
    /// The access token, sealed.
    pub token: Sealed,
    /// SHA-256 of the current token.
    pub token_digest: String,
    /// SHA-256 of tokens that were replaced; an old upsert that arrives late must not bring one back.
    pub retired_tokens: Vec<String>,
    /// What the customer accepted, by policy id, as sent.
    pub policies: std::collections::BTreeMap<String, String>,
    /// The installation-level plan, where the provider uses one.
    pub plan: Option<PlanId>,
    /// Shown by Vercel beside the installation.
    pub notification: Option<Notification>,
    /// How periods are cut.
    pub period_kind: PeriodKind,
    /// Start of the oldest period that is not closed.
    pub period_start: Timestamp,
    /// Its end.
    pub period_end: Timestamp,
    /// The end of the open period while it is being closed: from then on no reading lands in it.
    pub closing: Option<Timestamp>,
    /// The key of the idempotency record that waits for the close.
    #[serde(default, with = "keys::pair")]
    pub closing_for: Option<Key>,
    /// How many resources lie in the slice, deleted ones included.
    pub resources_kept: u32,
    /// The last periods that were closed, oldest first: late readings of theirs are adjustments.
    pub closed_periods: Vec<Period>,
    /// The number of the next invoice.
    pub invoice_next: u32,
    /// Amounts that belong on the next invoice.
    pub carried: Vec<CarriedAmount>,
    /// When the customer uninstalled.
    pub uninstalled_at: Option<Timestamp>,
    /// What was left out of closes because Vercel denied it: if it turns out to be known, the next close bills it.
    #[serde(default)]
    pub unbilled: Vec<Unbilled>,
    /// How many resources are not deleted.
    pub resources_live: u32,
    /// Since when Vercel says that it is gone (410), although its customer never uninstalled. Its pushes stop and what
    /// is owed to Vercel is held, until Vercel calls about it or a partner system settles it; usage and closes go on.
    #[serde(default)]
    pub gone_since: Option<Timestamp>,
}

impl Installation {
    /// Its key.
    pub fn key_of(id: &InstallationId) -> Key {
        keys::within(id, keys::INSTALLATION)
    }

    /// How its periods are cut.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.period_kind, self.installed_at)
    }

    /// The oldest period that is not closed.
    pub fn open_period(&self) -> Period {
        Period { start: self.period_start, end: self.period_end }
    }

    /// Until when it has been billed, or is being billed: no plan changes before that.
    pub fn billed_until(&self) -> Timestamp {
        match self.status {
            InstallationStatus::Settling | InstallationStatus::Finalized => self.period_end,
            InstallationStatus::Active | InstallationStatus::Uninstalling => self.closing.unwrap_or(self.period_start),
        }
    }

    /// The period after the open one. After an uninstall periods end at the uninstall.
    pub fn next_period(&self) -> Period {
        let next = self.schedule().following(self.period_end);
        let end = self.uninstalled_at.map_or(next.end, |at| next.end.min(at));
        Period { start: next.start, end }
    }

    /// The periods that are not closed, up to the one that counts at `now`: one, or two while the first
    /// waits for its close. After a long silence of the scheduler there may be more.
    pub fn open_periods(&self, now: Timestamp) -> Vec<Period> {
        let mut periods = vec![self.open_period()];
        let last = self.uninstalled_at.map_or(now, |at| at.min(now));
        while let Some(end) = periods.last().map(|period| period.end).filter(|end| *end <= last) {
            let next = self.schedule().following(end);
            let end = self.uninstalled_at.map_or(next.end, |at| next.end.min(at));
            if end <= next.start || periods.len() >= OPEN_PERIODS_MAX {
                break;
            }
            periods.push(Period { start: next.start, end });
        }
        periods
    }

    /// The period that counts at `at`, if it is not closed.
    pub fn period_at(&self, at: Timestamp) -> Option<Period> {
        self.open_periods(at).into_iter().find(|period| period.contains(at))
    }

    /// Whether the open period is the last one.
    pub fn is_last_period(&self) -> bool {
        self.uninstalled_at.is_some_and(|at| at <= self.period_end)
    }

    /// Adds an amount to what is carried.
    pub fn carry(&mut self, amount: CarriedAmount) {
        let same = |held: &&mut CarriedAmount| held.resource == amount.resource && held.name == amount.name;
        if let Some(held) = self.carried.iter_mut().find(same) {
            held.amount = held.amount.plus(amount.amount);
        } else if self.carried.len() < CARRIED_MAX {
            self.carried.push(amount);
        } else if let Some(last) = self.carried.last_mut() {
            last.amount = last.amount.plus(amount.amount);
            last.resource = None;
            "Earlier amounts".clone_into(&mut last.name);
        }
        self.carried.retain(|held| held.amount != SignedMoney::ZERO);
    }

    /// What is carried, for pricing.
    pub fn carried_for_pricing(&self) -> Vec<Carried> {
        let as_carried = |held: &CarriedAmount| Carried {
            amount: held.amount.money(),
            resource: held.resource.clone(),
            name: held.name.clone(),
        };
        self.carried.iter().map(as_carried).collect()
    }

    /// Whether customers may still change things.
    pub fn is_active(&self) -> bool {
        self.status == InstallationStatus::Active
    }
}

impl Record for Installation {
    const KIND: &'static str = "installation";

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }

    fn due(&self) -> Option<Due> {
        let open = matches!(self.status, InstallationStatus::Active | InstallationStatus::Uninstalling);
        let at = self.closing.unwrap_or_else(|| period::close_at(self.period_end));
        open.then(|| Due { work: CLOSES.to_owned(), at })
    }

    fn shard(&self) -> Option<Shard> {
        let open = matches!(self.status, InstallationStatus::Active | InstallationStatus::Uninstalling);
        open.then(|| Shard(keys::shard_of(&self.id)))
    }
}
