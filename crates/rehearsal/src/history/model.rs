//! What the history itself knows: what it asked for, and what was said to it. The provider is not asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::demo::readings::{Meter, decimal};

/// `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Period {
    pub(super) fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// A stretch of time in which a resource had one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) plan: String,
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

impl Segment {
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) id: String,
    pub(super) resource: String,
    pub(super) meter: Meter,
    pub(super) at: Timestamp,
    pub(super) nano: i128,
    /// Whether there is no reason to refuse it.
    pub(super) must_count: bool,
}

/// What came of something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was acknowledged: it has happened.
    Done,
    /// It was refused: it has not happened, and will not.
    Refused,
    /// Nobody said: it has happened once or not at all.
    Unknown,
}

/// A batch of usage.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) readings: Vec<Reading>,
    pub(super) fate: Fate,
    /// Readings that were refused alone.
    pub(super) refused: BTreeSet<String>,
}

impl Batch {
    /// What is sent.
    pub(super) fn data(&self) -> Value {
        let reading = |reading: &Reading| {
            json!({
                "id": reading.id,
                "resourceId": reading.resource,
                "meter": reading.meter.id(),
                "at": reading.at.to_string(),
                "quantity": decimal(reading.nano),
            })
        };
        json!({ "batchId": self.id, "readings": self.readings.iter().map(reading).collect::<Vec<_>>() })
    }
}

/// An amount put on the next invoice.
#[derive(Debug, Clone)]
pub(super) struct Adjustment {
    pub(super) name: String,
    pub(super) cents: i128,
    pub(super) fate: Fate,
}

/// A refund that was asked for.
#[derive(Debug, Clone)]
pub(super) struct RefundAsked {
    /// Our id of the invoice.
    pub(super) invoice: String,
    pub(super) cents: i128,
    pub(super) fate: Fate,
}

/// A resource that Vercel knows.
#[derive(Debug, Clone)]
pub(super) struct Bought {
    pub(super) id: String,
    pub(super) since: Timestamp,
    /// Whether anybody ever asked for its end.
    pub(super) is_leaving: bool,
}

/// A customer.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) resources: Vec<Bought>,
    pub(super) batches: Vec<Batch>,
    pub(super) adjustments: Vec<Adjustment>,
    pub(super) refunds: Vec<RefundAsked>,
    /// When an uninstall was first asked for.
    pub(super) leaves: Option<Timestamp>,
    /// The plans of every resource, as last seen in the table.
    pub(super) segments: BTreeMap<String, Vec<Segment>>,
    /// The periods that were closed, as seen in the table.
    pub(super) closed: BTreeSet<Period>,
}

impl Customer {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            resources: Vec::new(),
            batches: Vec::new(),
            adjustments: Vec::new(),
            refunds: Vec::new(),
            leaves: None,
            segments: BTreeMap::new(),
            closed: BTreeSet::new(),
        }
    }

    /// Resources whose end nobody has asked for.
    pub(super) fn staying(&self) -> Vec<&Bought> {
        if self.leaves.is_some() {
            return Vec::new();
        }
        self.resources.iter().filter(|bought| !bought.is_leaving).collect()
    }

    /// All readings that count.
    pub(super) fn counted(&self) -> Vec<&Reading> {
        let batches = self.batches.iter().filter(|batch| batch.fate == Fate::Done);
        batches.flat_map(|batch| batch.readings.iter().filter(|it| !batch.refused.contains(&it.id))).collect()
    }
}
