//! Effects, as they wait.

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_store::{Key, Record};

use super::lane::{Class, LaneName};
use super::reason::Reason;
use crate::state::keys;

/// How long an effect is kept that failed for good or was given up, where nothing waits for it.
const APART_DAYS: i64 = 90;

/// What an effect of one kind says of itself: all that the outbox has to know to keep it.
pub trait Owed: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// For logs and answers.
    fn name(&self) -> &'static str;

    /// The class of its lane.
    fn class(&self) -> Class;

    /// The resource of its lane.
    fn resource(&self) -> Option<&ResourceId>;

    /// For a class that is not ordered: what makes two effects the same, of which the newer replaces the older.
    fn slot(&self) -> String;

    /// When it is due if it is owed since `now`: some wait on purpose.
    fn due(&self, now: Timestamp) -> Timestamp;
}

/// One effect, waiting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "W: Owed")]
pub struct Effect<W> {
    /// Its lane.
    pub lane: LaneName,
    /// Its place in the lane: for an ordered class the number, else the slot.
    pub place: String,
    /// The lane's count when it was put in.
    pub sequence: u64,
    /// What.
    pub what: W,
    /// Since when.
    pub created_at: Timestamp,
    /// Not before, in business time.
    pub not_before: Timestamp,
    /// Since when it has been owed, where that is not its beginning: it waited on purpose until then.
    #[serde(default)]
    pub owed_since: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_failure: Option<Reason>,
    /// Whether it failed for good.
    pub dead: bool,
    /// Whether it was given up by a partner system: then it is kept for a while, to say so.
    #[serde(default)]
    pub abandoned: bool,
    /// When it failed for good or was given up.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

impl<W: Owed> Effect<W> {
    pub(crate) fn new(lane: &LaneName, sequence: u64, what: W, now: Timestamp) -> Self {
        let place = if lane.class.is_ordered() { format!("{sequence:016}") } else { what.slot() };
        let lane = lane.clone();
        let due = what.due(now);
        Self {
            lane,
            place,
            sequence,
            what,
            created_at: now,
            not_before: due,
            owed_since: (due > now).then_some(due),
            attempts: 0,
            last_failure: None,
            dead: false,
            abandoned: false,
            ended_at: None,
        }
    }

    /// Since when it has been owed, in business time: the tries that failed since then do not count.
    pub fn owed_since(&self) -> Timestamp {
        self.owed_since.unwrap_or(self.created_at)
    }

    /// Whether it lies apart, where it blocks nothing: given up, or dead in a class that a dead letter does not block.
    fn lies_apart(&self) -> bool {
        self.abandoned || (self.dead && self.lane.class != Class::Money)
    }

    /// The id that answers carry and `effects.query` takes.
    pub fn id(&self) -> String {
        let resource = self.lane.resource.as_ref().map_or("-", ResourceId::as_str);
        let class = self.lane.class.as_str();
        format!("{}/{class}/{resource}/{}/{}", self.lane.installation, self.place, self.sequence)
    }

    /// Its key, in the lane or apart from it: dead letters that block nothing, and what was given up.
    pub fn key_of(lane: &LaneName, place: &str, apart: bool) -> Key {
        let prefix = if apart { lane.dead_prefix() } else { lane.effects_prefix() };
        keys::within(&lane.installation, format!("{prefix}{place}"))
    }
}

impl<W: Owed> Record for Effect<W> {
    const KIND: &'static str = "effect";

    fn key(&self) -> Key {
        Self::key_of(&self.lane, &self.place, self.lies_apart())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        let ended = self.ended_at.filter(|_| self.lies_apart())?;
        ended.checked_add(SignedDuration::from_hours(24 * APART_DAYS)).ok()
    }
}

/// The lane, place and sequence in an effect's id.
pub fn parse_effect_id(id: &str) -> Option<(LaneName, String, u64)> {
    let mut parts = id.split('/');
    let installation = InstallationId::new(parts.next()?).ok()?;
    let class = Class::parse(parts.next()?)?;
    let resource = match parts.next()? {
        "-" => None,
        text => Some(ResourceId::new(text).ok()?),
    };
    let place = parts.next()?.to_owned();
    let sequence = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((LaneName { installation, class, resource }, place, sequence))
}
