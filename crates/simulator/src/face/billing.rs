//! A.2, A.13 and A.17: what is displayed, and the end of billing.

use http::StatusCode;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Inner;
use crate::clock::later;
use crate::engine::finalize::finalize_if_over;
use crate::engine::purchases;
use crate::face::installations::installation;
use crate::face::{Answer, Call, authorize};
use crate::model::{Interim, Life, ROWS_EACH_MAX};
use crate::refusal::{Refusal, empty_response};
use crate::rules::{
    A2_NOT_UNINSTALLING, A13_BODY, A13_END_OLD, A13_EOD, A13_EOD_OLD, A13_PERIOD, A17_BODY, LIMIT_ROWS,
};
use crate::wire::{Balance, Datetime, Discount, LineItem, Period, Usage, bounded, read};

/// How old `eod` and `period.end` may be (spec A.13).
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A.2.
pub(crate) fn finalize(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        if installation(world, id)?.life != Life::Uninstalling {
            return Err(A2_NOT_UNINSTALLING.refuse());
        }
        world.installations.update(id, |row| row.no_more_invoices = true);
        finalize_if_over(world, id, call.now);
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterimBody {
    timestamp: Datetime,
    eod: Datetime,
    period: Period,
    billing: Box<RawValue>,
    usage: Vec<Usage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BillingObject {
    items: Vec<LineItem>,
    #[serde(default)]
    discounts: Vec<Discount>,
}

impl InterimBody {
    /// `LineItem[] | { items, discounts? }`, told apart before the numbers are read.
    fn billing(&self) -> Result<BillingObject, Refusal> {
        let text = self.billing.get();
        let billing = if text.starts_with('[') {
            BillingObject { items: read(A13_BODY, text.as_bytes())?, discounts: Vec::new() }
        } else {
            read(A13_BODY, text.as_bytes())?
        };
        bounded("billing", &billing.items)?;
        bounded("discounts", &billing.discounts)?;
        bounded("usage", &self.usage)?;
        Ok(billing)
    }

    fn check(&self, now: jiff::Timestamp) -> Result<(), Refusal> {
        let is_old = |at: Datetime| later(at.0, AGE_MAX) < now;
        let broken = if self.period.start >= self.period.end {
            A13_PERIOD
        } else if self.eod < self.period.start || self.eod > self.period.end {
            A13_EOD
        } else if is_old(self.period.end) {
            A13_END_OLD
        } else if is_old(self.eod) {
            A13_EOD_OLD
        } else {
            return Ok(());
        };
        Err(broken.because(format!("eod {}, period {} to {}, now {now}", self.eod, self.period.start, self.period.end)))
    }
}

/// A.13. Only displayed; the newest timestamp of each day wins.
pub(crate) fn interim(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: InterimBody = read(A13_BODY, &call.body)?;
        body.check(call.now)?;
        let BillingObject { items, discounts } = body.billing()?;
        let day = body.eod.0.to_zoned(TimeZone::UTC).date();
        let key = format!("{id}/{}/{day}", body.period.start);
        let (timestamp, eod, period, usage) = (body.timestamp, body.eod, body.period, body.usage);
        let is_new = world.interim.get(&key).is_none();
        if is_new && world.interim.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("days of interim data"));
        }
        if world.interim.get(&key).is_none_or(|row| row.timestamp <= timestamp) {
            let row = Interim { installation_id: id.to_owned(), timestamp, eod, period, items, discounts, usage };
            world.interim.put(&key, row);
        }
        world.installations.update(id, |row| row.interim_count += 1);
        Ok(empty_response(StatusCode::CREATED))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BalanceBody {
    timestamp: Datetime,
    balances: Vec<Balance>,
}

/// A.17. The newest timestamp wins.
pub(crate) fn balance(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: BalanceBody = read(A17_BODY, &call.body)?;
        bounded("balances", &body.balances)?;
        purchases::record_balances(world, id, body.timestamp, body.balances, call.now)?;
        Ok(empty_response(StatusCode::CREATED))
    })
}
