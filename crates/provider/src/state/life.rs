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
        /// Whether Vercel knew it.
        known: Known,
    },
    /// Its create was undone, and it is gone: it is not billed.
    Undone {
        /// Of the undoing, not of when the provisioner had deleted it.
        ended_at: Timestamp,
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
        matches!(self, Self::Deleted { .. } | Self::Undone { .. })
    }

    /// Whether its create is undone: nothing of it is billed.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::TakenBack { .. } | Self::Undone { .. })
    }

    /// Whether Vercel was seen to know it, nobody has seen it yet, or Vercel denies it. Says
    /// nothing of one that was never made, or whose create was undone.
    pub const fn known_to_vercel(self) -> Option<Known> {
        match self {
            Self::Live { known } | Self::Deleted { known, .. } => Some(known),
            Self::Reserved | Self::TakenBack { .. } | Self::Undone { .. } => None,
        }
    }

    /// Whether Vercel denies it, and that is not settled.
    pub const fn is_denied(self) -> bool {
        matches!(self.known_to_vercel(), Some(Known::Denied))
    }

    /// Whether it is billed, for as long as it is, or was, there.
    pub const fn is_billed(self) -> bool {
        matches!(self, Self::KNOWN | Self::MADE | Self::Deleted { .. })
    }

    /// Whether readings of it are taken. They are, also while Vercel denies it: they show that somebody uses it.
    pub const fn is_metered(self) -> bool {
        self.known_to_vercel().is_some()
    }

    /// Whether it is not settled yet if Vercel knows it.
    pub const fn is_in_question(self) -> bool {
        matches!(self, Self::MADE | Self::DENIED)
    }

    /// When it ended, if it has.
    pub const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::TakenBack { ended_at } | Self::Deleted { ended_at, .. } | Self::Undone { ended_at } => Some(ended_at),
            Self::Reserved | Self::Live { .. } => None,
        }
    }

    /// Vercel named it, so it knows it.
    #[must_use]
    pub const fn known(self) -> Self {
        match self {
            Self::Live { .. } => Self::KNOWN,
            Self::Deleted { ended_at, .. } => Self::Deleted { ended_at, known: Known::Yes },
            other => other,
        }
    }

    /// Its create is undone, at `now`.
    #[must_use]
    pub const fn taken_back(self, now: Timestamp) -> Self {
        match self {
            Self::Deleted { ended_at, .. } => Self::Undone { ended_at },
            Self::Undone { .. } | Self::TakenBack { .. } => self,
            Self::Reserved | Self::Live { .. } => Self::TakenBack { ended_at: now },
        }
    }

    /// Gone, at `now`. One that ended before ended then, whenever the provisioner hears of it.
    #[must_use]
    pub const fn deleted(self, now: Timestamp) -> Self {
        match self {
            Self::Reserved => Self::Deleted { ended_at: now, known: Known::NotSeen },
            Self::Live { known } => Self::Deleted { ended_at: now, known },
            Self::TakenBack { ended_at } => Self::Undone { ended_at },
            Self::Deleted { .. } | Self::Undone { .. } => self,
        }
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
            Life::Deleted { .. } | Life::Undone { .. } => State::Deleted,
        };
        let is_seen = matches!(life.known_to_vercel(), None | Some(Known::Yes));
        let unconfirmed = life == Life::Reserved || !is_seen;
        Self { state, deleted_at: life.ended_at(), unconfirmed, denied: life.is_denied(), void: life.is_void() }
    }
}

impl TryFrom<Parts> for Life {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let ended_at = parts.deleted_at.ok_or("a resource that ended has no time of its end");
        let known = match (parts.denied, parts.unconfirmed) {
            (true, _) => Known::Denied,
            (false, true) => Known::NotSeen,
            (false, false) => Known::Yes,
        };
        Ok(match (parts.state, parts.void) {
            (State::Reserved, false) => Self::Reserved,
            (State::Reserved, true) => return Err("a resource that was never made is void"),
            (State::Live, false) => Self::Live { known },
            (State::Live, true) => Self::TakenBack { ended_at: ended_at? },
            (State::Deleted, false) => Self::Deleted { ended_at: ended_at?, known },
            (State::Deleted, true) => Self::Undone { ended_at: ended_at? },
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
            (Life::Deleted { ended_at, known: Known::Yes }, stored("deleted", Some(AT), false, false)),
            (Life::Deleted { ended_at, known: Known::NotSeen }, stored("deleted", Some(AT), true, false)),
            (Life::Undone { ended_at }, stored("deleted", Some(AT), false, true)),
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
        let ended_at = AT.parse().unwrap();
        for (life, mut text) in [
            (Life::DENIED, stored("live", None, true, false)),
            (Life::DENIED.deleted(ended_at), stored("deleted", Some(AT), true, false)),
        ] {
            text["denied"] = json!(true);
            assert_eq!(serde_json::to_value(life).unwrap(), text);
            assert_eq!(serde_json::from_value::<Life>(text).unwrap(), life);
        }
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
            // The customer left: what was there is billed.
            (Life::DENIED.deleted(Timestamp::UNIX_EPOCH), true, true, false),
            (Life::DENIED.deleted(Timestamp::UNIX_EPOCH).taken_back(Timestamp::UNIX_EPOCH), false, false, false),
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
        assert_eq!(Life::MADE.deleted(now), Life::Deleted { ended_at: now, known: Known::NotSeen });
        let taken_back = Life::TakenBack { ended_at: then };
        assert_eq!(taken_back.deleted(now), Life::Undone { ended_at: then });
        assert_eq!(Life::DENIED.taken_back(then).deleted(now), Life::DENIED.deleted(then).taken_back(now));
    }
}
