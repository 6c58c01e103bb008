//! Where a resource stands in its life: one value, so that no two fields can contradict each other.
//!
//! Stored as four attributes of the item (`state`, `deleted_at`, `unconfirmed`, `void`), as the first releases wrote
//! them. What no flow ever writes, such as a deleted resource without the time of it, is not read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub enum Life {
    /// Its id is taken; the provisioner has not said yes.
    Reserved,
    /// It exists and is billed.
    Live {
        /// Whether Vercel was seen to know it: the answer to its create may have been lost.
        is_known: bool,
    },
    /// Undone, because Vercel does not know it: it is not billed. The provisioner still has it.
    TakenBack {
        /// From then on nothing of it is billed.
        ended_at: Timestamp,
    },
    /// It is gone; kept for the open period's invoice.
    Deleted {
        /// From then on nothing of it is billed.
        ended_at: Timestamp,
        /// Whether it was undone before: then nothing of it is billed.
        is_void: bool,
    },
}

impl Life {
    /// Made, and seen by nobody yet.
    pub const MADE: Self = Self::Live { is_known: false };

    /// Whether it can be changed.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// Whether the provisioner has it.
    pub const fn is_there(self) -> bool {
        matches!(self, Self::Live { .. } | Self::TakenBack { .. })
    }

    /// Whether it is gone.
    pub const fn is_deleted(self) -> bool {
        matches!(self, Self::Deleted { .. })
    }

    /// Whether its create is undone: nothing of it is billed.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::TakenBack { .. } | Self::Deleted { is_void: true, .. })
    }

    /// Whether it is, or was, there to be billed.
    pub const fn is_billed(self) -> bool {
        matches!(self, Self::Live { .. } | Self::Deleted { is_void: false, .. })
    }

    /// When it ended, if it has.
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::TakenBack { ended_at } | Self::Deleted { ended_at, .. } => Some(ended_at),
            Self::Reserved | Self::Live { .. } => None,
        }
    }

    /// Vercel named it, so it knows it.
    #[must_use]
    pub const fn known(self) -> Self {
        match self {
            Self::Live { .. } => Self::Live { is_known: true },
            other => other,
        }
    }

    /// Gone, at `now`. One that ended before ended then, whenever the provisioner hears of it.
    #[must_use]
    pub fn deleted(self, now: Timestamp) -> Self {
        Self::Deleted { ended_at: self.ended_at().unwrap_or(now), is_void: self.is_void() }
    }
}

/// As it is stored.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Parts {
    state: State,
    deleted_at: Option<Timestamp>,
    #[serde(default)]
    unconfirmed: bool,
    #[serde(default)]
    void: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Reserved,
    Live,
    Deleted,
}

impl From<Life> for Parts {
    fn from(life: Life) -> Self {
        let state = match life {
            Life::Reserved => State::Reserved,
            Life::Live { .. } | Life::TakenBack { .. } => State::Live,
            Life::Deleted { .. } => State::Deleted,
        };
        let unconfirmed = matches!(life, Life::Reserved | Life::Live { is_known: false });
        Self { state, deleted_at: life.ended_at(), unconfirmed, void: life.is_void() }
    }
}

impl TryFrom<Parts> for Life {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let ended_at = parts.deleted_at.ok_or("a resource that ended has no time of its end");
        Ok(match (parts.state, parts.void) {
            (State::Reserved, false) => Self::Reserved,
            (State::Reserved, true) => return Err("a resource that was never made is void"),
            (State::Live, false) => Self::Live { is_known: !parts.unconfirmed },
            (State::Live, true) => Self::TakenBack { ended_at: ended_at? },
            (State::Deleted, is_void) => Self::Deleted { ended_at: ended_at?, is_void },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const AT: &str = "2027-01-01T00:00:00Z";

    fn stored(state: &str, deleted_at: Option<&str>, unconfirmed: bool, void: bool) -> Value {
        json!({ "state": state, "deleted_at": deleted_at, "unconfirmed": unconfirmed, "void": void })
    }

    #[test]
    fn every_life_is_stored_as_the_first_releases_wrote_it() {
        let ended_at = AT.parse().unwrap();
        let table = [
            (Life::Reserved, stored("reserved", None, true, false)),
            (Life::Live { is_known: false }, stored("live", None, true, false)),
            (Life::Live { is_known: true }, stored("live", None, false, false)),
            (Life::TakenBack { ended_at }, stored("live", Some(AT), false, true)),
            (Life::Deleted { ended_at, is_void: false }, stored("deleted", Some(AT), false, false)),
            (Life::Deleted { ended_at, is_void: true }, stored("deleted", Some(AT), false, true)),
        ];
        for (life, stored) in table {
            assert_eq!(serde_json::to_value(life).unwrap(), stored);
            assert_eq!(serde_json::from_value::<Life>(stored).unwrap(), life);
        }
        // Before a resource's doubts were written down.
        let old = json!({ "state": "live", "deleted_at": null });
        assert_eq!(serde_json::from_value::<Life>(old).unwrap(), Life::Live { is_known: true });
    }

    #[test]
    fn what_no_flow_writes_is_not_read() {
        for (state, void) in [("deleted", false), ("deleted", true), ("live", true), ("reserved", true)] {
            assert!(serde_json::from_value::<Life>(stored(state, None, false, void)).is_err(), "{state} {void}");
        }
    }

    #[test]
    fn what_ended_before_stays_ended_then() {
        let (then, now) = (AT.parse().unwrap(), "2027-02-01T00:00:00Z".parse().unwrap());
        assert_eq!(Life::MADE.deleted(now), Life::Deleted { ended_at: now, is_void: false });
        let taken_back = Life::TakenBack { ended_at: then };
        assert_eq!(taken_back.deleted(now), Life::Deleted { ended_at: then, is_void: true });
    }
}
