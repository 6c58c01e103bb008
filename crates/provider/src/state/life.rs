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
        /// Whether Vercel knows it: the answer to its create may have been lost.
        known: Known,
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

/// Whether Vercel knows a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was seen to.
    Yes,
    /// Nobody has seen it yet.
    NotSeen,
    /// Vercel says that it does not, and that is not settled: nothing of it is billed, and nothing of it is destroyed.
    Denied,
}

impl Life {
    /// Made, and seen by nobody yet.
    pub const MADE: Self = Self::Live { known: Known::NotSeen };
    /// Made, and known to Vercel.
    pub const KNOWN: Self = Self::Live { known: Known::Yes };
    /// Made, and denied by Vercel.
    pub const DENIED: Self = Self::Live { known: Known::Denied };

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

    /// Whether it is billed, for as long as it is, or was, there.
    pub const fn is_billed(self) -> bool {
        matches!(self, Self::KNOWN | Self::MADE | Self::Deleted { is_void: false, .. })
    }

    /// Whether readings of it are taken. They are, also while Vercel denies it: they show that somebody uses it.
    pub const fn is_metered(self) -> bool {
        matches!(self, Self::Live { .. } | Self::Deleted { is_void: false, .. })
    }

    /// Whether it is not settled yet if Vercel knows it.
    pub const fn is_in_question(self) -> bool {
        matches!(self, Self::MADE | Self::DENIED)
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
            Self::Live { .. } => Self::KNOWN,
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
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    denied: bool,
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
        let unconfirmed = matches!(life, Life::Reserved | Life::MADE | Life::DENIED);
        Self { state, deleted_at: life.ended_at(), unconfirmed, denied: life == Life::DENIED, void: life.is_void() }
    }
}

impl TryFrom<Parts> for Life {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let ended_at = parts.deleted_at.ok_or("a resource that ended has no time of its end");
        Ok(match (parts.state, parts.void) {
            (State::Reserved, false) => Self::Reserved,
            (State::Reserved, true) => return Err("a resource that was never made is void"),
            (State::Live, false) if parts.denied => Self::DENIED,
            (State::Live, false) if parts.unconfirmed => Self::MADE,
            (State::Live, false) => Self::KNOWN,
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
            (Life::MADE, stored("live", None, true, false)),
            (Life::KNOWN, stored("live", None, false, false)),
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
        assert_eq!(serde_json::from_value::<Life>(old).unwrap(), Life::KNOWN);
    }

    /// To an earlier release it is one that nobody has seen.
    #[test]
    fn what_vercel_denies_says_so_beside_them() {
        let mut text = stored("live", None, true, false);
        text["denied"] = json!(true);
        assert_eq!(serde_json::to_value(Life::DENIED).unwrap(), text);
        assert_eq!(serde_json::from_value::<Life>(text).unwrap(), Life::DENIED);
    }

    #[test]
    fn what_is_denied_is_metered_and_not_billed() {
        for (life, billed, metered, in_question) in [
            (Life::Reserved, false, false, false),
            (Life::MADE, true, true, true),
            (Life::DENIED, false, true, true),
            (Life::KNOWN, true, true, false),
            (Life::TakenBack { ended_at: Timestamp::UNIX_EPOCH }, false, false, false),
            (Life::KNOWN.deleted(Timestamp::UNIX_EPOCH), true, true, false),
            // The customer deleted it: so it was known.
            (Life::DENIED.deleted(Timestamp::UNIX_EPOCH), true, true, false),
        ] {
            assert_eq!(
                (life.is_billed(), life.is_metered(), life.is_in_question()),
                (billed, metered, in_question),
                "{life:?}"
            );
        }
        assert_eq!(Life::DENIED.known(), Life::KNOWN);
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
