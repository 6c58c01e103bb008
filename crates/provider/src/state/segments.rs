//! The plans of a resource over time: its segments, and how a change, a deletion and the catalog's rules cut them.

use jiff::Timestamp;
use tradepost_marketplace::ids::PlanId;
use tradepost_marketplace::wire::ResourceStatus;
use tradepost_pricing::catalog::{Catalog, ChangeTime, Plan, Scope};
use tradepost_pricing::period::Segment;

use super::{Installation, Resource};
use crate::edge::ApiError;
use crate::edge::error::Code;

/// Gives a resource another plan from `at` on. A plan that was to begin later is given up for the new one.
pub fn change_plan(resource: &mut Resource, plan: &PlanId, at: Timestamp) {
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

/// Whether a plan is to begin later. One that was given up is an empty segment.
pub fn pending(resource: &Resource, now: Timestamp) -> bool {
    resource.segments.iter().any(|segment| segment.start > now && segment.end != Some(segment.start))
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
            life: Life::Live { is_known: true },
            segments: vec![Segment { number: 0, plan: plan("free"), start: at(0), end: None }],
            fence: 1,
            operation: None,
            created_at: at(0),
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
}
