//! What customers, partner systems and the scheduler do: what is called, what it was meant as, and what is learned
//! from the answer.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::dice::Stream;
use super::model::{Adjustment, Bought, Customer, Fate, Reading, RefundAsked};
use super::play::Play;
use super::stage::{Got, Stage};

/// How a call is made.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// A customer, by way of Vercel: method, path of the control face, body. The key makes repeats one act.
    Customer { method: &'static str, path: String, key: String, body: Value },
    /// A partner system; repeats have the same `webhook-id`.
    Partner { id: String, path: String, body: String },
    /// The scheduler.
    Cron(&'static str),
}

/// What a call is meant as.
#[derive(Debug, Clone)]
pub(super) enum Meant {
    /// Nothing that must be remembered.
    Nothing,
    Install,
    Provision {
        customer: usize,
    },
    /// The n-th batch of a customer, for the first time or again.
    Batch {
        customer: usize,
        batch: usize,
    },
    /// The id of a batch with other readings: must be refused.
    OtherBatch,
    Delete {
        customer: usize,
        resource: String,
    },
    Uninstall {
        customer: usize,
    },
    Adjust {
        customer: usize,
        name: String,
        cents: i128,
    },
    Refund {
        customer: usize,
        invoice: String,
        cents: i128,
    },
    /// What is somebody else's: must be refused.
    Trespass,
}

/// A call and its meaning.
#[derive(Debug, Clone)]
pub(super) struct Act {
    /// For the trace.
    pub(super) name: String,
    pub(super) call: Call,
    pub(super) meant: Meant,
    /// How often it is tried at most.
    pub(super) tries: usize,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) fate: Fate,
    pub(super) got: Got,
}

/// Makes the call until somebody says something final, or patience is over.
pub(super) async fn perform(stage: &Stage, act: &Act, mut chance: Stream) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { fate: Fate::Refused, got: Got { status: None, body: Value::Null } };
    let off = chance.between(-2_000, 2_000);
    for n in 0..act.tries.max(1) {
        if n > 0 {
            let pause = *chance.pick(&[1, 10, 125]).unwrap_or(&1);
            stage.lease.pass(std::time::Duration::from_secs(pause));
        }
        let got = match &act.call {
            Call::Customer { method, path, key, body } => stage.control(method, path, Some(key), body).await?,
            Call::Partner { id, path, body } => stage.partner(id, path, body, off).await?,
            Call::Cron(path) => stage.cron(path).await?,
        };
        outcome = judge(&act.call, got);
        stage.fate.tell(&format!("      {}: {} {:?}", act.name, outcome.got.shown(), outcome.fate));
        if outcome.fate != Fate::Unknown {
            break;
        }
    }
    Ok(outcome)
}

/// What an answer says of the act. A passing refusal says nothing: an earlier try may have gone through.
fn judge(call: &Call, got: Got) -> Outcome {
    let fate = match call {
        // Any call, as the simulator made it: what counts is the provider's own answer.
        Call::Customer { path, .. } if path == "/_sim/calls" => match got.body["status"].as_u64() {
            Some(200..300) => Fate::Done,
            Some(401..405) => Fate::Refused,
            _ => Fate::Unknown,
        },
        Call::Customer { .. } => match (got.is_good(), got.body.get("partner")) {
            (true, None | Some(Value::Null)) => Fate::Done,
            (_, Some(partner)) => match partner["status"].as_u64() {
                Some(200..300) if got.is_good() => Fate::Done,
                Some(status) if status >= 400 && !crate::control::is_passing(u16::try_from(status).unwrap_or(500)) => {
                    Fate::Refused
                }
                _ => Fate::Unknown,
            },
            (false, None) => Fate::Refused,
        },
        Call::Partner { .. } | Call::Cron(_) => {
            if got.is_good() {
                Fate::Done
            } else if got.is_passing() {
                Fate::Unknown
            } else {
                Fate::Refused
            }
        }
    };
    Outcome { fate, got }
}

impl Play {
    /// What is known from the moment that something is asked for.
    pub(super) fn intend(&mut self, act: &Act) {
        let now = self.stage.now();
        match &act.meant {
            Meant::Delete { customer, resource } => {
                if let Some(customer) = self.customers.get_mut(*customer) {
                    let named = customer.resources.iter_mut().filter(|bought| bought.id == *resource);
                    named.for_each(|bought| bought.is_leaving = true);
                }
            }
            Meant::Uninstall { customer } => {
                if let Some(customer) = self.customers.get_mut(*customer) {
                    customer.leaves.get_or_insert(now);
                }
            }
            Meant::Refund { customer, invoice, cents } => {
                if let Some(customer) = self.customers.get_mut(*customer) {
                    let asked = RefundAsked { invoice: invoice.clone(), cents: *cents, fate: Fate::Unknown };
                    customer.refunds.push(asked);
                }
            }
            Meant::Adjust { customer, name, cents } => {
                if let Some(customer) = self.customers.get_mut(*customer) {
                    let adjustment = Adjustment { name: name.clone(), cents: *cents, fate: Fate::Unknown };
                    customer.adjustments.push(adjustment);
                }
            }
            _ => {}
        }
    }

