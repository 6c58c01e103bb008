//! What an operation's end changes: mostly pure, given what the provisioner said.

use http::StatusCode;
use jiff::Timestamp;
use tradepost_marketplace::partner;
use tradepost_marketplace::wire::{BillingPlan, Secret};
use tradepost_pricing::catalog::Catalog;
use tradepost_pricing::period::{CLOCKS_APART, Segment};
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::command::{Change, Reply};
use crate::credentials::seal_credentials;
use crate::edge::ApiError;
use crate::effects::{News, What, When};
use crate::provider::Provider;
use crate::provisioner::{Done, Kind};
use crate::state::{Credentials, Installation, Intent, Life, Operation, Origin, Resource, Rotation, segments};

/// How long the old secrets stay good when nobody says otherwise (formats: "Rotation grace").
pub const GRACE_SECONDS: u64 = 24 * 3600;

/// The resource as Vercel reads it (spec B.6), without secrets. A plan that begins as soon as clocks may be apart has
/// begun by another process's: Vercel reads at once what it is told of, and would not read again. One that begins later
/// is shown with the day on which it does (`effectiveDate`).
pub fn resource_body(catalog: &Catalog, resource: &Resource, now: Timestamp) -> Result<partner::Resource, ApiError> {
    let soon = now.saturating_add(CLOCKS_APART)?;
    let (id, effective_date) = match segments::pending(resource, soon) {
        Some(segment) => (Some(&segment.plan), Some(segment.start)),
        None => (resource.plan_at(soon), None),
    };
    let plan = id.and_then(|id| catalog.plan(id));
    Ok(partner::Resource {
        id: resource.id.clone(),
        product_id: resource.product_as_sent.clone(),
        name: resource.name.clone(),
        metadata: serde_json::from_str(&resource.metadata).map_err(ApiError::internal)?,
        status: resource.status.clone(),
        billing_plan: plan.map(|plan| BillingPlan { effective_date, ..plan.to_billing_plan() }),
        notification: resource.notification.clone(),
        protocol_settings: None,
        secrets: None,
    })
}

/// When a plan change counts from, if the intent has one: from when it is carried out, at the earliest. Until then the
/// resource had its old plan, whatever was asked; readings were taken, and perhaps a period was billed, under it.
pub(super) fn plan_change_at(resource: &Resource, intent: &Intent, now: Timestamp) -> Option<Timestamp> {
    intent.plan.as_ref()?;
    if intent.kind == Kind::Create {
        return Some(now);
    }
    Some(intent.plan_from.unwrap_or(now).max(now).max(resource.created_at))
}

/// The writes and effects of an operation that the provisioner carried out.
pub(super) async fn done(
    provider: &Provider,
    stored: &Stored<Resource>,
    operation: &Operation,
    done: &Done,
) -> Result<Change, ApiError> {
    let now = provider.clock.now();
    let intent = &operation.intent;
    let installation = provider.store.get::<Installation>(&Installation::key_of(&stored.installation)).await?;
    // By another process's clock a close may have ended later than it is here.
    let from = installation.as_ref().map_or(now, |installation| now.max(installation.billed_until()));
    let mut resource = stored.item.clone();
    resource.operation = None;
    if let Some(status) = &done.status {
        resource.status = status.clone();
    }
    if done.notification.is_some() {
        resource.notification.clone_from(&done.notification);
    }
    let mut writes = Vec::new();
    let mut owed = Vec::new();
    let reply = match intent.kind {
        Kind::Create => {
            resource.life = Life::MADE;
            resource.created_at = now;
            resource.segments = first_segment(intent, from)?;
            let version = Some(operation.secrets_version);
            writes.push(seal_credentials(provider, &resource, secrets(done)?, version, true).await?.0);
            let answers = operation.answers.clone();
            owed.push(What::ConfirmResource { resource: resource.id.clone(), answers });
            let body = resource_body(provider.catalog()?, &resource, now)?;
            Reply::Ready(Answer::json(StatusCode::OK, &body)?.with_secrets_of(resource.id.clone()))
        }
        Kind::Update => {
            if let Some(at) = change(&mut resource, intent, from) {
                owed.extend(What::plan_begins(&resource, at, now));
                // A close that begins meanwhile must not bill the plan before.
                let key = Installation::key_of(&resource.installation);
                writes.extend(installation.map(|installation| Write::check(key, installation.version)));
            }
            // A product may make new secrets with a new plan: they go the way of a rotation's.
            if let Some(secrets) = done.secrets.as_deref().filter(|secrets| !secrets.is_empty()) {
                writes.push(seal_credentials(provider, &resource, secrets, None, false).await?.0);
                owed.push(What::PutSecrets { resource: resource.id.clone(), when: When::asked_by(intent.origin) });
            }
            let is_partners = intent.origin == Origin::Partner;
            // The answer to Vercel may be lost, and nobody repeats: then this tells it.
            let news = if is_partners { News::Change } else { News::Answer };
            owed.push(What::ResourceUpdated { resource: resource.id.clone(), news });
            if is_partners {
                Reply::Accepted
            } else {
                Reply::Ready(Answer::json(StatusCode::OK, &resource_body(provider.catalog()?, &resource, now)?)?)
            }
        }
        Kind::Rotate | Kind::Revoke => {
            let version = Some(operation.secrets_version);
            let (write, revision) = seal_credentials(provider, &resource, secrets(done)?, version, false).await?;
            writes.extend([write, rotation(&resource, operation, revision, now)?]);
            owed.push(What::PutSecrets { resource: resource.id.clone(), when: When::asked_by(intent.origin) });
            if intent.origin == Origin::Partner {
                Reply::Accepted
            } else {
                Reply::Ready(Answer::json(StatusCode::ACCEPTED, &partner::RotationAnswer::Later)?)
            }
        }
        Kind::Delete => {
            segments::end(&mut resource, from);
            writes.extend(forget(&resource, installation)?);
            owed.push(What::RemoveResource { resource: resource.id.clone() });
            Reply::Ready(Answer::empty(StatusCode::NO_CONTENT))
        }
    };
    writes.push(Write::replace(&resource, stored.version)?);
    Ok(Change::of(reply).writing(writes).owing(owed))
}

