//! The push of one installation.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::{Client, ClientError};
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Billing, BillingData, InvalidBillingData, Period};
use tradepost_store::{StoreError, Write};

use crate::commit::committed;
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::edge::wide::{Field, count};
use crate::installed::{self, OpenToken};
use crate::provider::Provider;
use crate::slice::{self, FINAL_FOR, Slice, closed_totals};
use crate::state::{Installation, MeterTotal, PushFailed};
use tradepost_pricing::catalog::Catalog;
use tradepost_pricing::period;
use tradepost_pricing::pricing::{self, Metered, PricingError};

/// How many days may have ended since the last push: more than an installation was ever held.
const DAYS_MAX: usize = 400;
/// The most final figures sent in one push.
const FINALS_MAX: usize = 4;

/// What came of it.
pub(super) enum Pushed {
    /// Vercel has it.
    Accepted,
    /// It has not; a `PushFailed` says so. What it has is as old as this.
    Failed(Timestamp),
    /// There was nothing to push.
    Nothing,
}

/// Pushes one installation. `since` is when the shard's last run began.
pub(super) async fn one(
    provider: &Provider,
    id: &InstallationId,
    since: Timestamp,
    deadline: Deadline,
) -> Result<Pushed, ApiError> {
    // The instant before the Query: figures that are newer than it only make the next push.
    let now = provider.clock.now();
    let Some(slice) = slice::read(provider, id).await? else { return Ok(Pushed::Nothing) };
    if slice.resources.is_empty() || slice.installation.gone_since.is_some() {
        return Ok(Pushed::Nothing);
    }
    let Finals { mut owed, lost } = Finals::of(&slice, since, now);
    for day_end in &lost {
        tracing::error!(installation.id = %id, push.day_end = %day_end, "a day's last figures came too late");
    }
    count(Field::PushDaysLost, u32::try_from(lost.len()).unwrap_or(u32::MAX));
    let token = OpenToken::of(provider, &slice.installation, deadline).await?;
    let push = Push { provider, catalog: provider.catalog()?, vercel: provider.vercel()?, slice: &slice, token };
    let result = push.send_all(&mut owed, now).await;
    let Err(error) = result else {
        if let Some(failed) = &slice.push_failed {
            let key = PushFailed::key_of(id);
            committed(provider, vec![Write::delete(key, failed.version)]).await?;
        }
        return Ok(Pushed::Accepted);
    };
    let is_gone = matches!(error, PushError::Vercel(ClientError::Gone));
    let held = if is_gone { installed::gone(&slice.installation, now)? } else { None };
    if held.is_none() {
        tracing::warn!(installation.id = %id, error.cause = %error, "a push failed");
    }
    let earlier = slice.push_failed.as_ref();
    // Whoever had no failure before was pushed by the shard's last run, or was not there yet.
    let accepted_at = earlier.map_or(since.max(slice.installation.installed_at), |failed| failed.accepted());
    let failed = PushFailed {
        installation: id.clone(),
        since: earlier.map_or(now, |failed| failed.since),
        accepted_at: Some(accepted_at),
        attempts: earlier.map_or(0, |failed| failed.attempts) + 1,
        days_owed: owed.into_iter().collect(),
        days_until: Some(now),
        reason: error.to_string(),
    };
    let write = match earlier {
        Some(earlier) => Write::replace(&failed, earlier.version)?,
        None => Write::create(&failed)?,
    };
    // Nobody pushes it while it is held: what is owed is noted for the time after.
    let result = if held.is_some() { Pushed::Nothing } else { Pushed::Failed(accepted_at) };
    committed(provider, held.into_iter().chain([write]).collect()).await?;
    Ok(result)
}

#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Vercel(#[from] ClientError),
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Data(#[from] InvalidBillingData),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PushError {
    /// Whether the same figures would be refused again.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Vercel(error) => matches!(error.status(), Some(400 | 422)),
            Self::Data(_) => true,
            Self::Pricing(_) | Self::Store(_) => false,
        }
    }
}

/// The ends of days and periods whose figures have become final since the last push, or were owed before.
struct Finals {
    /// Those that Vercel still takes.
    owed: BTreeSet<Timestamp>,
    /// Those for which it is too late: gaps in what the customer watches. What charges is not touched.
    lost: BTreeSet<Timestamp>,
}

