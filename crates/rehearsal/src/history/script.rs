//! What happens next: the acts of a history, drawn.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::acts::{Act, Meant, customer, partner};
use super::check::{self, cents, invoices, text};
use super::model::{Batch, Fate, Reading};
use super::play::Play;
use super::{FREE, PRODUCT, SCALE, TEAM};
use crate::demo::readings::Meter;

/// The most customers.
const CUSTOMERS_MAX: usize = 3;
/// The most resources of a customer.
const RESOURCES_MAX: usize = 3;

/// How long before now a reading was taken at least. Clocks differ by up to 2 s: of a reading and a close, or a change of
/// plan, at the same moment, nobody can say which was first.
const APART: SignedDuration = SignedDuration::from_secs(10);

impl Play {
    /// What happens next.
    pub(super) async fn draw(&mut self) -> anyhow::Result<Option<Act>> {
        let count = self.customers.len();
        if count < CUSTOMERS_MAX && self.script.chance(4) {
            self.install().await?;
            return Ok(None);
        }
        let at = self.script.below(count);
        let Some(who) = self.customers.get(at) else { return Ok(None) };
        let staying: Vec<String> = who.staying().into_iter().map(|bought| bought.id.clone()).collect();
        let (id, leaves) = (who.id.clone(), who.leaves.is_some());
        let resource = self.script.pick(&staying).cloned();
        let tries = 1 + self.script.below(5);
        let drawn = self.script.below(100);
        let act = match (drawn, resource) {
            (0..=27, _) => self.report(at),
            (28..=33, _) => self.report_again(at),
            (34..=36, _) => self.report_otherwise(at),
            (37..=46, Some(resource)) => self.change_plan(&id, &resource),
            (47..=53, Some(resource)) => Some(self.rename(&id, &resource)),
            (54..=63, Some(resource)) => self.rotate(&id, &resource),
            (64..=68, _) if !leaves => self.provision(at),
            (69..=71, Some(resource)) if staying.len() > 1 => Some(self.delete(at, &id, resource)),
            (72..=73, _) if !leaves => Some(self.uninstall(at, &id)),
            (74..=77, _) => Some(self.close(&id)),
            (78..=82, _) => Some(self.adjust(at, &id)),
            (83..=89, _) => self.refund(at, &id).await?,
            (90..=92, _) => Some(self.payment(&id)),
            (93..=97, _) => self.trespass(at),
            _ => None,
        };
        Ok(act.map(|act| act.tries(tries)))
    }

    pub(super) fn provision(&mut self, at: usize) -> Option<Act> {
        let who = self.customers.get(at).filter(|who| who.resources.len() < RESOURCES_MAX)?;
        let path = format!("/_sim/installations/{}/resources", who.id);
        let plan = *self.script.pick(&[FREE, TEAM, SCALE, SCALE])?;
        let number = self.number();
        let body = json!({ "productId": PRODUCT, "planId": plan, "name": format!("r{number}") });
        let act = customer(format!("provision {plan}"), "POST", path, format!("k{number}"), body);
        Some(act.meant(Meant::Provision { customer: at }))
    }

    /// A reading; some late, some that cannot count.
    fn reading(&mut self, at: usize, n: usize) -> Option<Reading> {
        let now = self.stage.now();
        let who = self.customers.get(at)?;
        let bought = self.script.pick(&who.resources)?.clone();
        let is_free = who.leaves.is_none() && !bought.is_leaving;
        let meter = *self.script.pick(&Meter::ALL)?;
        let minutes = match self.script.below(20) {
            0..=11 => self.script.between(0, 120),
            12..=16 => self.script.between(0, 60 * 48),
            17..=18 => self.script.between(0, 60 * 24 * 29),
            _ => self.script.between(-60 * 24, 60 * 24 * 40),
        };
        // What is in the future is so by more than what is taken as its clock's fault: such a reading counts where it
        // comes in, and a close or another plan a minute later does not move it.
        let minutes = if (-5..0).contains(&minutes) { minutes - 5 } else { minutes };
        let when = now.checked_sub(SignedDuration::from_mins(minutes) + APART).ok()?;
        let nano = match meter {
            Meter::Queries => i128::from(self.script.between(0, 400_000)) * 1_000_000_000,
            Meter::Storage => i128::from(self.script.between(0, 12_000)) * 1_000_000,
            Meter::Egress => i128::from(self.script.between(0, 60_000_000)) * 1_000,
        };
        let margin = SignedDuration::from_secs(5);
        let must_count = is_free
            && when > bought.since.checked_add(margin).ok()?
            && when < now.checked_sub(margin).ok()?
            && now.duration_since(when) < SignedDuration::from_hours(24 * 30) - margin;
        Some(Reading { id: format!("r{n}"), resource: bought.id, meter, at: when, nano, must_count })
    }

