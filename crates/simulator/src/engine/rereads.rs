//! Re-reads: after an event (spec A.7) Vercel asks the provider how a resource or an installation is now.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use crate::Inner;
use crate::engine::{next_try, plans};
use crate::keys::Speaker;
use crate::model::{Installation, Life, Reread, Resource};
use crate::partner::{PartnerCall, Reply};
use crate::refusal::Refusal;
use crate::wire::{Notification, Open, Plan, ProtocolSettings, Secret, Status};
use crate::world::World;

/// What the provider says about a resource (spec B.6, B.7, B.8). Unknown keys are tolerated.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceAnswer {
    pub(crate) id: String,
    pub(crate) product_id: String,
    pub(crate) name: String,
    pub(crate) metadata: Open,
    pub(crate) status: Status,
    pub(crate) billing_plan: Option<Plan>,
    pub(crate) notification: Option<Notification>,
    pub(crate) protocol_settings: Option<ProtocolSettings>,
    pub(crate) secrets: Option<Vec<Secret>>,
}

/// What the provider says about an installation (spec B.1, B.2, B.3).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstallationAnswer {
    pub(crate) billing_plan: Option<Plan>,
    pub(crate) notification: Option<Notification>,
}

impl InstallationAnswer {
    /// Reads a 200; a 204 says nothing.
    pub(crate) fn of(reply: &Reply, rule: &str) -> Result<Self, Refusal> {
        if reply.body.is_empty() { Ok(Self::default()) } else { reply.read(rule) }
    }

    pub(crate) fn apply(self, row: &mut Installation, now: Timestamp) {
        if let Some(plan) = self.billing_plan {
            plans::note(&mut row.plans, &plan, now);
            row.billing_plan = Some(plan);
        }
        row.notification = self.notification;
    }
}

impl ResourceAnswer {
    /// Checks what serde does not: without a plan of its own, a resource needs an installation's (spec B.6).
    pub(crate) fn check(&self, rule: &str, installation: &Installation) -> Result<(), Refusal> {
        if self.billing_plan.is_none() && installation.billing_plan.is_none() {
            let why = "the provider's resource has no billingPlan, and its installation has none either";
            return Err(Refusal::partner(format!("{rule}: {why}")));
        }
        tradepost_marketplace::ids::ResourceId::new(self.id.as_str())
            .map_err(|error| Refusal::partner(format!("{rule}: the provider's resource id: {error}")))?;
        Ok(())
    }

    pub(crate) fn apply(self, row: &mut Resource, now: Timestamp) {
        if let Some(plan) = &self.billing_plan {
            plans::note(&mut row.plans, plan, now);
        }
        row.name = self.name;
        row.status = self.status;
        row.metadata = self.metadata;
        row.billing_plan = self.billing_plan;
        row.notification = self.notification;
        // What the customer chose stays, unless the provider says otherwise.
        row.protocol_settings = match self.protocol_settings {
            Some(new) => Some(new.over(row.protocol_settings.as_ref())),
            None => row.protocol_settings.take(),
        };
    }
}

/// Asks for a re-read at once of a resource, or with an empty `resource_id` of the installation.
pub(crate) fn ask(world: &mut World, installation_id: &str, resource_id: &str, now: Timestamp) {
    let key = format!("{installation_id}/{resource_id}");
    let asked = world.rereads.get(&key).map_or(1, |row| row.asked + 1);
    world.rereads.put(&key, Reread { asked_at: now, asked, attempts: 0, due: Some(now) });
}

impl Inner {
    /// Reads again, and tries later if that fails.
    pub(crate) async fn reread(&self, key: &str) -> Result<(), Refusal> {
        let (installation_id, resource_id) = key.split_once('/').unwrap_or((key, ""));
        let row = self.store.read(|world| world.installations.get(installation_id).cloned());
        let asked = self.store.read(|world| world.rereads.get(key).map_or(0, |row| row.asked));
        let Some(installation) = row.filter(|row| row.life != Life::Finalized) else {
            return self.forget(key, asked, true);
        };
        let path = match resource_id {
            "" => format!("/v1/installations/{installation_id}"),
            id => format!("/v1/installations/{installation_id}/resources/{id}"),
        };
        let (method, speaker, name) = (Method::GET, Speaker::System, key);
        let installation_row = Some(&installation);
        let call = PartnerCall { method, path, body: None, installation: installation_row, speaker, name };
        let reply = self.call_partner(call).await;
        let taken = reply.and_then(|reply| self.take(&installation, resource_id, &reply));
        self.forget(key, asked, taken.is_ok())
    }

    fn take(&self, installation: &Installation, resource_id: &str, reply: &Reply) -> Result<(), Refusal> {
        let now = self.now();
        if !reply.is_success() {
            return Err(Refusal::partner("the provider did not answer the re-read"));
        }
        if resource_id.is_empty() {
            let answer = InstallationAnswer::of(reply, "spec B.1")?;
            return self.store.write(|world| {
                world.installations.update(&installation.id, |row| answer.apply(row, now));
                Ok(())
            });
        }
        let answer: ResourceAnswer = reply.read("spec B.7")?;
        answer.check("spec B.7", installation)?;
        self.store.write(|world| {
            let key = format!("{}/{resource_id}", installation.id);
            if world.resources.get(&key).is_some_and(|row| row.deleted_at.is_none()) {
                world.resources.update(&key, |row| answer.apply(row, now));
            }
            Ok(())
        })
    }

    /// Drops a re-read that is done, or sets its next try. One asked for meanwhile stays due.
    fn forget(&self, key: &str, asked: u64, done: bool) -> Result<(), Refusal> {
        let now = self.now();
        self.store.write(|world| {
            let Some(mut row) = world.rereads.get(key).filter(|row| row.asked == asked).cloned() else { return Ok(()) };
            row.attempts += 1;
            row.due = next_try(row.asked_at, now, row.attempts);
            if done || row.due.is_none() {
                world.rereads.remove(key);
            } else {
                world.rereads.put(key, row);
            }
            Ok(())
        })
    }
}