    /// What is known once it was answered, or was not.
    pub(super) fn learn(&mut self, act: &Act, outcome: &Outcome) {
        let now = self.stage.now();
        let (fate, body) = (outcome.fate, &outcome.got.body);
        let counts = self.stage.fate.clone();
        let count = |name: &str| counts.count(name, 1);
        match &act.meant {
            Meant::Install => {
                if let (Fate::Done, Some(id)) = (fate, body["installationId"].as_str()) {
                    count("installations");
                    self.customers.push(Customer::new(id.to_owned()));
                }
            }
            Meant::Uninstall { .. } if fate == Fate::Unknown => {
                self.pending.push(act.clone());
            }
            Meant::Provision { customer } => {
                let customer = self.customers.get_mut(*customer);
                if let (Fate::Done, Some(id), Some(customer)) = (fate, body["resourceId"].as_str(), customer) {
                    count("resources");
                    let id = id.to_owned();
                    customer.resources.push(Bought { id, since: now, is_leaving: false });
                }
            }
            Meant::Batch { customer, batch } => self.learn_batch(*customer, *batch, outcome),
            Meant::OtherBatch if fate == Fate::Done => {
                self.wrong(format!("a batch id used with other readings is refused: {} was not", act.name));
            }
            Meant::Delete { .. } if fate == Fate::Done => count("deletions"),
            Meant::Uninstall { .. } if fate == Fate::Done => count("uninstalls"),
            Meant::Adjust { customer, name, .. } => {
                let customer = self.customers.get_mut(*customer);
                let known = customer.and_then(|it| it.adjustments.iter_mut().find(|it| it.name == *name));
                if let Some(adjustment) = known {
                    adjustment.fate = fate;
                }
                if fate == Fate::Done {
                    count("adjustments");
                }
            }
            Meant::Refund { customer, invoice, cents } => {
                let customer = self.customers.get_mut(*customer);
                let is_it = |asked: &&mut RefundAsked| asked.invoice == *invoice && asked.cents == *cents;
                let known = customer.and_then(|it| it.refunds.iter_mut().rev().find(is_it));
                if let Some(asked) = known {
                    asked.fate = fate;
                }
                if fate == Fate::Done {
                    count("refunds asked");
                }
            }
            Meant::Trespass => {
                count("trespasses");
                if fate == Fate::Done {
                    self.wrong(format!("no tenant sees another: {} was answered {}", act.name, outcome.got.shown()));
                }
            }
            Meant::Nothing | Meant::OtherBatch | Meant::Uninstall { .. } | Meant::Delete { .. } => {}
        }
        if fate == Fate::Done {
            match act.name.split(' ').next() {
                Some("rotate") => count("rotations"),
                Some("plan") => count("plan changes"),
                Some("rename") => count("events"),
                Some("close") => count("closes on demand"),
                _ => {}
            }
        }
    }

    fn learn_batch(&mut self, customer: usize, batch: usize, outcome: &Outcome) {
        let mut wrong = Vec::new();
        let mut accepted = 0;
        // A batch nobody answered may be sent again weeks later: then a reading may be too old by now.
        let oldest = self.stage.now().checked_sub(SignedDuration::from_hours(24 * 30 - 1)).unwrap_or(Timestamp::MIN);
        let known = self.customers.get_mut(customer).and_then(|customer| customer.batches.get_mut(batch));
        let Some(batch) = known else { return };
        let refused = |body: &Value| -> std::collections::BTreeSet<String> {
            let refused = body["refused"].as_array().into_iter().flatten();
            refused.filter_map(|refused| refused["id"].as_str().map(str::to_owned)).collect()
        };
        match (batch.fate, outcome.fate) {
            (Fate::Done, Fate::Done) => {
                if refused(&outcome.got.body) != batch.refused {
                    wrong.push(format!("a repeat is answered as the first: {} was not", batch.id));
                }
            }
            (Fate::Done, Fate::Refused) => wrong.push(format!("a repeat is answered: {} was refused", batch.id)),
            (_, Fate::Done) => {
                batch.fate = Fate::Done;
                batch.refused = refused(&outcome.got.body);
                accepted = batch.readings.len() - batch.refused.len();
                let due = |it: &&Reading| it.must_count && it.at > oldest;
                for reading in batch.readings.iter().filter(due).filter(|it| batch.refused.contains(&it.id)) {
                    wrong.push(format!("readings without fault count: {} of {} was refused", reading.id, batch.id));
                }
            }
            // Refused now; an earlier try nobody answered may have gone through.
            (_, Fate::Refused | Fate::Unknown) => {}
        }
        self.stage.fate.count("readings", u64::try_from(accepted).unwrap_or_default());
        self.stage.fate.count("batches", u64::from(accepted > 0));
        for what in wrong {
            self.wrong(what);
        }
    }
}

/// A call of a partner system.
pub(super) fn partner(name: String, id: String, kind: &str, path: String, installation: &str, data: &Value) -> Act {
    let body = json!({ "type": kind, "installationId": installation, "data": data }).to_string();
    Act { name, call: Call::Partner { id, path, body }, meant: Meant::Nothing, tries: 1 }
}

/// A customer's act.
pub(super) fn customer(name: String, method: &'static str, path: String, key: String, body: Value) -> Act {
    Act { name, call: Call::Customer { method, path, key, body }, meant: Meant::Nothing, tries: 1 }
}

impl Act {
    pub(super) fn meant(self, meant: Meant) -> Self {
        Self { meant, ..self }
    }

    pub(super) fn tries(self, tries: usize) -> Self {
        Self { tries, ..self }
    }
}
