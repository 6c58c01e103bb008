//! The log of every request in either direction: who, what, when, how it went. No body, no header, no
//! query: nothing in it is a secret. In memory only, the oldest forgotten first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// How many requests are remembered.
pub(crate) const REQUESTS_MAX: usize = 100_000;
/// How many requests `/_sim/requests` shows at once.
pub(crate) const REQUESTS_PAGE: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// From the provider to Vercel.
    ToVercel,
    /// From Vercel to the provider.
    ToPartner,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) direction: Direction,
    pub(crate) method: String,
    pub(crate) path: String,
    /// `null` while it is under way, or if no status was ever sent.
    pub(crate) status: Option<u16>,
    /// `open`, `ok`, `refused`, `failed`, `not_sent`, `no_answer`, or the names of the faults.
    pub(crate) outcome: String,
}

#[derive(Default)]
struct Entries {
    next: u64,
    rows: VecDeque<Logged>,
}

#[derive(Default)]
pub(crate) struct RequestLog {
    entries: Mutex<Entries>,
}

impl RequestLog {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the beginning of a request and gives its number, from 1.
    pub(crate) fn begin(&self, at: Timestamp, direction: Direction, method: &str, path: &str) -> u64 {
        let mut entries = self.entries();
        entries.next += 1;
        let seq = entries.next;
        if entries.rows.len() >= REQUESTS_MAX {
            entries.rows.pop_front();
        }
        let (method, path, outcome) = (method.to_owned(), path.to_owned(), "open".to_owned());
        entries.rows.push_back(Logged { seq, at, direction, method, path, status: None, outcome });
        seq
    }

    /// Notes the end of a request.
    pub(crate) fn end(&self, seq: u64, status: Option<u16>, outcome: &str) {
        let mut entries = self.entries();
        let first = entries.rows.front().map_or(0, |row| row.seq);
        let at = seq.checked_sub(first).and_then(|n| usize::try_from(n).ok());
        if let Some(row) = at.and_then(|n| entries.rows.get_mut(n)) {
            row.status = status;
            outcome.clone_into(&mut row.outcome);
        }
    }

    /// The requests after number `since`, at most [`REQUESTS_PAGE`] of them.
    pub(crate) fn since(&self, since: u64) -> Vec<Logged> {
        let entries = self.entries();
        let start = entries.rows.partition_point(|row| row.seq <= since);
        entries.rows.iter().skip(start).take(REQUESTS_PAGE).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        *self.entries() = Entries::default();
    }
}

/// How an answer went, in a word.
pub(crate) fn outcome(status: u16) -> &'static str {
    match status {
        200..=399 => "ok",
        500.. => "failed",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_remembered_in_order_up_to_the_limit() {
        let log = RequestLog::default();
        for _ in 0..REQUESTS_MAX + 2 {
            let seq = log.begin(Timestamp::UNIX_EPOCH, Direction::ToVercel, "GET", "/x");
            log.end(seq, Some(200), outcome(200));
        }
        let first = log.since(0);
        assert_eq!((first[0].seq, first.len()), (3, REQUESTS_PAGE));
        let last = log.since(REQUESTS_MAX as u64 + 1);
        assert_eq!((last.len(), last[0].seq, last[0].outcome.as_str()), (1, REQUESTS_MAX as u64 + 2, "ok"));
    }
}
