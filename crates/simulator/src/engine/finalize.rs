//! The end of an installation (spec F, Uninstall): 24 h for final invoices, then, or earlier if the
//! provider says so, and once every invoice has settled, the token dies.

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;
use crate::engine::{plans, resources};
use crate::model::{Installation, Life};
use crate::world::World;

/// How long final invoices are accepted.
pub(crate) const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The end of an uninstalling installation's window.
pub(crate) fn window_end(installation: &Installation) -> Option<Timestamp> {
    installation.uninstalled_at.map(|at| later(at, WINDOW))
}

/// The window's end has come.
pub(crate) fn window_over(world: &mut World, id: &str, now: Timestamp) {
    world.installations.update(id, |row| row.due = None);
    finalize_if_over(world, id, now);
}

/// Finalizes an installation if nothing holds it up any more.
pub(crate) fn finalize_if_over(world: &mut World, id: &str, now: Timestamp) {
    let Some(row) = world.installations.get(id).filter(|row| row.life == Life::Uninstalling) else { return };
    let is_over = row.no_more_invoices || window_end(row).is_none_or(|end| now >= end);
    let is_held_up = world.invoices.under(&format!("{id}/")).any(|(_, invoice)| invoice.is_open());
    if !is_over || is_held_up {
        return;
    }
    world.installations.update(id, |row| {
        row.life = Life::Finalized;
        row.finalized_at = Some(now);
        row.due = None;
        plans::end(&mut row.plans, now);
    });
    let live = world.resources.under(&format!("{id}/")).filter(|(_, row)| row.deleted_at.is_none());
    let live: Vec<String> = live.map(|(_, row)| row.id.clone()).collect();
    for resource_id in live {
        resources::remove(world, id, &resource_id, now);
    }
}
