//! A.8, A.9, A.11, A.12 and A.18: resources as Vercel knows them.

use http::StatusCode;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::Inner;
use crate::engine::{plans, secrets};
use crate::face::{Answer, Call, authorize};
use crate::json::present;
use crate::model::Resource;
use crate::refusal::{Refusal, empty_response, json_response};
use crate::wire::{NotificationChange, Plan, Secret, Status, read};
use crate::world::World;

/// The live resource of an installation.
fn live<'a>(world: &'a World, rule: &str, id: &str, resource_id: &str) -> Result<&'a Resource, Refusal> {
    let row = world.resources.get(&format!("{id}/{resource_id}")).filter(|row| row.deleted_at.is_none());
    row.ok_or_else(|| Refusal::not_found(format!("{rule}: the installation has no such resource")))
}

/// The resource as A.8 shows it, under `id_key`.
fn view(world: &World, row: &Resource, id_key: &str) -> Value {
    let product = world.seed.letters(&format!("product/{}", row.product_id), 24);
    let mut view = json!({
        "internalId": row.internal_id,
        "productId": format!("iap_{product}"),
        "name": row.name,
        "status": row.status,
        "metadata": row.metadata,
    });
    view[id_key] = json!(row.id);
    if let Some(plan) = &row.billing_plan {
        view["billingPlanId"] = json!(plan.id());
    }
    if let Some(notification) = &row.notification {
        view["notification"] = json!(notification);
    }
    if let Some(settings) = &row.protocol_settings {
        view["protocolSettings"] = settings.clone();
    }
    view
}

/// A.8.
pub(crate) fn list(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let rows = world.resources.under(&format!("{id}/")).filter(|(_, row)| row.deleted_at.is_none());
        let views: Vec<Value> = rows.map(|(_, row)| view(world, row, "partnerId")).collect();
        Ok(json_response(StatusCode::OK, &json!({ "resources": views })))
    })
}

/// A.9.
pub(crate) fn get(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let row = live(world, "spec A.9", id, resource_id)?;
        Ok(json_response(StatusCode::OK, &view(world, row, "id")))
    })
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ownership {
    Owned,
    Linked,
    Sandbox,
}

impl Ownership {
    fn name(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Linked => "linked",
            Self::Sandbox => "sandbox",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsBody {
    secrets: Vec<Secret>,
    #[serde(default)]
    partial: bool,
}

/// `Secret[] | { secrets, partial? }`
fn secrets_change<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretsBody>, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    let body = if raw.get().starts_with('[') {
        serde_json::from_str(raw.get()).map(|secrets| SecretsBody { secrets, partial: false })
    } else {
        serde_json::from_str(raw.get())
    };
    body.map(Some).map_err(de::Error::custom)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateBody {
    ownership: Option<Ownership>,
    name: Option<String>,
    status: Option<Status>,
    metadata: Option<Map<String, Value>>,
    billing_plan: Option<Plan>,
    #[serde(default, deserialize_with = "present")]
    notification: Option<NotificationChange>,
    extras: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "secrets_change")]
    secrets: Option<SecretsBody>,
}

/// A.11.
pub(crate) fn update(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, "spec A.11", id, resource_id)?;
        let body: UpdateBody = read("spec A.11", &call.body)?;
        if let Some(change) = &body.secrets {
            secrets::check("spec A.11", &change.secrets)?;
            secrets::set(world, (id, resource_id), &change.secrets, change.partial, call.now);
        }
        let name = world.resources.update(&format!("{id}/{resource_id}"), |row| {
            if let Some(plan) = body.billing_plan {
                plans::note(&mut row.plans, &plan, call.now);
                row.billing_plan = Some(plan);
            }
            if let Some(change) = body.notification {
                row.notification = change.0;
            }
            if let Some(ownership) = body.ownership {
                ownership.name().clone_into(&mut row.ownership);
            }
            row.name = body.name.unwrap_or_else(|| row.name.clone());
            row.status = body.status.unwrap_or(row.status);
            row.metadata = body.metadata.unwrap_or_else(|| row.metadata.clone());
            row.extras = body.extras.or(row.extras.take());
            row.name.clone()
        });
        Ok(json_response(StatusCode::OK, &json!({ "name": name })))
    })
}

/// A.12.
pub(crate) fn delete(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, "spec A.12", id, resource_id)?;
        remove(world, id, resource_id, call.now);
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

/// Takes a resource out of service. Its row stays: invoices may still name it.
pub(crate) fn remove(world: &mut World, id: &str, resource_id: &str, now: jiff::Timestamp) {
    world.resources.update(&format!("{id}/{resource_id}"), |row| {
        row.deleted_at = row.deleted_at.or(Some(now));
        plans::end(&mut row.plans, now);
    });
    secrets::set(world, (id, resource_id), &[], false, now);
}

/// A.18, and A.19 with its other path.
pub(crate) fn secrets(simulator: &Inner, call: &Call, id: &str, resource_id: &str, rule: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, rule, id, resource_id)?;
        let body: SecretsBody = read(rule, &call.body)?;
        secrets::check(rule, &body.secrets)?;
        secrets::set(world, (id, resource_id), &body.secrets, body.partial, call.now);
        Ok(empty_response(StatusCode::CREATED))
    })
}
