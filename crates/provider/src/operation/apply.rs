//! What an operation's end changes: mostly pure, given what the provisioner said.

use http::StatusCode;
use jiff::Timestamp;
use tradepost_marketplace::ids::PlanId;
use tradepost_marketplace::partner;
use tradepost_marketplace::wire::{ResourceStatus, Secret};
use tradepost_store::{Stored, Write};

use crate::catalog::{Catalog, ChangeTime, Plan};
use crate::edge::ApiError;
use crate::idempotency::Answer;
use crate::outbox::{News, What};
use crate::period::CLOCKS_APART;
use crate::pricing::Segment;
use crate::provider::Provider;
use crate::provisioner::{self, Done, Kind};
use crate::state::Rotation;
use crate::state::resource::SECRETS_FIELD;
use crate::state::{Credentials, Installation, Intent, Operation, Origin, Resource, ResourceState};

/// How long the old secrets stay good when nobody says otherwise (formats: "Rotation grace").
pub const GRACE_SECONDS: u64 = 24 * 3600;

/// The end of an operation, to be committed.
pub(super) struct Applied {
    /// State.
    pub(super) writes: Vec<Write>,
    /// Effects.
    pub(super) owed: Vec<What>,
    /// The answer.
    pub(super) answer: Reply,
}

/// The answer, before the effects have their ids.
pub(super) enum Reply {
    /// As it stands.
    Ready(Answer),
    /// 202 with the ids of the effects: what a partner system gets.
    Accepted,
}

/// Completes an answer.
pub(super) fn answer_with(reply: Reply, effects: &[String]) -> Result<Answer, ApiError> {
    match reply {
        Reply::Ready(answer) => Ok(answer),
        Reply::Accepted => Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": effects })),
    }
}

/// The resource as Vercel reads it (spec B.6), without secrets. A plan that begins as soon as clocks may be apart has
/// begun by another process's: Vercel reads at once what it is told of, and would not read again.
pub fn resource_body(catalog: &Catalog, resource: &Resource, now: Timestamp) -> Result<partner::Resource, ApiError> {
    let plan = resource.plan_at(now.saturating_add(CLOCKS_APART)?).and_then(|id| catalog.plan(id));
    Ok(partner::Resource {
        id: resource.id.clone(),
        product_id: resource.product_as_sent.clone(),
        name: resource.name.clone(),
        metadata: serde_json::from_str(&resource.metadata).map_err(ApiError::internal)?,
        status: resource.status.clone(),
        billing_plan: plan.map(Plan::to_billing_plan),
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
) -> Result<Applied, ApiError> {
    let now = provider.clock.now();
    let intent = &operation.intent;
    let installation = provider.store.get::<Installation>(&Installation::key_of(&stored.installation)).await?;
    // By another process's clock a close may have ended later than it is here.
    let from = installation.as_ref().map_or(now, |installation| now.max(installation.billed_until()));
    let mut resource = stored.item.clone();
    resource.operation = None;
    if intent.origin == Origin::Vercel && intent.kind != Kind::Create {
        // It names the resource, so it knows it.
        resource.unconfirmed = false;
    }
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
            resource.state = ResourceState::Live;
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
                owed.extend(plan_begins(&resource, at, now));
                // A close that begins meanwhile must not bill the plan before.
                let key = Installation::key_of(&resource.installation);
                writes.extend(installation.map(|installation| Write::check(key, installation.version)));
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
            owed.push(What::PutSecrets { resource: resource.id.clone() });
            if intent.origin == Origin::Partner {
                Reply::Accepted
            } else {
                Reply::Ready(Answer::json(StatusCode::ACCEPTED, &partner::RotationAnswer::Later)?)
            }
        }
        Kind::Delete => {
            end(&mut resource, from);
            writes.extend(forget(&resource, installation)?);
            owed.push(What::RemoveResource { resource: resource.id.clone() });
            Reply::Ready(Answer::empty(StatusCode::NO_CONTENT))
        }
    };
    writes.push(Write::replace(&resource, stored.version)?);
    Ok(Applied { writes, owed, answer: reply })
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
    change_plan(resource, plan, at);
    Some(at)
}

/// A plan that begins later is told to Vercel when it begins: until then Vercel reads the one before.
pub(crate) fn plan_begins(resource: &Resource, at: Timestamp, now: Timestamp) -> Option<What> {
    (at > now).then(|| What::ResourceUpdated { resource: resource.id.clone(), news: News::PlanBegins(at) })
}

/// Gives a resource another plan from `at` on. A plan that was to begin later is given up for the new one.
pub(crate) fn change_plan(resource: &mut Resource, plan: &PlanId, at: Timestamp) {
    let next = resource.segments.iter().map(|segment| segment.number).max().map_or(0, |highest| highest + 1);
    // The one in force just before `at`: not a later one that was given up, and is empty.
    let in_force = |segment: &Segment| segment.start < at && segment.end.is_none_or(|end| end >= at);
    let current = resource.segments.iter().position(in_force);
    cut(&mut resource.segments, at);
    if let Some(last) = current.and_then(|index| resource.segments.get_mut(index)).filter(|last| last.plan == *plan) {
        last.end = None;
        return;
    }
    resource.segments.push(Segment { number: next, plan: plan.clone(), start: at, end: None });
}

/// Ends all segments at `at`. One that begins then or later is kept, empty: totals may already name it.
fn cut(segments: &mut [Segment], at: Timestamp) {
    for segment in segments {
        let end = segment.end.map_or(at, |end| end.min(at));
        segment.end = Some(end.max(segment.start));
    }
}

