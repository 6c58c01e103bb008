//! What went over the wire, by the simulator's log of requests: of this process only, since the log is in memory.

use std::collections::BTreeMap;

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::script::{instant, start, uninstall};
use crate::control::Control;

/// The most pages of the log that are read; the simulator keeps no more.
const PAGES_MAX: usize = 101;
/// The most missing pushes that are told.
const TOLD_MAX: usize = 5;
/// In the paths of calls about money: invoices and refunds.
pub(super) const INVOICES: &str = "/billing/invoices";
/// In the path of the exchange of a sign-on code.
pub(super) const CODES: &str = "/integrations/sso/token";

#[derive(Deserialize)]
struct Row {
    at: Timestamp,
    direction: String,
    method: String,
    path: String,
    outcome: String,
}

#[derive(Deserialize)]
struct Page {
    requests: Vec<Row>,
    next: u64,
}

/// The provider's calls to Vercel, in order.
pub(super) struct Requests(Vec<Row>);

impl Requests {
    /// Reads the log, page by page.
    pub(super) async fn of(control: &Control) -> anyhow::Result<Self> {
        let (mut rows, mut since) = (Vec::new(), 0);
        for _ in 0..PAGES_MAX {
            let page: Page = control.get(&format!("/_sim/requests?since={since}")).await?.read()?;
            if page.requests.is_empty() {
                return Ok(Self(rows));
            }
            rows.extend(page.requests.into_iter().filter(|row| row.direction == "to_vercel"));
            since = page.next;
        }
        bail!("the simulator's log has more than {PAGES_MAX} pages")
    }

    /// How many calls with `part` in their path met one of these faults.
    pub(super) fn struck(&self, part: &str, faults: &[&str]) -> u64 {
        let is_struck = |row: &&Row| row.path.contains(part) && faults.iter().any(|fault| row.outcome.contains(fault));
        u64::try_from(self.0.iter().filter(is_struck).count()).unwrap_or(u64::MAX)
    }

    /// The hours of the customer's stay without a push that Vercel took, and pushes that it did not take; for a month
    /// without faults. At midnight the figures of the day before go first, so there are two.
    pub(super) fn pushes_missing(&self) -> Vec<String> {
        let is_push = |row: &&Row| row.method == "POST" && row.path.ends_with("/billing");
        let mut taken: BTreeMap<i64, usize> = BTreeMap::new();
        let mut missing = Vec::new();
        for push in self.0.iter().filter(is_push) {
            if push.outcome == "ok" {
                *taken.entry(push.at.duration_since(start()).as_hours()).or_default() += 1;
            } else {
                missing.push(format!("the push of {} went {}", push.at, push.outcome));
            }
        }
        // The customer comes after the push of hour 0, and its shard is first due in hour 1, which an hourly cron serves
        // at its end; the push of the hour in which it leaves may be after that.
        let hours = uninstall().duration_since(start()).as_hours();
        for hour in 2..hours {
            let wanted = if hour % 24 == 0 { 2 } else { 1 };
            let found = taken.get(&hour).copied().unwrap_or_default();
            if found < wanted {
                let at = instant(hour, SignedDuration::ZERO);
                missing.push(format!("Vercel took {found} pushes in the hour from {at}, not {wanted}"));
            }
        }
        missing.truncate(TOLD_MAX);
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::HOURS;
    use super::*;

    fn push(hour: i64, outcome: &str) -> Row {
        let (direction, method) = ("to_vercel".to_owned(), "POST".to_owned());
        let (path, outcome) = ("/v1/installations/icfg_1/billing".to_owned(), outcome.to_owned());
        Row { at: instant(hour, SignedDuration::ZERO), direction, method, path, outcome }
    }

    /// The pushes of a good month, in the hours that `keep` keeps.
    fn month(keep: impl Fn(i64) -> bool) -> Vec<Row> {
        let hours = (2..HOURS + 60).filter(|hour| keep(*hour));
        hours.flat_map(|hour| (0..if hour % 24 == 0 { 2 } else { 1 }).map(move |_| push(hour, "ok"))).collect()
    }

    #[test]
    fn one_hour_without_a_push_is_told() {
        assert_eq!(Requests(month(|_| true)).pushes_missing(), Vec::<String>::new());
        let told = Requests(month(|hour| hour != 500)).pushes_missing();
        assert_eq!(told, ["Vercel took 0 pushes in the hour from 2027-01-21T20:00:00Z, not 1"]);
        let mut rows = month(|hour| hour != 48);
        rows.push(push(48, "ok"));
        assert_eq!(Requests(rows).pushes_missing().len(), 1, "a day's final figures are missing");
        let mut rows = month(|_| true);
        rows.push(push(7, "failed"));
        assert_eq!(Requests(rows).pushes_missing(), ["the push of 2027-01-01T07:00:00Z went failed"]);
    }

    #[test]
    fn faults_are_counted_by_where_they_struck() {
        let mut rows = vec![push(1, "reset_after"), push(2, "ok")];
        rows.push(Row { path: "/v1/installations/icfg_1/billing/invoices/mi_1".to_owned(), ..push(3, "reset_after") });
        rows.push(Row { path: "/v1/integrations/sso/token".to_owned(), ..push(4, "refused") });
        let requests = Requests(rows);
        assert_eq!(requests.struck(INVOICES, &["reset_after"]), 1);
        assert_eq!(requests.struck(CODES, &["reset_after"]), 0);
        assert_eq!(requests.struck("/v1/", &["status"]), 0);
    }
}