impl Finals {
    fn of(slice: &Slice, since: Timestamp, now: Timestamp) -> Self {
        let installation = &slice.installation;
        // Up to then a failure noted down what was owed; after it there may have been no push at all.
        let noted = slice.push_failed.as_ref().and_then(|failed| failed.days_until);
        let since = noted.map_or(since, |noted| noted.min(since));
        let periods = installation.open_periods(now);
        let ends = periods.iter().map(|period| period.end);
        let day_ends =
            std::iter::successors(Some(period::end_of_usage_day(since)), |end| Some(period::end_of_usage_day(*end)));
        let days = day_ends.take_while(|end| *end <= now).take(DAYS_MAX);
        let fresh = ends.chain(days).filter(|end| *end > since && *end <= now);
        let owed = slice.push_failed.iter().flat_map(|failed| failed.days_owed.iter().copied());
        let all: BTreeSet<Timestamp> =
            fresh.chain(owed).filter(|end| period_of(installation, just_before(*end)).is_some()).collect();
        let (mut owed, mut lost): (BTreeSet<_>, BTreeSet<_>) =
            all.into_iter().partition(|end| now.duration_since(*end) < FINAL_FOR);
        while owed.len() > FINALS_MAX {
            lost.extend(owed.pop_first());
        }
        Self { owed, lost }
    }
}

fn just_before(end: Timestamp) -> Timestamp {
    end.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(end)
}

/// The period that counts at `at`. One that was closed meanwhile is shown to its end all the same, to who is still there.
fn period_of(installation: &Installation, at: Timestamp) -> Option<Period> {
    let closed = || installation.closed_periods.iter().find(|period| period.contains(at)).copied();
    installation.period_at(at).or_else(|| closed().filter(|_| installation.is_active()))
}

/// The push of one installation.
struct Push<'a> {
    provider: &'a Provider,
    catalog: &'a Catalog,
    vercel: &'a Client,
    slice: &'a Slice,
    token: OpenToken,
}

impl Push<'_> {
    /// Final figures first, oldest first; then those of now. What was accepted is taken out of `finals`.
    async fn send_all(&self, finals: &mut BTreeSet<Timestamp>, now: Timestamp) -> Result<(), PushError> {
        let ahead = i64::try_from(finals.len()).unwrap_or(0);
        let mut stamp = now.saturating_sub(SignedDuration::from_millis(ahead)).unwrap_or(now);
        while let Some(end) = finals.first().copied() {
            let at = just_before(end);
            if let Some(period) = period_of(&self.slice.installation, at) {
                match self.send(period, at, stamp).await {
                    // For good: it must not keep the figures of now.
                    Err(error) if error.is_for_good() => {
                        count(Field::PushDaysLost, 1);
                        tracing::error!(error.cause = %error, "final figures were refused");
                    }
                    sent => sent?,
                }
            }
            finals.remove(&end);
            stamp = stamp.saturating_add(SignedDuration::from_millis(1)).unwrap_or(stamp);
        }
        match self.slice.installation.period_at(now) {
            Some(period) => self.send(period, now, now).await,
            None => Ok(()),
        }
    }

    /// The figures of one period as of `at`.
    async fn send(&self, period: Period, at: Timestamp, timestamp: Timestamp) -> Result<(), PushError> {
        let installation = &self.slice.installation;
        let is_closed = period.start < installation.period_start;
        let bill = if is_closed {
            let moved = closed_totals(self.provider, &installation.id, period.start).await?;
            // What was taken back, or is denied, is not billed, whatever was reported of it.
            let unbilled = self.slice.unbilled();
            let counts = |total: &&MeterTotal| !unbilled.contains(&total.resource);
            let mut totals: Vec<_> = moved.iter().filter(counts).map(slice::metered).collect();
            let is_moved = |it: &Metered<'_>| {
                moved.iter().any(|other| {
                    (&other.resource, other.segment, other.meter.as_str()) == (it.resource, it.segment, it.meter)
                })
            };
            totals.extend(self.slice.totals_of(period).into_iter().filter(|total| !is_moved(total)));
            self.slice.bill_of(self.catalog, period, at, &totals)?
        } else {
            self.slice.bill(self.catalog, period, at)?
        };
        let is_oldest = period.start == installation.period_start;
        let carried = if is_oldest { installation.carried_for_pricing() } else { Vec::new() };
        let settled = pricing::settle(&bill, &carried, false)?;
        let billing = Billing { items: settled.items, discounts: settled.discounts };
        let data = BillingData::new(timestamp, period::eod(at, period), period, billing, bill.usage)?;
        Ok(self.vercel.submit_billing_data(&self.token.call(), &data).await?)
    }
}
