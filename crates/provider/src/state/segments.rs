//! The plans of a resource over time: its segments, and how a change, a deletion and the catalog's rules cut them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::PlanId;
use tradepost_marketplace::wire::ResourceStatus;
use tradepost_pricing::catalog::{Catalog, ChangeTime, Plan, Scope};
use tradepost_pricing::period::Segment;

use super::{Installation, Resource};
use crate::edge::ApiError;
use crate::edge::error::Code;

/// The most changes of a resource's plan within [`CHANGES_WITHIN`]: each is a segment, which stays in the slice for as
/// long as readings of it may come, and every push and close reads them all.
pub const PLAN_CHANGES_MAX: u32 = 10;
/// In which time they are counted.
pub const CHANGES_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// How often a resource's plan was changed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanChanges {
    /// When the first of them was made.
    since: Timestamp,
    /// Those within a day of it.
    count: u32,
}

/// Whether the plan may be changed again.
///
/// # Errors
/// 409 that says when it may be.
pub fn must_be_few(resource: &Resource, now: Timestamp) -> Result<(), ApiError> {
    let many = resource.plan_changes.filter(|lately| lately.count >= PLAN_CHANGES_MAX);
    let until = many.map(|lately| lately.since.saturating_add(CHANGES_WITHIN)).transpose()?;
    match until.filter(|until| *until > now) {
        Some(until) => {
            let often = format!("the plan of this resource was changed {PLAN_CHANGES_MAX} times within a day");
            Err(ApiError::conflict(format!("{often}; it can be changed again after {until}")))
        }
        None => Ok(()),
    }
}

fn counted(before: Option<PlanChanges>, now: Timestamp) -> PlanChanges {
    match before {
        Some(PlanChanges { since, count }) if now.duration_since(since) < CHANGES_WITHIN => {
            PlanChanges { since, count: count.saturating_add(1) }
        }
        _ => PlanChanges { since: now, count: 1 },
    }
}

/// Whether it is all before an instant.
fn is_past(segment: &Segment, before: Timestamp) -> bool {
    segment.end.is_some_and(|end| end < before)
}

/// Whether there is anything to [`fold`].
pub fn can_fold(resource: &Resource, before: Timestamp) -> bool {
    resource.segments.iter().skip(1).any(|segment| is_past(segment, before))
}

/// Forgets the segments that ended before an instant of which nothing is billed any more; not the first, whose plan
/// Vercel has seen for sure. True if there were any.
pub fn fold(resource: &mut Resource, before: Timestamp) -> bool {
    let count = resource.segments.len();
    let mut is_first = true;
    resource.segments.retain(|segment| std::mem::take(&mut is_first) || !is_past(segment, before));
    resource.segments.len() < count
}