    fn report(&mut self, at: usize) -> Option<Act> {
        let number = self.number();
        let count = 1 + self.script.below(6);
        let readings: Vec<Reading> = (0..count).filter_map(|n| self.reading(at, n)).collect();
        if readings.is_empty() {
            return None;
        }
        let batch = Batch { id: format!("b{number}"), readings, fate: Fate::Unknown, refused: BTreeSet::new() };
        let who = self.customers.get_mut(at)?;
        who.batches.push(batch);
        let last = who.batches.len() - 1;
        self.send_batch(at, last)
    }

    /// A batch for the first time, or again under another `webhook-id`.
    fn send_batch(&mut self, at: usize, batch: usize) -> Option<Act> {
        let number = self.number();
        let who = self.customers.get(at)?;
        let known = who.batches.get(batch)?;
        let name = format!("report {} ({} readings)", known.id, known.readings.len());
        let path = "/partner/usage".to_owned();
        let act = partner(name, format!("msg_{number}"), "usage.recorded", path, &who.id, &known.data());
        Some(act.meant(Meant::Batch { customer: at, batch }))
    }

    /// An earlier batch again, answered or not.
    fn report_again(&mut self, at: usize) -> Option<Act> {
        let count = self.customers.get(at)?.batches.len();
        let batch = self.script.below(count);
        self.send_batch(at, batch)
    }

    /// An earlier batch's id with other readings.
    fn report_otherwise(&mut self, at: usize) -> Option<Act> {
        let number = self.number();
        let done: Vec<&Batch> = self.customers.get(at)?.batches.iter().filter(|it| it.fate == Fate::Done).collect();
        let mut other = (*self.script.pick(&done)?).clone();
        other.readings.iter_mut().for_each(|reading| reading.nano += 1_000_000_000);
        let id = &self.customers.get(at)?.id;
        let name = format!("report {} with other readings", other.id);
        let path = "/partner/usage".to_owned();
        let act = partner(name, format!("msg_{number}"), "usage.recorded", path, id, &other.data());
        Some(act.meant(Meant::OtherBatch))
    }

    fn change_plan(&mut self, id: &str, resource: &str) -> Option<Act> {
        let number = self.number();
        let plan = *self.script.pick(&[FREE, TEAM, SCALE])?;
        if self.script.chance(25) {
            let data = json!({ "resourceId": resource, "planId": plan });
            let path = "/partner/events".to_owned();
            let name = format!("plan {plan} of {resource}, by an event");
            return Some(partner(name, format!("msg_{number}"), "resource.updated", path, id, &data));
        }
        let path = format!("/_sim/installations/{id}/resources/{resource}");
        let name = format!("plan {plan} of {resource}");
        Some(customer(name, "PATCH", path, format!("k{number}"), json!({ "planId": plan })))
    }

    fn rename(&mut self, id: &str, resource: &str) -> Act {
        let number = self.number();
        let name = format!("name{number}");
        if self.script.chance(60) {
            let data = json!({ "resourceId": resource, "name": name });
            let path = "/partner/events".to_owned();
            let title = format!("rename {resource}, by an event");
            return partner(title, format!("msg_{number}"), "resource.updated", path, id, &data);
        }
        let path = format!("/_sim/installations/{id}/resources/{resource}");
        customer(format!("rename {resource}"), "PATCH", path, format!("k{number}"), json!({ "name": name }))
    }

    fn rotate(&mut self, id: &str, resource: &str) -> Option<Act> {
        let number = self.number();
        let hours = *self.script.pick(&[0, 1, 24, 72])?;
        if self.script.chance(50) {
            let data = json!({ "resourceId": resource, "delayHours": hours });
            let path = format!("/partner/resources/{resource}/secrets");
            let name = format!("rotate {resource} after {hours} h");
            return Some(partner(name, format!("msg_{number}"), "secrets.rotate", path, id, &data));
        }
        let path = format!("/_sim/installations/{id}/secrets/rotate");
        let body = json!({ "resourceId": resource, "delayHours": hours });
        let name = format!("rotate {resource} after {hours} h, by Vercel");
        Some(customer(name, "POST", path, format!("k{number}"), body))
    }

