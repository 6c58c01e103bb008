//! A.8, A.9, A.11, A.12, A.18 and A.19: resources as Vercel knows them.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::Inner;
use crate::engine::{plans, resources, secrets};
use crate::face::routes::Ids;
use crate::face::{Answer, Call, authorize};
use crate::json::present;
use crate::model::{Life, Ownership, Resource};
use crate::refusal::{Refusal, empty_response, json_response};
use crate::rules::{A11_BODY, A19_BODY, A19_PRODUCT, NO_RESOURCE, Rule};
use crate::switches::{self, Leaving, Unlisted};
use crate::wire::{
    Experimentation, Notification, NotificationChange, Open, Plan, ProtocolSettings, SecretsBody, Status, read,
    secrets_change,
};
use crate::world::World;

/// The live resource of an installation.
pub(crate) fn live<'a>(world: &'a World, id: &str, resource_id: &str) -> Result<&'a Resource, Refusal> {
    let row = world.resources.get(&format!("{id}/{resource_id}")).filter(|row| row.deleted_at.is_none());
    row.ok_or_else(|| NO_RESOURCE.refuse())
}

/// Vercel's own id of a product.
pub(crate) fn vercel_product(world: &World, product_id: &str) -> String {
    format!("iap_{}", world.seed.letters(&format!("product/{product_id}"), 24))
}

/// A resource as A.8 and A.9 show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partner_id: Option<&'a str>,
    internal_id: &'a str,
    product_id: String,
    name: &'a str,
    status: Status,
    metadata: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_plan_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<&'a Notification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_settings: Option<ProtocolSettings>,
}

impl<'a> View<'a> {
    /// As in the list.
    fn listed(world: &World, row: &'a Resource) -> Self {
        Self {
            id: None,
            partner_id: Some(&row.id),
            internal_id: &row.internal_id,
            product_id: vercel_product(world, &row.product_id),
            name: &row.name,
            status: row.status,
            metadata: row.metadata.iter().filter(|(_, value)| is_shown(value)).collect(),
            billing_plan_id: row.billing_plan.as_ref().map(Plan::id),
            notification: row.notification.as_ref(),
            protocol_settings: row.protocol_settings.clone(),
        }
    }

    /// Alone: another name for the id, and of the settings only which config it is.
    fn alone(world: &World, row: &'a Resource) -> Self {
        let settings = row.protocol_settings.as_ref().map(|settings| ProtocolSettings {
            experimentation: settings.experimentation.as_ref().map(|it| Experimentation {
                edge_config_id: it.edge_config_id.clone(),
                global_config_id: it.global_config_id.clone(),
                ..Experimentation::default()
            }),
        });
        Self { id: Some(&row.id), partner_id: None, protocol_settings: settings, ..Self::listed(world, row) }
    }
}

/// Whether metadata is of a kind that A.8 can show: a text, a number, a boolean, or a list of texts or of
/// numbers, which an empty list is not alone.
fn is_shown(value: &RawValue) -> bool {
    let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            let all = |is: &dyn Fn(&str) -> bool| list.iter().all(|raw| is(raw.get()));
            !list.is_empty() && (all(&|text| text.starts_with('"')) || all(&is_number))
        }
        Some(b'"' | b't' | b'f') => true,
        _ => is_number(text),
    }
}

/// A.8.
pub(crate) fn list(simulator: &Inner, call: &Call, id: &str) -> Answer {
    #[derive(Serialize)]
    struct Listed<'a> {
        resources: Vec<View<'a>>,
    }
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let is_empty = world.switches().unlisted == Unlisted::ListEmpty || is_forgotten(world, id);
        let is_listed = |row: &Resource| row.deleted_at.is_none() && !is_empty;
        let rows = world.resources.under(&format!("{id}/")).filter(|(_, row)| is_listed(row));
        Ok(json_response(
            StatusCode::OK,
            &Listed { resources: rows.map(|(_, row)| View::listed(world, row)).collect() },
        ))
    })
}

/// Whether the resources of an installation are played as forgotten, because it is being uninstalled.
fn is_forgotten(world: &World, id: &str) -> bool {
    let is_leaving = world.installations.get(id).is_some_and(|row| row.life == Life::Uninstalling);
    is_leaving && world.switches().leaving == Leaving::Forgotten
}

/// A.9.
pub(crate) fn get(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        if world.switches().unlisted == Unlisted::GetUnknown || is_forgotten(world, id) {
            return Err(NO_RESOURCE.refuse());
        }
        Ok(json_response(StatusCode::OK, &View::alone(world, live(world, id, resource_id)?)))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateBody {
    ownership: Option<Ownership>,
    name: Option<String>,
    status: Option<Status>,
    metadata: Option<Open>,
    billing_plan: Option<Plan>,
    #[serde(default, deserialize_with = "present")]
    notification: Option<NotificationChange>,
    extras: Option<Open>,
    #[serde(default, deserialize_with = "secrets_change")]
    secrets: Option<SecretsBody>,
}

/// A.11.
pub(crate) fn update(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let body: UpdateBody = read(A11_BODY, &call.body)?;
        if let Some(change) = &body.secrets {
            secrets::check(&change.secrets)?;
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
            row.ownership = body.ownership.unwrap_or(row.ownership);
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
        live(world, id, resource_id)?;
        resources::remove(world, id, resource_id, call.now);
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

/// A.18, and A.19 with a product in its path.
pub(crate) fn secrets(
    simulator: &Inner,
    call: &Call,
    owner: (&str, &str),
    rule: Rule,
    product: Option<&str>,
) -> Answer {
    let is_locked = switches::is_locked(simulator, owner.0, owner.1);
    simulator.store.write(|world| {
        authorize(world, call, owner.0)?;
        let row = live(world, owner.0, owner.1)?;
        if is_locked {
            return Err(Refusal::conflict(
                "spec B.10: the resource is locked until its rotation is answered (switch `lock`)",
            ));
        }
        if product.is_some_and(|product| product != row.product_id && product != vercel_product(world, &row.product_id))
        {
            return Err(A19_PRODUCT.refuse());
        }
        let body: SecretsBody = read(rule, &call.body)?;
        secrets::check(&body.secrets)?;
        secrets::set(world, owner, &body.secrets, body.partial, call.now);
        Ok(empty_response(StatusCode::CREATED))
    })
}

/// A.19, deprecated: `{installation}/{product}/{resource}`, the product by the provider's id or by Vercel's.
pub(crate) fn secrets_by_product(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    secrets(simulator, call, (ids.at(0), ids.at(2)), A19_BODY, Some(ids.at(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_shown_if_the_schema_can_say_it() {
        for (text, shown) in [
            ("\"x\"", true),
            ("-1.50", true),
            ("false", true),
            ("[\"a\",\"b\"]", true),
            ("[1,2.50]", true),
            ("[]", false),
            ("[1,\"a\"]", false),
            ("null", false),
            ("{}", false),
        ] {
            assert_eq!(is_shown(&RawValue::from_string(text.to_owned()).unwrap()), shown, "{text}");
        }
    }
}
