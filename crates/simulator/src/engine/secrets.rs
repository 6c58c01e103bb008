//! A resource's secrets, of which only digests are kept (spec A.18, B.6, B.10).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::derive::digest;
use crate::model::SecretDigest;
use crate::refusal::Refusal;
use crate::rules::{SECRET_NAME, SECRET_TWICE};
use crate::wire::{Secret, bounded};
use crate::world::World;

/// Refuses a list that is too long, names nothing, or names a secret twice.
pub(crate) fn check(secrets: &[Secret]) -> Result<(), Refusal> {
    bounded("secrets", secrets)?;
    let mut names = BTreeSet::new();
    for secret in secrets {
        if secret.name.is_empty() {
            return Err(SECRET_NAME.refuse());
        }
        if !names.insert(&secret.name) {
            return Err(SECRET_TWICE.because(format!("{:?}", secret.name)));
        }
    }
    Ok(())
}

/// Sets secrets: all of them, or with `partial` those given.
pub(crate) fn set(world: &mut World, owner: (&str, &str), secrets: &[Secret], partial: bool, now: Timestamp) {
    let (installation_id, resource_id) = owner;
    let prefix = format!("{installation_id}/{resource_id}/");
    let kept = |name: &str| partial || secrets.iter().any(|secret| secret.name == name);
    let old: Vec<String> =
        world.secrets.under(&prefix).filter(|(_, row)| !kept(&row.name)).map(|(key, _)| key.clone()).collect();
    for key in old {
        world.secrets.remove(&key);
    }
    for secret in secrets {
        let mut overrides = BTreeMap::new();
        if let Some(values) = &secret.environment_overrides {
            let pairs = [
                ("development", &values.development),
                ("preview", &values.preview),
                ("production", &values.production),
            ];
            let given = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), digest(value.as_ref()?))));
            overrides.extend(given);
        }
        let mut row = SecretDigest {
            installation_id: installation_id.to_owned(),
            resource_id: resource_id.to_owned(),
            name: secret.name.clone(),
            prefix: secret.prefix.clone(),
            sha256: digest(&secret.value),
            environment_overrides: overrides,
            set_at: now,
        };
        let key = format!("{prefix}{}", secret.name);
        // The same value again is no change: a repeated call leaves the same state.
        if let Some(old) = world.secrets.get(&key) {
            row.set_at = old.set_at;
            if *old != row {
                row.set_at = now;
            }
        }
        world.secrets.put(&key, row);
    }
}
