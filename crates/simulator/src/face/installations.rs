//! A.1, A.3, A.4, A.7 and the undocumented probe of an installation.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::engine::{plans, rereads};
use crate::face::{Answer, Call, authorize};
use crate::json::present;
use crate::model::{Event, HISTORY_MAX, Installation};
use crate::refusal::{Refusal, empty_response, json_response};
use crate::rules::{A1_BODY, A4_MEMBER, A7_BODY, A7_FIELDS, A7_RESOURCE, A7_TYPE, FINALIZED};
use crate::wire::{NotificationChange, Plan, Status, read};
use crate::world::World;

/// The installation of a call that was authorized for it.
pub(crate) fn installation<'a>(world: &'a World, id: &str) -> Result<&'a Installation, Refusal> {
    world.installations.get(id).ok_or_else(|| FINALIZED.refuse())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateBody {
    status: Option<Status>,
    external_id: Option<String>,
    billing_plan: Option<Plan>,
    #[serde(default, deserialize_with = "present")]
    notification: Option<NotificationChange>,
}

/// A.1. The body is optional.
pub(crate) fn update(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: UpdateBody = if call.body.is_empty() { UpdateBody::default() } else { read(A1_BODY, &call.body)? };
        world.installations.update(id, |row| {
            row.status = body.status.or(row.status);
            row.external_id = body.external_id.or(row.external_id.take());
            if let Some(plan) = body.billing_plan {
                plans::note(&mut row.plans, &plan, call.now);
                row.billing_plan = Some(plan);
            }
            if let Some(change) = body.notification {
                row.notification = change.0;
            }
        });
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

/// `GET /v1/installations/{id}`: undocumented, observed as a probe of whether the token is alive.
pub(crate) fn probe(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let row = installation(world, id)?;
        Ok(json_response(StatusCode::OK, &json!({ "id": id, "status": row.status })))
    })
}

/// A.3.
pub(crate) fn account(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        Ok(json_response(StatusCode::OK, &account_of(installation(world, id)?)))
    })
}

/// The account as A.3 and B.2 show it.
pub(crate) fn account_of(row: &Installation) -> serde_json::Value {
    let installer = row.members.get(&row.user_id);
    json!({
        "name": "Simulated Team",
        "url": format!("https://vercel.com/simulated-team/~/integrations/{}", row.id),
        "contact": installer.map(|member| json!({ "email": member.email, "name": "Simulated Customer" })),
    })
}

/// A.4.
pub(crate) fn member(simulator: &Inner, call: &Call, id: &str, member_id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let member = installation(world, id)?.members.get(member_id).ok_or_else(|| A4_MEMBER.refuse())?;
        let body = json!({ "id": member_id, "role": member.role, "userEmail": member.email });
        Ok(json_response(StatusCode::OK, &body))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    event: EventFields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventFields {
    #[serde(rename = "type")]
    kind: String,
    billing_plan_id: Option<String>,
    resource_id: Option<String>,
    product_id: Option<String>,
}

impl EventFields {
    /// The resource an event is about; `""` for the installation.
    fn subject(&self) -> Result<&str, Refusal> {
        match (self.kind.as_str(), &self.resource_id) {
            ("installation.updated", None) if self.product_id.is_none() => Ok(""),
            ("installation.updated", _) => {
                Err(A7_FIELDS.because("installation.updated has neither resourceId nor productId"))
            }
            ("resource.updated", Some(_)) if self.billing_plan_id.is_some() => {
                Err(A7_FIELDS.because("resource.updated has no billingPlanId"))
            }
            ("resource.updated", Some(id)) => Ok(id),
            ("resource.updated", None) => Err(A7_FIELDS.because("resource.updated needs a resourceId")),
            (kind, _) => Err(A7_TYPE.because(format!("{kind:?}"))),
        }
    }
}

/// A.7. Vercel then reads the provider's state again, at once but not before it has answered.
pub(crate) fn event(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let EventBody { event } = read(A7_BODY, &call.body)?;
        let subject = event.subject()?.to_owned();
        let known = world.resources.get(&format!("{id}/{subject}")).is_some_and(|row| row.deleted_at.is_none());
        if !subject.is_empty() && !known {
            return Err(A7_RESOURCE.refuse());
        }
        let key = format!("{id}/{}/{}/{subject}", call.now, event.kind);
        let row = Event {
            installation_id: id.to_owned(),
            at: call.now,
            kind: event.kind,
            resource_id: event.resource_id,
            billing_plan_id: event.billing_plan_id,
            count: world.events.get(&key).map_or(1, |row| row.count + 1),
        };
        world.events.put(&key, row);
        world.events.trim(HISTORY_MAX, |_| true);
        rereads::ask(world, id, &subject, call.now);
        Ok(empty_response(StatusCode::CREATED))
    })
}
