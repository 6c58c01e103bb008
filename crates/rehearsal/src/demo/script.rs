//! The month's script: who does what, when. Times are fixed, so that a run that was killed knows by the clock alone
//! what is done.
//!
//! Readings of an hour go out in its last minute; what people do, they do at 20 past; so every reading finds the
//! plans of its instant settled. February's waits are windows: their work may be late under faults.

use jiff::{SignedDuration, Timestamp};
use tradepost_simulator::DEFAULT_START_SECONDS;

/// The metered plan.
pub const SCALE: &str = "ledgerbase-scale-1";
/// The fixed plan.
pub const TEAM: &str = "ledgerbase-team-1";
/// The product, by its slug.
pub const PRODUCT: &str = "ledgerbase";
/// Days of usage.
pub const DAYS: i64 = 31;
/// Hours of usage.
pub const HOURS: i64 = DAYS * 24;
/// What the first resource is renamed to.
pub const RENAMED: &str = "orders-eu";
/// What is given back, in cents.
pub const REFUND_CENTS: i128 = 350;
/// Why.
pub const REFUND_REASON: &str = "An hour of downtime on 2027-01-20";
/// For how long the old secrets stay good, in hours.
pub const GRACE_HOURS: i64 = 24;
/// Which resource's secrets are rotated, and which is renamed.
pub const ROTATED: usize = 0;
/// Which resource changes its plan.
pub const CHANGED: usize = 2;

/// A resource of the demo's customer.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its first name.
    pub name: &'static str,
    /// Its first plan.
    pub plan: &'static str,
}

/// The three resources.
pub const RESOURCES: [Spec; 3] =
    [Spec { name: "orders", plan: SCALE }, Spec { name: "search", plan: SCALE }, Spec { name: "docs", plan: TEAM }];

/// An instant of the month: so many hours after its start, and then some. Hours go on into February.
pub fn instant(hour: i64, more: SignedDuration) -> Timestamp {
    let start = Timestamp::from_second(DEFAULT_START_SECONDS).unwrap_or_default();
    start.saturating_add(SignedDuration::from_hours(hour)).and_then(|at| at.saturating_add(more)).unwrap_or(start)
}

/// When the readings of an hour are reported.
pub fn reported(hour: i64) -> Timestamp {
    instant(hour, SignedDuration::from_mins(59))
}

/// When a reading of this instant is reported.
pub fn reported_at(at: Timestamp) -> Timestamp {
    reported(at.duration_since(start()).as_hours())
}

/// The month's first instant.
pub fn start() -> Timestamp {
    instant(0, SignedDuration::ZERO)
}

/// The month's end.
pub fn end() -> Timestamp {
    instant(HOURS, SignedDuration::ZERO)
}

/// When the mid-month plan change is.
pub fn plan_change() -> Timestamp {
    on(16, 12, 20)
}

/// When the customer leaves.
pub fn uninstall() -> Timestamp {
    on(DAYS + 3, 12, 0)
}

/// Day of January (on into February), hour, minute.
fn on(day: i64, hour: i64, minute: i64) -> Timestamp {
    instant((day - 1) * 24 + hour, SignedDuration::from_mins(minute))
}

/// What is done in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// The customer installs the integration.
    Install,
    /// The customer provisions the three resources.
    Provision,
    /// The partner reports the readings of an hour.
    Report {
        /// Which, from 0.
        hour: i64,
    },
    /// Vercel asks for a rotation.
    Rotate,
    /// Vercel must have the new secrets, and the old ones must still be good.
    InGrace,
    /// The old secrets must be dead.
    AfterGrace,
    /// The partner renames a resource.
    Rename,
    /// Vercel must know the new name.
    Renamed,
    /// A person signs on.
    SignOn,
    /// The customer changes a plan.
    ChangePlan,
    /// The period's invoice must be there.
    Invoiced,
    /// It must be paid, and we must know.
    Paid,
    /// The partner gives some of it back.
    Refund,
    /// It must be given back, and we must know.
    Refunded,
    /// The customer leaves.
    Uninstall,
    /// The final invoice must be there.
    FinalInvoiced,
    /// It must be paid and the installation finalized.
    Finalized,
    /// Nothing must be owed any more.
    Settled,
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When it is done.
    pub at: Timestamp,
    /// Until when it may wait for what it expects, hour by hour.
    pub until: Option<Timestamp>,
    /// What is done.
    pub doing: Doing,
    /// Whether the act ends with it.
    pub ends_act: bool,
}

