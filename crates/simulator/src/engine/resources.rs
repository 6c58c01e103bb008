//! What belongs to a resource: how it goes with it, and how it moves to another installation.

use jiff::Timestamp;

use crate::engine::{plans, secrets};
use crate::table::{Row, Table};
use crate::world::World;

/// Takes a resource out of service. Its row stays: invoices may still name it.
pub(crate) fn remove(world: &mut World, id: &str, resource_id: &str, now: Timestamp) {
    world.resources.update(&format!("{id}/{resource_id}"), |row| {
        row.deleted_at = row.deleted_at.or(Some(now));
        plans::end(&mut row.plans, now);
    });
    secrets::set(world, (id, resource_id), &[], false, now);
    let prefix = format!("{id}/{resource_id}/");
    clear(&mut world.items, &prefix);
    clear(&mut world.connections, &prefix);
    world.configs.remove(&format!("{id}/{resource_id}"));
}

fn clear<R: Row>(table: &mut Table<R>, prefix: &str) {
    let keys: Vec<String> = table.under(prefix).map(|(key, _)| key.clone()).collect();
    for key in keys {
        table.remove(&key);
    }
}

/// Moves a live resource with all that belongs to it. The source keeps its row, removed; its plans there end
/// now and begin now at the target. Does nothing if it is not at the source.
pub(crate) fn relocate(world: &mut World, from: &str, to: &str, resource_id: &str, now: Timestamp) {
    let (old_key, new_key) = (format!("{from}/{resource_id}"), format!("{to}/{resource_id}"));
    let Some(mut row) = world.resources.get(&old_key).filter(|row| row.deleted_at.is_none()).cloned() else { return };
    // A resource that comes back goes on where its plans had ended.
    row.plans = world.resources.get(&new_key).map(|row| row.plans.clone()).unwrap_or_default();
    if let Some(plan) = &row.billing_plan {
        plans::begin(&mut row.plans, plan, now);
    }
    to.clone_into(&mut row.installation_id);
    let (old, new) = (format!("{old_key}/"), format!("{new_key}/"));
    carry(&mut world.secrets, &old, &new, |row| to.clone_into(&mut row.installation_id));
    carry(&mut world.items, &old, &new, |row| to.clone_into(&mut row.installation_id));
    carry(&mut world.connections, &old, &new, |row| to.clone_into(&mut row.installation_id));
    carry_one(&mut world.configs, &old_key, &new_key, |row| to.clone_into(&mut row.installation_id));
    carry_one(&mut world.balances, &old_key, &new_key, |row| to.clone_into(&mut row.installation_id));
    remove(world, from, resource_id, now);
    world.resources.put(&new_key, row);
}

fn carry<R: Row>(table: &mut Table<R>, old: &str, new: &str, change: impl Fn(&mut R)) {
    let keys: Vec<String> = table.under(old).map(|(key, _)| key.clone()).collect();
    for key in keys {
        let rest = key.strip_prefix(old).unwrap_or_default();
        carry_one(table, &key, &format!("{new}{rest}"), &change);
    }
}

fn carry_one<R: Row>(table: &mut Table<R>, old: &str, new: &str, change: impl Fn(&mut R)) {
    if let Some(mut row) = table.get(old).cloned() {
        change(&mut row);
        table.remove(old);
        table.put(new, row);
    }
}
