//! Usage and pushes, as they are kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_store::{Key, Record};

use super::keys;
use tradepost_pricing::metering::Aggregate;

/// The running total of one meter of one resource in one plan segment of one period, with its last days.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeterTotal {
    /// Whose.
    pub installation: InstallationId,
    /// Start of the period.
    pub period_start: Timestamp,
    /// Of which resource.
    pub resource: ResourceId,
    /// In which of its segments.
    pub segment: u32,
    /// Of which meter.
    pub meter: String,
    /// Whether the period is closed: then it lies outside the slice.
    pub closed: bool,
    /// The figures.
    pub aggregate: Aggregate,
}

impl MeterTotal {
    /// Its key, in the slice while the period is open.
    pub fn key_of(
        installation: &InstallationId,
        closed: bool,
        period_start: Timestamp,
        resource: &ResourceId,
        segment: u32,
        meter: &str,
    ) -> Key {
        let prefix = if closed { keys::CLOSED_TOTAL } else { keys::OPEN_TOTAL };
        keys::within(installation, format!("{prefix}{period_start}#{resource}#{segment}#{meter}"))
    }

    /// Where those of a closed period lie.
    pub fn closed_prefix(period_start: Timestamp) -> String {
        format!("{}{period_start}#", keys::CLOSED_TOTAL)
    }

    /// Where those of one resource in a closed period lie.
    pub fn closed_prefix_of(period_start: Timestamp, resource: &ResourceId) -> String {
        format!("{}{period_start}#{resource}#", keys::CLOSED_TOTAL)
    }
}

impl Record for MeterTotal {
    const KIND: &'static str = "meter_total";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, self.closed, self.period_start, &self.resource, self.segment, &self.meter)
    }
}

/// A push that Vercel has not accepted; removed by the next success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushFailed {
    /// Whose.
    pub installation: InstallationId,
    /// Since when.
    pub since: Timestamp,
    /// When the last push before it was accepted, as far as the shard's checkpoint knows.
    #[serde(default)]
    pub accepted_at: Option<Timestamp>,
    /// How many pushes in a row.
    pub attempts: u32,
    /// Ends of usage days whose final figures are still owed.
    pub days_owed: Vec<Timestamp>,
    /// Up to when ended days are among them, or were pushed. Not of what an earlier release noted.
    #[serde(default)]
    pub days_until: Option<Timestamp>,
    /// What the last one failed of: a code, never a body.
    pub reason: String,
}

impl PushFailed {
    /// Nothing is pushed from now on, for the installation is held.
    pub fn held(installation: &InstallationId, now: Timestamp) -> Self {
        Self {
            installation: installation.clone(),
            since: now,
            accepted_at: None,
            attempts: 0,
            days_owed: Vec::new(),
            days_until: Some(now),
            reason: "held".to_owned(),
        }
    }

    /// When Vercel last accepted figures, as far as that is known.
    pub fn accepted(&self) -> Timestamp {
        self.accepted_at.unwrap_or(self.since)
    }

    /// Its key.
    pub fn key_of(installation: &InstallationId) -> Key {
        keys::within(installation, keys::PUSH_FAILED)
    }
}

impl Record for PushFailed {
    const KIND: &'static str = "push_failed";

    fn key(&self) -> Key {
        Self::key_of(&self.installation)
    }
}

/// An hour that is served in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Which hour.
    pub hour: Timestamp,
    /// When the first run of it began.
    pub began_at: Timestamp,
    /// The collection of the last installation that was served.
    pub after: String,
    /// The oldest figures that Vercel was left with so far.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
}

/// How far the hourly push of one shard has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardCheckpoint {
    /// 0 to 255.
    pub shard: u8,
    /// The last hour that was served completely.
    pub hour: Timestamp,
    /// When the run that served it began: what became final since then is still to be pushed.
    pub served_at: Timestamp,
    /// The oldest figures that the last complete run left Vercel with; none if every push was accepted.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// The hour being served, if a run had to stop in it.
    pub serving: Option<Serving>,
    /// Until when a run holds the shard.
    pub lease_until: Option<LeaseTime>,
}

impl ShardCheckpoint {
    /// The collection of all of them: one Query finds every shard that is not empty.
    pub const COLLECTION: &'static str = keys::CHECKPOINTS;

    /// Its key.
    pub fn key_of(shard: u8) -> Key {
        Key { pk: Self::COLLECTION.to_owned(), sk: format!("{shard:03}") }
    }
}

impl Record for ShardCheckpoint {
    const KIND: &'static str = "shard_checkpoint";

    fn key(&self) -> Key {
        Self::key_of(self.shard)
    }
}

/// How long a batch is remembered: longer than the late limit of 30 days, so that a late repeat of a
/// batch is still known as one.
pub const BATCH_MEMORY_DAYS: i64 = 45;

/// One batch of readings: the journal entry, and what its repeat is recognised by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsageBatch {
    /// Whose.
    pub installation: InstallationId,
    /// The partner's id of it.
    pub batch: String,
    /// SHA-256 of the canonical body.
    pub digest: String,
    /// When it was taken.
    pub at: Timestamp,
    /// The readings as they came, JSON text.
    pub readings: String,
    /// What was answered, JSON text.
    pub answer: String,
}

impl UsageBatch {
    /// Its key.
    pub fn key_of(installation: &InstallationId, batch: &str) -> Key {
        keys::within(installation, format!("{}{batch}", keys::BATCHES))
    }
}

impl Record for UsageBatch {
    const KIND: &'static str = "usage_batch";

    fn key(&self) -> Key {
        Self::key_of(&self.installation, &self.batch)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.at.checked_add(SignedDuration::from_hours(24 * BATCH_MEMORY_DAYS)).ok()
    }
}
