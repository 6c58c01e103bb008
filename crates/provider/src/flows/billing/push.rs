//! The push of one installation.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::client::{Client, ClientError};
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::{Billing, BillingData, InvalidBillingData, Period};
use tradepost_store::Write;

use crate::catalog::Catalog;
use crate::edge::ApiError;
use crate::flows::slice::{self, Slice};
use crate::flows::{OpenToken, committed};
use crate::period;
use crate::pricing::{self, PricingError};
use crate::provider::{Deadline, Provider};
use crate::state::PushFailed;

/// How long Vercel takes final figures (spec A.13: `eod` and `period.end` are at most 24 h old).
const FINAL_FOR: SignedDuration = SignedDuration::from_hours(24);
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
    if slice.resources.is_empty() {
        return Ok(Pushed::Nothing);
    }
    let mut finals = finals(&slice, since, now);
    let token = OpenToken::of(provider, &slice.installation, deadline).await?;
    let push = Push { catalog: provider.catalog()?, vercel: provider.vercel()?, slice: &slice, token };
    let result = push.send_all(&mut finals, now).await;
    let Err(error) = result else {
        if let Some(failed) = &slice.push_failed {
            let key = PushFailed::key_of(id);
            committed(provider, vec![Write::delete(key, failed.version)]).await?;
        }
        return Ok(Pushed::Accepted);
    };
    tracing::warn!(installation.id = %id, error.cause = %error, "a push failed");
    let earlier = slice.push_failed.as_ref();
    // Whoever had no failure before was pushed by the shard's last run, or was not there yet.
    let accepted_at = earlier.map_or(since.max(slice.installation.installed_at), |failed| failed.accepted());
    let failed = PushFailed {
        installation: id.clone(),
        since: earlier.map_or(now, |failed| failed.since),
        accepted_at: Some(accepted_at),
        attempts: earlier.map_or(0, |failed| failed.attempts) + 1,
        days_owed: finals.into_iter().collect(),
        reason: error.to_string(),
    };
    let write = match earlier {
        Some(earlier) => Write::replace(&failed, earlier.version)?,
        None => Write::create(&failed)?,
    };
    committed(provider, vec![write]).await?;
    Ok(Pushed::Failed(accepted_at))
}

#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Vercel(#[from] ClientError),
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Data(#[from] InvalidBillingData),
}

impl PushError {
    /// Whether the same figures would be refused again.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Vercel(error) => matches!(error.status(), Some(400 | 422)),
            Self::Data(_) => true,
            Self::Pricing(_) => false,
        }
    }
}

/// The ends of days and periods since the last push whose figures are final and still taken.
fn finals(slice: &Slice, since: Timestamp, now: Timestamp) -> BTreeSet<Timestamp> {
    let periods = slice.installation.open_periods(now);
    let ends = periods.iter().map(|period| period.end);
    let day_ends =
        std::iter::successors(Some(period::end_of_usage_day(since)), |end| Some(period::end_of_usage_day(*end)));
    let days = day_ends.take_while(|end| *end <= now).take(32);
    let fresh = ends.chain(days).filter(|end| *end > since && *end <= now);
    let owed = slice.push_failed.iter().flat_map(|failed| failed.days_owed.iter().copied());
    let taken = |end: &Timestamp| now.duration_since(*end) < FINAL_FOR;
    let all: BTreeSet<Timestamp> = fresh.chain(owed).filter(taken).collect();
    let skip = all.len().saturating_sub(FINALS_MAX);
    all.into_iter().skip(skip).collect()
}

/// The push of one installation.
struct Push<'a> {
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
            let at = end.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(end);
            if let Some(period) = self.slice.installation.period_at(at) {
                match self.send(period, at, stamp).await {
                    // For good: it must not keep the figures of now.
                    Err(error) if error.is_for_good() => {
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
        let bill = self.slice.bill(self.catalog, period, at)?;
        let is_oldest = period.start == installation.period_start;
        let carried = if is_oldest { installation.carried_for_pricing() } else { Vec::new() };
        let settled = pricing::settle(&bill, &carried, false)?;
        let billing = Billing { items: settled.items, discounts: settled.discounts };
        let data = BillingData::new(timestamp, period::eod(at, period), period, billing, bill.usage)?;
        Ok(self.vercel.submit_billing_data(&self.token.call(), &data).await?)
    }
}
