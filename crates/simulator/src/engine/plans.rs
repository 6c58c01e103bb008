//! Which plan was active when: what rule 2 of spec A.14 is judged by.

use jiff::Timestamp;

use crate::model::PlanSpan;
use crate::wire::{Period, Plan};

/// Notes that `plan` applies from `now` on, or from its `effectiveDate` if that is later.
pub(crate) fn note(spans: &mut Vec<PlanSpan>, plan: &Plan, now: Timestamp) {
    let from = plan.effective().filter(|at| *at > now).unwrap_or(now);
    // A change that has not begun yet is replaced by the newer one.
    spans.retain(|span| span.from <= now);
    if let Some(last) = spans.last_mut() {
        if last.plan_id == plan.id() {
            last.to = None;
            return;
        }
        last.to = Some(last.to.map_or(from, |to| to.min(from)));
    }
    let (plan_id, plan_type) = (plan.id().to_owned(), plan.kind().to_owned());
    spans.push(PlanSpan { plan_id, plan_type, from, to: None });
}

/// Notes that `plan` applies from `now` on after a pause, of which nothing is forgotten.
pub(crate) fn begin(spans: &mut Vec<PlanSpan>, plan: &Plan, now: Timestamp) {
    let (plan_id, plan_type) = (plan.id().to_owned(), plan.kind().to_owned());
    spans.push(PlanSpan { plan_id, plan_type, from: now, to: None });
}

/// Ends what is still active.
pub(crate) fn end(spans: &mut Vec<PlanSpan>, now: Timestamp) {
    spans.retain(|span| span.from <= now);
    if let Some(last) = spans.last_mut() {
        last.to = Some(last.to.map_or(now, |to| to.min(now)));
    }
}

/// The span in which `plan_id` was active at some instant of `[start, end)`.
pub(crate) fn active<'a>(spans: &'a [PlanSpan], plan_id: &str, period: &Period) -> Option<&'a PlanSpan> {
    let overlaps = |span: &&PlanSpan| span.from < period.end.0 && span.to.is_none_or(|to| to > period.start.0);
    spans.iter().filter(|span| span.plan_id == plan_id).find(overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Datetime;

    fn plan(id: &str, effective: Option<&str>) -> Plan {
        let mut plan = serde_json::json!({ "id": id, "type": "subscription", "name": id });
        if let Some(at) = effective {
            plan["effectiveDate"] = at.into();
        }
        serde_json::from_str(&plan.to_string()).unwrap()
    }

    fn at(day: i8) -> Timestamp {
        format!("2027-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    fn is_active(spans: &[PlanSpan], id: &str, from: i8, to: i8) -> bool {
        active(spans, id, &Period { start: Datetime(at(from)), end: Datetime(at(to)) }).is_some()
    }

    #[test]
    fn a_plan_is_active_between_its_changes() {
        let mut spans = Vec::new();
        note(&mut spans, &plan("a", None), at(3));
        note(&mut spans, &plan("a", None), at(5));
        note(&mut spans, &plan("b", None), at(10));
        end(&mut spans, at(20));
        assert_eq!(spans.len(), 2);
        assert!(is_active(&spans, "a", 1, 4) && is_active(&spans, "a", 9, 30) && !is_active(&spans, "a", 10, 30));
        assert!(!is_active(&spans, "a", 1, 3));
        assert!(is_active(&spans, "b", 10, 11) && !is_active(&spans, "b", 20, 30) && !is_active(&spans, "c", 1, 30));
    }

    #[test]
    fn a_future_plan_begins_on_its_date_and_can_be_taken_back() {
        let mut spans = Vec::new();
        note(&mut spans, &plan("a", None), at(1));
        note(&mut spans, &plan("b", Some("2027-01-20T00:00:00Z")), at(5));
        assert!(is_active(&spans, "a", 19, 20) && !is_active(&spans, "b", 5, 20) && is_active(&spans, "b", 20, 21));
        note(&mut spans, &plan("a", None), at(6));
        assert!(is_active(&spans, "a", 25, 26) && !is_active(&spans, "b", 20, 30));
    }
}
