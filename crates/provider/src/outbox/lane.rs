//! Lanes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_store::{Due, Key, Record};

use crate::state::keys;

/// How many `due` partitions the lanes are spread over: each takes the index writes of one partition of
/// DynamoDB. Stored in no item: a lane's partition follows from its installation.
pub const DUE_PARTITIONS: u8 = 4;

/// What kind of effect a lane carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Tells Vercel that something changed, or learns from it.
    State,
    /// Hands over and revokes secrets.
    Secrets,
    /// Invoices, refunds, finalization.
    Money,
    /// Orders to the provisioner.
    Deliveries,
}

impl Class {
    /// As it stands in keys and effect ids.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Secrets => "secrets",
            Self::Money => "money",
            Self::Deliveries => "deliveries",
        }
    }

    /// Where the effects of all lanes of this class lie, in an installation's collection.
    pub fn effects_prefix(self) -> String {
        format!("{}{}#", keys::EFFECTS, self.as_str())
    }

    /// Whether effects queue in order, each behind the one before.
    pub const fn is_ordered(self) -> bool {
        matches!(self, Self::Money | Self::Deliveries)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::State, Self::Secrets, Self::Money, Self::Deliveries].into_iter().find(|class| class.as_str() == text)
    }
}

/// Which lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneName {
    /// Whose effects: an order holds within one installation, never between two.
    pub installation: InstallationId,
    /// What kind of effect, and with it whether they queue in order.
    pub class: Class,
    /// The resource they are about; none for the installation's own lane.
    pub resource: Option<ResourceId>,
}

impl LaneName {
    fn tail(&self) -> String {
        let resource = self.resource.as_ref().map_or("-", ResourceId::as_str);
        format!("{}#{resource}", self.class.as_str())
    }

    /// The lane's key.
    pub fn key(&self) -> Key {
        keys::within(&self.installation, format!("{}{}", keys::LANES, self.tail()))
    }

    /// Where its effects lie.
    pub fn effects_prefix(&self) -> String {
        format!("{}{}#", keys::EFFECTS, self.tail())
    }

    /// Where its dead letters lie.
    pub fn dead_prefix(&self) -> String {
        format!("{}{}#", keys::APART, self.tail())
    }
}

/// A lane, while and after it has had effects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lane {
    /// Which.
    pub name: LaneName,
    /// Counts the effects ever put in.
    pub sequence: u64,
    /// When the sweeper should look, in business time; none for an empty or blocked lane.
    pub due_at: Option<Timestamp>,
    /// Since when something is owed and nothing of it went through; none for an empty lane. Business time.
    #[serde(default)]
    pub owed_since: Option<Timestamp>,
    /// The draw of whoever delivers; none while nobody does.
    pub holder: Option<String>,
    /// The end of the holder's lease; after it the lane is anybody's.
    pub lease_until: Option<LeaseTime>,
}

impl Lane {
    pub(crate) fn new(name: LaneName) -> Self {
        Self { name, sequence: 0, due_at: None, owed_since: None, holder: None, lease_until: None }
    }

    /// Whether somebody delivers at `now`.
    pub fn is_held(&self, now: LeaseTime) -> bool {
        self.holder.is_some() && self.lease_until.is_some_and(|until| until > now)
    }
}

/// The `due` partition of an installation's lanes.
pub(super) fn due_partition(installation: &InstallationId) -> String {
    partition_name(keys::shard_of(installation) % DUE_PARTITIONS)
}

/// The `due` partition of this number.
pub fn partition_name(partition: u8) -> String {
    format!("lanes#{partition}")
}

impl Record for Lane {
    const KIND: &'static str = "lane";

    fn key(&self) -> Key {
        self.name.key()
    }

    fn due(&self) -> Option<Due> {
        let at = self.due_at?;
        Some(Due { work: due_partition(&self.name.installation), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_held_by_somebody_until_the_lease_is_over() {
        let at = |second| LeaseTime::of(Timestamp::from_second(second).unwrap());
        let installation = InstallationId::new("icfg_1").unwrap();
        let mut lane = Lane::new(LaneName { installation, class: Class::Money, resource: None });
        assert!(!lane.is_held(at(0)));
        lane.lease_until = Some(at(10));
        assert!(!lane.is_held(at(9)), "by nobody");
        lane.holder = Some("h".to_owned());
        assert_eq!([9, 10, 11].map(|second| lane.is_held(at(second))), [true, false, false]);
        lane.lease_until = None;
        assert!(!lane.is_held(at(9)), "without a lease");
    }
}