/// The end of a resource: its segments stop now.
pub(crate) fn end(resource: &mut Resource, now: Timestamp) {
    resource.state = ResourceState::Deleted;
    resource.status = ResourceStatus::Uninstalled;
    // One that was taken back ended then, whenever the provisioner hears of it.
    let ended_at = *resource.deleted_at.get_or_insert(now);
    resource.operation = None;
    cut(&mut resource.segments, ended_at);
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

/// The secrets that came, sealed, one revision up. `version` is what the provisioner calls them, if that
/// changes; `confirmed` says that the answer itself hands them to Vercel. Returns the revision, too.
pub(crate) async fn seal_credentials(
    provider: &Provider,
    resource: &Resource,
    secrets: &[Secret],
    version: Option<u64>,
    confirmed: bool,
) -> Result<(Write, u64), ApiError> {
    let key = Credentials::key_of(&resource.installation, &resource.id);
    let held = provider.store.get::<Credentials>(&key).await?;
    let revision = held.as_ref().map_or(0, |held| held.revision) + 1;
    let text = provisioner::secrets_to_text(secrets).map_err(ApiError::internal)?;
    let record = Credentials {
        resource: resource.id.clone(),
        installation: resource.installation.clone(),
        secrets_version: version.or(held.as_ref().map(|held| held.secrets_version)).unwrap_or(1),
        revision,
        sealed: provider.keys()?.seal(resource.id.as_str(), SECRETS_FIELD, &text).await?,
        confirmed_revision: match &held {
            _ if confirmed => revision,
            Some(held) => held.confirmed_revision,
            None => 0,
        },
    };
    let write = match held {
        Some(held) => Write::replace(&record, held.version)?,
        None => Write::create(&record)?,
    };
    Ok((write, revision))
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
) -> Result<Applied, ApiError> {
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
    let answer = Reply::Ready(Answer::refusal(error, operation.intent.origin)?);
    Ok(Applied { writes, owed: Vec::new(), answer })
}

/// When a change from one plan to another counts from: now, or the end of the period, by the catalog.
pub fn plan_starts(
    catalog: &Catalog,
    installation: &Installation,
    from: Option<&PlanId>,
    to: &PlanId,
    now: Timestamp,
) -> Result<Timestamp, ApiError> {
    catalog.plan(to).ok_or_else(|| unknown_plan(to))?;
    let rule = from.and_then(|from| catalog.change_time(from, to)).unwrap_or(ChangeTime::Immediate);
    Ok(match rule {
        ChangeTime::Immediate => now,
        ChangeTime::PeriodEnd => installation.period_at(now).map_or(now, |period| period.end),
    })
}

/// The refusal of a plan that is not in the catalog.
pub fn unknown_plan(plan: &PlanId) -> ApiError {
    ApiError::new(crate::edge::error::Code::ValidationError, format!("there is no plan {plan}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradepost_marketplace::ids::{InstallationId, ProductId, ResourceId};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    fn plan(name: &str) -> PlanId {
        PlanId::new(name).unwrap()
    }

    fn resource() -> Resource {
        Resource {
            id: ResourceId::new("icfg_1.r1").unwrap(),
            installation: InstallationId::new("icfg_1").unwrap(),
            product: ProductId::new("product").unwrap(),
            product_as_sent: ProductId::new("product").unwrap(),
            name: "name".to_owned(),
            metadata: "{}".to_owned(),
            status: ResourceStatus::Ready,
            notification: None,
            state: ResourceState::Live,
            segments: vec![Segment { number: 0, plan: plan("free"), start: at(0), end: None }],
            fence: 1,
            operation: None,
            created_at: at(0),
            deleted_at: None,
            unconfirmed: false,
            void: false,
        }
    }

    fn shown(resource: &Resource) -> Vec<(u32, String, Timestamp, Option<Timestamp>)> {
        let row = |it: &Segment| (it.number, it.plan.to_string(), it.start, it.end);
        resource.segments.iter().map(row).collect()
    }

    #[test]
    fn segments_are_numbered_on_and_what_was_to_come_is_given_up() {
        let mut it = resource();
        change_plan(&mut it, &plan("team"), at(5));
        change_plan(&mut it, &plan("scale"), at(9));
        let free = (0, "free".to_owned(), at(0), Some(at(5)));
        let team = |end| (1, "team".to_owned(), at(5), end);
        assert_eq!(shown(&it), [free.clone(), team(Some(at(9))), (2, "scale".to_owned(), at(9), None)]);
        // Back to what it had just before: that goes on, and what would have begun is kept, empty.
        change_plan(&mut it, &plan("team"), at(9));
        assert_eq!(shown(&it), [free.clone(), team(None), (2, "scale".to_owned(), at(9), Some(at(9)))]);
        // One that begins at this instant was not in force before it.
        change_plan(&mut it, &plan("free"), at(5));
        let given_up = [(1, "team".to_owned(), at(5), Some(at(5))), (2, "scale".to_owned(), at(9), Some(at(9)))];
        assert_eq!(shown(&it)[1..], given_up);
        assert_eq!(shown(&it)[0], (0, "free".to_owned(), at(0), None));
    }

    #[test]
    fn a_plan_that_changes_in_the_instant_of_the_create_is_a_segment_of_its_own() {
        let mut it = resource();
        change_plan(&mut it, &plan("free"), at(0));
        assert_eq!(shown(&it), [(0, "free".to_owned(), at(0), Some(at(0))), (1, "free".to_owned(), at(0), None)]);
    }

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