impl Step {
    /// Whether a run that finds the clock at `now` has done it.
    pub fn is_done(&self, now: Timestamp) -> bool {
        self.until.unwrap_or(self.at) < now
    }
}

fn step(at: Timestamp, doing: Doing) -> Step {
    Step { at, until: None, doing, ends_act: true }
}

fn wait(at: Timestamp, until: Timestamp, doing: Doing) -> Step {
    Step { at, until: Some(until), doing, ends_act: true }
}

/// The whole script, in order.
pub fn steps() -> Vec<Step> {
    let february = |day: i64, hour: i64, minute: i64| on(DAYS + day, hour, minute);
    let mut steps = vec![
        step(start(), Doing::Install),
        step(start(), Doing::Provision),
        step(on(8, 10, 20), Doing::Rotate),
        step(on(9, 10, 0), Doing::InGrace),
        step(on(10, 20, 20), Doing::AfterGrace),
        step(on(11, 9, 20), Doing::Rename),
        step(on(11, 19, 20), Doing::Renamed),
        step(on(13, 14, 20), Doing::SignOn),
        step(plan_change(), Doing::ChangePlan),
        wait(february(1, 6, 30), february(1, 12, 30), Doing::Invoiced),
        wait(february(1, 13, 30), february(1, 19, 30), Doing::Paid),
        step(february(1, 20, 20), Doing::Refund),
        wait(february(1, 21, 30), february(2, 11, 30), Doing::Refunded),
        step(uninstall(), Doing::Uninstall),
        wait(february(3, 18, 30), february(4, 0, 30), Doing::FinalInvoiced),
        wait(february(4, 1, 30), february(4, 11, 30), Doing::Finalized),
        wait(february(4, 12, 30), february(4, 20, 30), Doing::Settled),
    ];
    for hour in 0..HOURS {
        steps.push(Step { at: reported(hour), until: None, doing: Doing::Report { hour }, ends_act: hour % 24 == 23 });
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// What an act is called.
pub fn name(doing: Doing) -> String {
    let name = match doing {
        Doing::Report { hour } => {
            let day = instant(hour, SignedDuration::ZERO).to_string();
            return format!("metering of {}", day.get(..10).unwrap_or(&day));
        }
        Doing::Install => "install",
        Doing::Provision => "provision",
        Doing::Rotate => "rotation",
        Doing::InGrace => "grace period",
        Doing::AfterGrace => "old secrets revoked",
        Doing::Rename => "renaming event",
        Doing::Renamed => "renamed at Vercel",
        Doing::SignOn => "sign-on",
        Doing::ChangePlan => "plan change",
        Doing::Invoiced => "invoice",
        Doing::Paid => "payment",
        Doing::Refund => "partial refund",
        Doing::Refunded => "refunded",
        Doing::Uninstall => "uninstall",
        Doing::FinalInvoiced => "final invoice",
        Doing::Finalized => "finalization",
        Doing::Settled => "nothing owed",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_in_order_and_windows_do_not_overlap() {
        let steps = steps();
        for pair in steps.windows(2) {
            assert!(pair[0].until.unwrap_or(pair[0].at) <= pair[1].at, "{pair:?}");
        }
        assert_eq!(steps.iter().filter(|step| step.ends_act).count(), 17 + 31);
        assert_eq!(start().to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(end().to_string(), "2027-02-01T00:00:00Z");
        assert_eq!(uninstall().to_string(), "2027-02-03T12:00:00Z");
        assert_eq!(name(Doing::Report { hour: 24 }), "metering of 2027-01-02");
    }

    #[test]
    fn the_clock_says_what_is_done() {
        let window = wait(on(1, 1, 0), on(1, 5, 0), Doing::Paid);
        assert!(!window.is_done(on(1, 5, 0)) && window.is_done(on(1, 5, 1)));
        let point = step(on(1, 1, 0), Doing::Rotate);
        assert!(!point.is_done(on(1, 1, 0)) && point.is_done(on(1, 1, 1)));
    }
}
