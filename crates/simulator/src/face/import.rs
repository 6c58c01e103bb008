//! A.10: a resource that the provider has already becomes known to Vercel.
//!
//! Not documented, and decided here: a name that another live resource of the installation has gets a number
//! (`orders`, `orders-2`); what the body does not say stays as it was; a resource that was linked and removed
//! may be imported again, any other id that was deleted is refused.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::engine::{plans, secrets};
use crate::face::installations::installation;
use crate::face::resources::vercel_product;
use crate::face::{Answer, Call, authorize};
use crate::model::{Life, Ownership, ROWS_EACH_MAX, Resource};
use crate::refusal::{Refusal, json_response};
use crate::rules::{A10_BODY, A10_DELETED, A10_ID, A10_PRODUCT, A10_UNINSTALLING, LIMIT_ROWS};
use crate::wire::{Notification, Open, Plan, Secret, Status, read};
use crate::world::World;

/// The longest resource id.
const ID_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportBody {
    product_id: String,
    name: String,
    status: Status,
    ownership: Option<Ownership>,
    metadata: Option<Open>,
    billing_plan: Option<Plan>,
    notification: Option<Notification>,
    extras: Option<Open>,
    secrets: Option<Vec<Secret>>,
}

fn check_id(id: &str) -> Result<(), Refusal> {
    let is_bad = |c: char| !c.is_ascii_graphic() || matches!(c, '#' | '/' | '?' | '%');
    let is_good = !id.is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(is_bad) && !matches!(id, "." | "..");
    if is_good { Ok(()) } else { Err(A10_ID.refuse()) }
}

impl ImportBody {
    fn check(&self, world: &World, id: &str, resource_id: &str) -> Result<(), Refusal> {
        if installation(world, id)?.life == Life::Uninstalling {
            return Err(A10_UNINSTALLING.refuse());
        }
        if let Some(old) = world.resources.get(&format!("{id}/{resource_id}")) {
            if self.product_id != old.product_id && self.product_id != vercel_product(world, &old.product_id) {
                return Err(A10_PRODUCT.because(format!("{:?}", old.product_id)));
            }
            if old.deleted_at.is_some() && old.ownership != Ownership::Linked {
                return Err(A10_DELETED.refuse());
            }
        } else if world.resources.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("resources"));
        }
        secrets::check(self.secrets.as_deref().unwrap_or_default())
    }

    /// The name, or the first free one that begins with it.
    fn free_name(&self, world: &World, id: &str, resource_id: &str) -> String {
        let is_taken = |name: &str| {
            let mut others = world.resources.under(&format!("{id}/"));
            others.any(|(_, row)| row.deleted_at.is_none() && row.id != resource_id && row.name == name)
        };
        let mut name = self.name.clone();
        let mut number = 1;
        while is_taken(&name) {
            number += 1;
            name = format!("{}-{number}", self.name);
        }
        name
    }
}

fn blank(world: &World, id: &str, resource_id: &str, body: &ImportBody, now: jiff::Timestamp) -> Resource {
    Resource {
        installation_id: id.to_owned(),
        id: resource_id.to_owned(),
        internal_id: format!("ir_{}", world.seed.letters(&format!("resource/{id}/{resource_id}"), 24)),
        product_id: body.product_id.clone(),
        name: String::new(),
        status: body.status,
        metadata: Open::default(),
        billing_plan: None,
        plans: Vec::new(),
        notification: None,
        protocol_settings: None,
        ownership: Ownership::Owned,
        extras: None,
        made_by: String::new(),
        created_at: now,
        deleted_at: None,
    }
}

/// A.10.
pub(crate) fn import(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        check_id(resource_id)?;
        let body: ImportBody = read(A10_BODY, &call.body)?;
        body.check(world, id, resource_id)?;
        let name = body.free_name(world, id, resource_id);
        let key = format!("{id}/{resource_id}");
        let mut row = world.resources.get(&key).cloned();
        let row = row.get_or_insert_with(|| blank(world, id, resource_id, &body, call.now));
        row.deleted_at = None;
        row.name.clone_from(&name);
        row.status = body.status;
        row.ownership = body.ownership.unwrap_or(row.ownership);
        row.metadata = body.metadata.unwrap_or_else(|| row.metadata.clone());
        row.notification = body.notification.or(row.notification.take());
        row.extras = body.extras.or(row.extras.take());
        if let Some(plan) = body.billing_plan {
            plans::note(&mut row.plans, &plan, call.now);
            row.billing_plan = Some(plan);
        }
        world.resources.put(&key, row.clone());
        if let Some(list) = &body.secrets {
            secrets::set(world, (id, resource_id), list, false, call.now);
        }
        Ok(json_response(StatusCode::OK, &json!({ "name": name })))
    })
}