    fn delete(&mut self, at: usize, id: &str, resource: String) -> Act {
        let path = format!("/_sim/installations/{id}/resources/{resource}");
        let key = format!("k{}", self.number());
        let act = customer(format!("delete {resource}"), "DELETE", path, key, Value::Null);
        act.meant(Meant::Delete { customer: at, resource })
    }

    pub(super) fn uninstall(&mut self, at: usize, id: &str) -> Act {
        let key = format!("k{}", self.number());
        let act = customer(format!("uninstall {id}"), "DELETE", format!("/_sim/installations/{id}"), key, json!({}));
        act.meant(Meant::Uninstall { customer: at })
    }

    fn close(&mut self, id: &str) -> Act {
        let number = self.number();
        let data = if self.script.chance(20) { json!({ "test": true }) } else { json!({}) };
        let path = "/partner/invoices".to_owned();
        partner(format!("close {data}"), format!("msg_{number}"), "invoice.close", path, id, &data)
    }

    fn adjust(&mut self, at: usize, id: &str) -> Act {
        let number = self.number();
        let amount = self.script.between(1, 900);
        let credit = self.script.chance(40);
        let name = format!("adjustment-{number}");
        let text = format!("{}.{:02}", amount / 100, amount % 100);
        let data = json!({ "lines": [{ "name": name, "amount": text, "credit": credit }] });
        let path = "/partner/invoices".to_owned();
        let title = format!("adjust by {}{text}", if credit { "-" } else { "" });
        let cents = i128::from(if credit { -amount } else { amount });
        let act = partner(title, format!("msg_{number}"), "invoice.adjust", path, id, &data);
        act.meant(Meant::Adjust { customer: at, name, cents })
    }

    async fn refund(&mut self, at: usize, id: &str) -> anyhow::Result<Option<Act>> {
        let state = check::state(&self.stage).await?;
        let all: Vec<(String, i128)> =
            invoices(&state, id).map(|row| (text(row, "externalId").to_owned(), cents(&row["total"]))).collect();
        let Some((invoice, total)) = self.script.pick(&all).cloned() else { return Ok(None) };
        let number = self.number();
        let most = i64::try_from(total / 2)?.max(1);
        let amount = self.script.between(1, most);
        let data = json!({
            "invoiceId": invoice,
            "total": format!("{}.{:02}", amount / 100, amount % 100),
            "reason": format!("refund {number}"),
        });
        let path = format!("/partner/invoices/{invoice}/refund");
        let title = format!("refund {amount} cents of {invoice}");
        let act = partner(title, format!("msg_{number}"), "invoice.refund", path, id, &data);
        Ok(Some(act.meant(Meant::Refund { customer: at, invoice, cents: i128::from(amount) })))
    }

    fn payment(&mut self, id: &str) -> Act {
        let result = *self.script.pick(&["paid", "paid", "notpaid", "overdue"]).unwrap_or(&"paid");
        let key = format!("k{}", self.number());
        let path = format!("/_sim/installations/{id}/payment");
        customer(format!("payment {result}"), "POST", path, key, json!({ "result": result }))
    }

    /// Something of another installation's, by every way there is.
    fn trespass(&mut self, at: usize) -> Option<Act> {
        let number = self.number();
        let other = (at + 1) % self.customers.len().max(1);
        let (mine, theirs) = (self.customers.get(at)?.id.clone(), self.customers.get(other)?.clone());
        let resource = self.script.pick(&theirs.resources)?.id.clone();
        if other == at {
            return None;
        }
        let message = format!("msg_{number}");
        let act = match self.script.below(4) {
            0 => {
                let data = json!({ "resourceId": resource, "delayHours": 0 });
                let path = format!("/partner/resources/{resource}/secrets");
                partner("trespass: rotate".to_owned(), message, "secrets.rotate", path, &mine, &data)
            }
            1 => {
                let data = json!({ "resourceId": resource, "name": "mine" });
                let path = "/partner/events".to_owned();
                partner("trespass: rename".to_owned(), message, "resource.updated", path, &mine, &data)
            }
            2 => {
                let data = json!({ "invoiceId": format!("{}.i1", theirs.id) });
                let path = "/partner/invoices/query".to_owned();
                partner("trespass: invoice".to_owned(), message, "invoice.query", path, &mine, &data)
            }
            _ => {
                let path = format!("/v1/installations/{}/resources/{resource}", theirs.id);
                let body = json!({ "method": "GET", "path": path, "auth": "system", "installationId": mine });
                let call = customer("trespass: read".to_owned(), "POST", "/_sim/calls".to_owned(), message, body);
                return Some(call.meant(Meant::Trespass));
            }
        };
        Some(act.meant(Meant::Trespass))
    }
}
