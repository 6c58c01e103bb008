//! A.2, A.13 and A.17: what is displayed, and the end of billing.

use http::StatusCode;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Inner;
use crate::clock::later;
use crate::engine::finalize::finalize_if_over;
use crate::face::installations::installation;
use crate::face::{Answer, Call, authorize};
use crate::model::{Interim, Life, ROWS_EACH_MAX, StoredBalance};
use crate::refusal::{Refusal, empty_response};
use crate::wire::{Balance, Datetime, Discount, LIST_ITEMS_MAX, LineItem, Period, Usage, read};

/// How old `eod` and `period.end` may be (spec A.13).
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A.2.
pub(crate) fn finalize(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        if installation(world, id)?.life != Life::Uninstalling {
            return Err(Refusal::conflict("spec A.2: the installation is not being uninstalled"));
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

fn too_many(rule: &str) -> Refusal {
    Refusal::bad_request(format!("{rule}: more than {LIST_ITEMS_MAX} entries"))
}

impl InterimBody {
    /// `LineItem[] | { items, discounts? }`, told apart before the numbers are read.
    fn billing(&self) -> Result<BillingObject, Refusal> {
        let text = self.billing.get();
        let billing = if text.starts_with('[') {
            BillingObject { items: read("spec A.13: billing", text.as_bytes())?, discounts: Vec::new() }
        } else {
            read("spec A.13: billing", text.as_bytes())?
        };
        let is_long = |length: usize| length > LIST_ITEMS_MAX;
        if is_long(billing.items.len()) || is_long(billing.discounts.len()) || is_long(self.usage.len()) {
            return Err(too_many("spec A.13"));
        }
        Ok(billing)
    }

    fn check(&self, now: jiff::Timestamp) -> Result<(), Refusal> {
        let wrong = |what: &str| Err(Refusal::bad_request(format!("spec A.13: {what}")));
        let is_old = |at: Datetime| later(at.0, AGE_MAX) < now;
        if self.period.start >= self.period.end {
            return wrong("period.start is not before period.end");
        }
        if self.eod < self.period.start || self.eod > self.period.end {
            return wrong("eod is not within the period");
        }
        if is_old(self.eod) {
            return wrong("eod is older than 24 h");
        }
        if is_old(self.period.end) {
            return wrong("period.end is older than 24 h");
        }
        Ok(())
    }
}

/// A.13. Only displayed; the newest timestamp of each day wins.
pub(crate) fn interim(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: InterimBody = read("spec A.13", &call.body)?;
        body.check(call.now)?;
        let BillingObject { items, discounts } = body.billing()?;
        let day = body.eod.0.to_zoned(TimeZone::UTC).date();
        let key = format!("{id}/{}/{day}", body.period.start);
        let (timestamp, eod, period, usage) = (body.timestamp, body.eod, body.period, body.usage);
        let is_new = world.interim.get(&key).is_none();
        if is_new && world.interim.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(Refusal::limit("days of interim data", ROWS_EACH_MAX));
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
        let body: BalanceBody = read("spec A.17", &call.body)?;
        if body.balances.len() > LIST_ITEMS_MAX {
            return Err(too_many("spec A.17"));
        }
        if world.balances.under(&format!("{id}/")).count() + body.balances.len() > ROWS_EACH_MAX + LIST_ITEMS_MAX {
            return Err(Refusal::limit("balances", ROWS_EACH_MAX));
        }
        for balance in body.balances {
            let key = format!("{id}/{}", balance.resource_id.as_deref().unwrap_or_default());
            if world.balances.get(&key).is_none_or(|row| row.timestamp <= body.timestamp) {
                let (installation_id, timestamp) = (id.to_owned(), body.timestamp);
                world.balances.put(&key, StoredBalance { installation_id, timestamp, balance });
            }
        }
        Ok(empty_response(StatusCode::CREATED))
    })
}