/// Gives a resource another plan from `at` on. A plan that was to begin later is given up for the new one.
pub fn change_plan(resource: &mut Resource, plan: &PlanId, at: Timestamp, now: Timestamp) {
    resource.plan_changes = Some(counted(resource.plan_changes, now));
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
pub fn end(resource: &mut Resource, now: Timestamp) {
    resource.life = resource.life.deleted(now);
    resource.status = ResourceStatus::Uninstalled;
    resource.operation = None;
    cut(&mut resource.segments, resource.life.ended_at().unwrap_or(now));
}

/// Whether a resource can be changed: it is there, live, and not being deleted.
pub fn must_be_live(resource: Option<&Resource>) -> Result<&Resource, ApiError> {
    match resource {
        Some(resource) if resource.life.is_live() => Ok(resource),
        _ => Err(ApiError::not_found("resource")),
    }
}

/// The plan that is to begin later, if there is one. One that was given up is an empty segment.
pub fn pending(resource: &Resource, now: Timestamp) -> Option<&Segment> {
    resource.segments.iter().find(|segment| segment.start > now && segment.end != Some(segment.start))
}

/// Whether the resource's product has the plan.
pub fn offers(catalog: &Catalog, resource: &Resource, plan: &PlanId) -> bool {
    let product = catalog.product(resource.product.as_str());
    product.is_some_and(|product| product.plans.iter().any(|offered| offered.id == *plan))
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
    ApiError::new(Code::ValidationError, format!("there is no plan {plan}"))
}

/// A plan for whole installations.
pub fn of_installations<'a>(catalog: &'a Catalog, plan: &PlanId) -> Result<&'a Plan, ApiError> {
    let known = catalog.plan(plan).filter(|plan| plan.scope == Scope::Installation);
    known.ok_or_else(|| unknown_plan(plan))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::Life;
    use tradepost_marketplace::ids::{InstallationId, ProductId, ResourceId};

    pub(crate) fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    pub(crate) fn plan(name: &str) -> PlanId {
        PlanId::new(name).unwrap()
    }

    /// One that has the plan `free` since the beginning.
    pub(crate) fn resource() -> Resource {
        Resource {
            id: ResourceId::new("icfg_1.r1").unwrap(),
            installation: InstallationId::new("icfg_1").unwrap(),
            product: ProductId::new("product").unwrap(),
            product_as_sent: ProductId::new("product").unwrap(),
            name: "name".to_owned(),
            metadata: "{}".to_owned(),
            status: ResourceStatus::Ready,
            notification: None,
            life: Life::KNOWN,
            segments: vec![Segment { number: 0, plan: plan("free"), start: at(0), end: None }],
            fence: 1,
            operation: None,
            created_at: at(0),
            plan_changes: None,
        }
    }

    fn shown(resource: &Resource) -> Vec<(u32, String, Timestamp, Option<Timestamp>)> {
        let row = |it: &Segment| (it.number, it.plan.to_string(), it.start, it.end);
        resource.segments.iter().map(row).collect()
    }

    #[test]
    fn segments_are_numbered_on_and_what_was_to_come_is_given_up() {
        let mut it = resource();
        change_plan(&mut it, &plan("team"), at(5), at(5));
        change_plan(&mut it, &plan("scale"), at(9), at(5));
        let free = (0, "free".to_owned(), at(0), Some(at(5)));
        let team = |end| (1, "team".to_owned(), at(5), end);
        assert_eq!(shown(&it), [free.clone(), team(Some(at(9))), (2, "scale".to_owned(), at(9), None)]);
        // Back to what it had just before: that goes on, and what would have begun is kept, empty.
        change_plan(&mut it, &plan("team"), at(9), at(5));
        assert_eq!(shown(&it), [free.clone(), team(None), (2, "scale".to_owned(), at(9), Some(at(9)))]);
        // One that begins at this instant was not in force before it.
        change_plan(&mut it, &plan("free"), at(5), at(5));
        let given_up = [(1, "team".to_owned(), at(5), Some(at(5))), (2, "scale".to_owned(), at(9), Some(at(9)))];
        assert_eq!(shown(&it)[1..], given_up);
        assert_eq!(shown(&it)[0], (0, "free".to_owned(), at(0), None));
    }

    #[test]
    fn a_plan_is_changed_a_few_times_a_day() {
        let mut it = resource();
        for n in 0..PLAN_CHANGES_MAX {
            must_be_few(&it, at(30)).unwrap();
            change_plan(&mut it, &plan(if n % 2 == 0 { "team" } else { "free" }), at(30), at(30));
        }
        let refused = |it: &Resource, now| must_be_few(it, now).map_err(|error| error.message);
        assert!(refused(&it, at(53)).unwrap_err().contains("1970-01-03T06:00:00Z"), "a day after the first");
        assert_eq!(refused(&it, at(54)), Ok(()));
        change_plan(&mut it, &plan("team"), at(54), at(54));
        assert_eq!(it.plan_changes, Some(PlanChanges { since: at(54), count: 1 }));
    }

    #[test]
    fn of_what_is_past_only_the_first_plan_is_kept() {
        let mut it = resource();
        for (hour, name) in [(1, "team"), (2, "scale"), (3, "free"), (4, "team")] {
            change_plan(&mut it, &plan(name), at(hour), at(hour));
        }
        let numbers = |it: &Resource| it.segments.iter().map(|segment| segment.number).collect::<Vec<_>>();
        assert!(!fold(&mut it, at(2)), "the second ends then, and what ends then may be billed");
        assert!(fold(&mut it, at(3)));
        assert_eq!(numbers(&it), [0, 2, 3, 4]);
        assert!(fold(&mut it, at(9)));
        assert_eq!(numbers(&it), [0, 4], "the first, and the one in force");
        // The next is numbered on.
        change_plan(&mut it, &plan("free"), at(10), at(10));
        assert_eq!(numbers(&it), [0, 4, 5]);
    }

    #[test]
    fn a_plan_that_changes_in_the_instant_of_the_create_is_a_segment_of_its_own() {
        let mut it = resource();
        change_plan(&mut it, &plan("free"), at(0), at(0));
        assert_eq!(shown(&it), [(0, "free".to_owned(), at(0), Some(at(0))), (1, "free".to_owned(), at(0), None)]);
    }
}