fn secrets(done: &Done) -> Result<&[Secret], ApiError> {
    done.secrets.as_deref().ok_or_else(|| ApiError::internal("an answer without secrets was let through"))
}

fn first_segment(intent: &Intent, now: Timestamp) -> Result<Vec<Segment>, ApiError> {
    let plan = intent.plan.clone().ok_or_else(|| ApiError::internal("a create without a plan"))?;
    Ok(vec![Segment { number: 0, plan, start: now, end: None }])
}

/// Name, metadata and plan. Returns when the plan begins, if it changes.
fn change(resource: &mut Resource, intent: &Intent, now: Timestamp) -> Option<Timestamp> {
    if let Some(name) = &intent.name {
        resource.name.clone_from(name);
    }
    if let Some(metadata) = &intent.metadata {
        resource.metadata.clone_from(metadata);
    }
    let (plan, at) = (intent.plan.as_ref()?, plan_change_at(resource, intent, now)?);
    segments::change_plan(resource, plan, at, now);
    Some(at)
}

/// The writes that go with a deleted resource: its secrets go, the installation counts one less.
fn forget(resource: &Resource, installation: Option<Stored<Installation>>) -> Result<Vec<Write>, ApiError> {
    // Its rotations find out by themselves that there is nothing left to expire.
    let mut writes = vec![Write::delete_any(Credentials::key_of(&resource.installation, &resource.id))];
    if let Some(mut installation) = installation {
        installation.item.resources_live = installation.resources_live.saturating_sub(1);
        writes.push(Write::replace(&installation.item, installation.version)?);
    }
    Ok(writes)
}

/// What the scheduled expiry goes by.
fn rotation(resource: &Resource, operation: &Operation, revision: u64, now: Timestamp) -> Result<Write, ApiError> {
    let grace_seconds = operation.intent.grace_seconds.unwrap_or(GRACE_SECONDS);
    let grace = jiff::SignedDuration::from_secs(i64::try_from(grace_seconds).unwrap_or(i64::MAX));
    let record = Rotation {
        resource: resource.id.clone(),
        installation: resource.installation.clone(),
        keep_version: operation.secrets_version,
        revision,
        grace_seconds,
        confirmed_at: None,
        look_at: now.saturating_add(grace)?,
    };
    Ok(Write::create(&record)?)
}

/// The writes of an operation that the provisioner refused for good.
pub(super) async fn refused(
    provider: &Provider,
    stored: &Stored<Resource>,
    operation: &Operation,
    error: &ApiError,
) -> Result<Change, ApiError> {
    let mut resource = stored.item.clone();
    resource.operation = None;
    let mut writes = Vec::new();
    if operation.intent.kind == Kind::Create {
        writes.push(Write::delete(Resource::key_of(&resource.installation, &resource.id), stored.version));
        let key = Installation::key_of(&resource.installation);
        if let Some(mut installation) = provider.store.get::<Installation>(&key).await? {
            installation.item.resources_live = installation.resources_live.saturating_sub(1);
            installation.item.resources_kept = installation.resources_kept.saturating_sub(1);
            writes.push(Write::replace(&installation.item, installation.version)?);
        }
    } else {
        writes.push(Write::replace(&resource, stored.version)?);
    }
    Ok(Change::answered(Answer::refusal(error, operation.intent.origin)?).writing(writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::segments::tests::{at, plan, resource};

    #[test]
    fn a_plan_counts_from_when_it_is_carried_out() {
        let intent =
            |from| Intent { plan: Some(plan("team")), plan_from: from, ..Intent::of(Kind::Update, Origin::Vercel) };
        let counts_from = |from, now| plan_change_at(&resource(), &intent(from), now);
        assert_eq!(counts_from(Some(at(3)), at(3)), Some(at(3)));
        assert_eq!(counts_from(Some(at(9)), at(3)), Some(at(9)), "at the end of the period");
        assert_eq!(counts_from(Some(at(3)), at(9)), Some(at(9)), "it was asked for long ago");
        assert_eq!(counts_from(None, at(3)), Some(at(3)));
        assert_eq!(counts_from(None, at(-1)), Some(at(0)), "by a clock that is behind");
        assert_eq!(plan_change_at(&resource(), &Intent::of(Kind::Update, Origin::Vercel), at(3)), None);
    }
}
