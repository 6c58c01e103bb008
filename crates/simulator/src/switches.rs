//! Switches for what nobody outside knows of Vercel: set by `PUT /_sim/switches`, so that tests play both readings.
//!
//! Without one, everything is as the specification's first reading has it.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, json_response};
use crate::table::Row;
use crate::wire::Decimal;
use crate::world::World;
use crate::{Inner, control, lock};

/// The most installations that are gone at once.
pub(crate) const GONE_MAX: usize = 1_000;

/// What `refundTotal` says after several refunds (spec A.15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundTotal {
    /// All of them.
    #[default]
    Cumulative,
    /// The last.
    Last,
    /// It is not there.
    Absent,
}

/// What A.8 and A.9 say of an installation that is being uninstalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leaving {
    /// Its resources, as before.
    #[default]
    Served,
    /// That there are none.
    Forgotten,
}

/// Whether A.8 and A.9 say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unlisted {
    /// They do.
    #[default]
    Agree,
    /// A.9 knows no resource.
    GetUnknown,
    /// A.8 lists none.
    ListEmpty,
}

/// How a refusal goes out (spec G).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Envelopes {
    /// In Vercel's envelope.
    #[default]
    Kept,
    /// As a page, with the same status.
    Lost,
}

/// What becomes of the webhooks of refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundWebhooks {
    /// They are delivered.
    #[default]
    Sent,
    /// They never come.
    Lost,
}

/// Whether a resource is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lock {
    /// Never.
    #[default]
    None,
    /// While its rotation (B.10) waits for the provider's answer, A.18 is refused.
    DuringRotation,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Switches {
    /// The tax that `total` (A.15) and `invoiceTotal` (E) contain on top of the lines, in percent.
    pub(crate) tax_percent: u8,
    pub(crate) refund_total: RefundTotal,
    /// Whether `refundTotal` (A.15) and the webhooks' `amount` (E) contain that tax, too.
    pub(crate) refund_tax: bool,
    pub(crate) refund_webhooks: RefundWebhooks,
    pub(crate) leaving: Leaving,
    pub(crate) unlisted: Unlisted,
    /// Installations of which every call is answered 410.
    pub(crate) gone: Vec<String>,
    pub(crate) envelopes: Envelopes,
    /// Whether `integration-configuration.removed` names the team.
    pub(crate) removed_team: bool,
    pub(crate) lock: Lock,
}

impl Row for Switches {}

impl Switches {
    /// Whether a webhook never comes.
    pub(crate) fn loses(&self, kind: &str) -> bool {
        self.refund_webhooks == RefundWebhooks::Lost && kind == "marketplace.invoice.refunded"
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.tax_percent > 100 {
            return Err(Refusal::bad_request("switches: `taxPercent` is from 0 to 100"));
        }
        if self.gone.len() > GONE_MAX {
            return Err(Refusal::bad_request(format!("switches: at most {GONE_MAX} installations are `gone`")));
        }
        Ok(())
    }

    /// An amount that was given back, as Vercel tells it.
    pub(crate) fn given_back(&self, amount: Option<&Decimal>) -> Option<Decimal> {
        amount.map(|amount| if self.refund_tax { self.taxed(amount) } else { amount.clone() })
    }

    /// An amount with the tax on it, rounded half up.
    pub(crate) fn taxed(&self, amount: &Decimal) -> Decimal {
        let cents = amount.cents().unwrap_or_default();
        let tax = (cents * i128::from(self.tax_percent) + 50) / 100;
        if tax == 0 { amount.clone() } else { Decimal::from_cents(cents + tax) }
    }
}

/// What is locked while a rotation of this resource waits for its answer.
fn lock_of(id: &str, resource_id: &str) -> String {
    format!("rotation of {id}/{resource_id}")
}

/// Locks a resource until it is dropped.
pub(crate) struct Locked<'a> {
    simulator: &'a Inner,
    key: String,
}

impl<'a> Locked<'a> {
    pub(crate) fn begin(simulator: &'a Inner, id: &str, resource_id: &str) -> Self {
        let key = lock_of(id, resource_id);
        lock(&simulator.busy).insert(key.clone());
        Self { simulator, key }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        lock(&self.simulator.busy).remove(&self.key);
    }
}

/// Whether A.18 is refused for a resource now.
pub(crate) fn is_locked(simulator: &Inner, id: &str, resource_id: &str) -> bool {
    let is_rotating = || lock(&simulator.busy).contains(&lock_of(id, resource_id));
    simulator.store.read(|world| world.switches().lock) == Lock::DuringRotation && is_rotating()
}

/// `PUT /_sim/switches`.
pub(crate) fn put(simulator: &Inner, switches: Switches) -> control::Answer {
    switches.check()?;
    simulator.store.write(|world| {
        world.set_switches(switches);
        Ok(())
    })?;
    Ok(show(simulator))
}

/// The present setting.
pub(crate) fn show(simulator: &Inner) -> http::Response<bytes::Bytes> {
    simulator.store.read(|world: &World| json_response(StatusCode::OK, world.switches()))
}
