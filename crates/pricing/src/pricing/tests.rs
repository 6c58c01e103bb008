use super::*;
use crate::catalog::Aggregation;
use tradepost_marketplace::money::{Number, line_total};
use tradepost_marketplace::wire::UsageKind;

mod properties;
mod settling;

const CATALOG: &str = include_str!("tests/catalog.toml");

fn catalog() -> Catalog {
    Catalog::parse(CATALOG).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn january() -> Period {
    Period { start: at("2027-01-01T00:00:00Z"), end: at("2027-02-01T00:00:00Z") }
}

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

fn segment(number: u32, plan: &str, start: &str, end: Option<&str>) -> Segment {
    Segment { number, plan: PlanId::new(plan).unwrap(), start: at(start), end: end.map(at) }
}

fn resource(name: &str, segments: Vec<Segment>) -> BilledResource {
    BilledResource { id: Some(id(name)), segments }
}

/// A resource that has had one plan since before the period.
fn steady(name: &str, plan: &str) -> BilledResource {
    resource(name, vec![segment(0, plan, "2026-12-24T18:00:00Z", None)])
}

/// A total of one meter: one reading on 20 January.
#[derive(Debug)]
struct Total(ResourceId, u32, &'static str, Aggregate);

fn total(resource: &str, segment: u32, meter: &'static str, amount: &str) -> Total {
    let mut total = Aggregate::new(if meter == "storage" { Aggregation::Max } else { Aggregation::Sum });
    total.add("a", at("2027-01-20T08:00:00Z"), quantity(amount)).unwrap();
    Total(id(resource), segment, meter, total)
}

fn price_in(period: Period, resources: &[BilledResource], totals: &[Total]) -> Result<Bill, PricingError> {
    let metered: Vec<_> = totals
        .iter()
        .map(|Total(resource, segment, meter, aggregate)| Metered { resource, segment: *segment, meter, aggregate })
        .collect();
    let (catalog, at) = (catalog(), at("2027-01-20T12:00:00Z"));
    bill(&BillInput { catalog: &catalog, period, whole: january(), at, resources, metered: &metered })
}

fn price(resources: &[BilledResource], totals: &[Total]) -> Bill {
    price_in(january(), resources, totals).unwrap()
}

fn paid(line: &LineItem) -> i64 {
    line.total.money().unwrap().cents()
}

fn nano_of(line: &LineItem) -> (i128, i128) {
    (line.price.price().unwrap().nano(), line.quantity.quantity().unwrap().nano())
}

/// Lines as `resource plan name: price x quantity units = total [from start] [to end] (details)`.
fn lines(bill: &Bill) -> Vec<String> {
    let line = |line: &LineItem| {
        let (price, quantity) = (line.price.price().unwrap(), line.quantity.quantity().unwrap());
        assert_eq!(line_total(price, quantity), Some(line.total.money().unwrap()));
        let resource = line.resource_id.as_ref().map_or("-", ResourceId::as_str);
        let (plan, name, units) = (&line.billing_plan_id, &line.name, &line.units);
        let mut text =
            vec![format!("{resource} {plan} {name}: {} x {} {units} = {}", line.price, line.quantity, line.total)];
        text.extend(line.start.map(|start| format!("from {start}")));
        text.extend(line.end.map(|end| format!("to {end}")));
        text.extend(line.details.as_ref().map(|details| format!("({details})")));
        text.join(" ")
    };
    bill.lines.iter().map(line).collect()
}

#[test]
fn a_month_with_a_plan_change_is_billed_under_each_plan() {
    let changed = vec![
        segment(0, "team", "2027-01-03T00:00:00Z", Some("2027-01-16T12:00:00Z")),
        segment(1, "scale", "2027-01-16T12:00:00Z", None),
    ];
    let resources = [steady("r3", "free"), resource("r2", changed), steady("r1", "team")];
    let totals = [
        total("r2", 0, "queries", "900000"),
        total("r2", 1, "queries", "223600.5"),
        total("r2", 1, "storage", "120"),
        total("r3", 0, "queries", "5000"),
    ];
    let bill = price(&resources, &totals);
    let since = "from 2027-01-16T12:00:00Z";
    assert_eq!(
        lines(&bill),
        [
            "r1 team Team plan: 20 x 1 month = 20.00".to_owned(),
            "r2 team Team plan: 20 x 0.435483871 month = 8.71 from 2027-01-03T00:00:00Z to 2027-01-16T12:00:00Z (324 of 744 hours)".to_owned(),
            format!("r2 scale Scale plan: 5 x 0.5 month = 2.50 {since} (372 of 744 hours)"),
            format!("r2 scale Queries: 0.000025 x 123600.5 queries = 3.09 {since} (223600.5 used, 100000 included)"),
            format!("r2 scale Storage: 0.09 x 90 GB = 8.10 {since} (above 10, up to 100)"),
            format!("r2 scale Storage: 0.07 x 20 GB = 1.40 {since} (above 100)"),
        ]
    );
    assert_eq!(bill.total.to_string(), "43.80");
    let plans: Vec<_> = bill.plans.values().map(PlanId::as_str).collect();
    assert_eq!(plans, ["team", "scale", "free"]);
}

#[test]
fn usage_is_shown_over_all_plans_and_says_what_is_included() {
    let changed = vec![
        segment(0, "team", "2027-01-03T00:00:00Z", Some("2027-01-16T12:00:00Z")),
        segment(1, "scale", "2027-01-16T12:00:00Z", None),
    ];
    let totals = [total("r1", 0, "queries", "5"), total("r1", 1, "queries", "7"), total("r1", 1, "storage", "2.5")];
    let usage = price(&[resource("r1", changed)], &totals).usage;
    let shown = |usage: &Usage| {
        let value = |value: &Number| value.to_string();
        (usage.name.clone(), value(&usage.day_value), value(&usage.period_value), usage.plan_value.as_ref().map(value))
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(
        usage.iter().map(shown).collect::<Vec<_>>(),
        [
            (text("Queries"), text("12"), text("12"), Some(text("100000"))),
            (text("Storage"), text("2.5"), text("2.5"), None),
        ]
    );
    assert_eq!((&usage[0].kind, &usage[1].kind), (&UsageKind::Interval, &UsageKind::Total));
}

#[test]
fn a_plan_that_comes_back_is_one_plan_with_one_included_quantity() {
    let there_and_back = vec![
        segment(0, "scale", "2026-12-01T00:00:00Z", Some("2027-01-11T00:00:00Z")),
        segment(1, "team", "2027-01-11T00:00:00Z", Some("2027-01-21T00:00:00Z")),
        segment(2, "scale", "2027-01-21T00:00:00Z", None),
    ];
    let totals = [
        total("r1", 0, "queries", "90000"),
        total("r1", 2, "queries", "50000"),
        total("r1", 0, "storage", "30"),
        total("r1", 2, "storage", "20"),
    ];
    assert_eq!(
        lines(&price(&[resource("r1", there_and_back)], &totals)),
        [
            "r1 scale Scale plan: 5 x 0.322580645 month = 1.61 to 2027-01-11T00:00:00Z (10 of 31 days)",
            "r1 scale Scale plan: 5 x 0.35483871 month = 1.77 from 2027-01-21T00:00:00Z (11 of 31 days)",
            "r1 scale Queries: 0.000025 x 40000 queries = 1.00 (140000 used, 100000 included)",
            "r1 scale Storage: 0.09 x 20 GB = 1.80 (above 10, up to 100)",
            "r1 team Team plan: 20 x 0.322580645 month = 6.45 from 2027-01-11T00:00:00Z to 2027-01-21T00:00:00Z (10 of 31 days)",
        ]
    );
}

#[test]
fn nothing_is_billed_by_no_line() {
    for (plan, meter, amount) in
        [("free", "queries", "9999999"), ("scale", "queries", "100000"), ("scale", "storage", "10")]
    {
        let bill = price(&[steady("r1", plan)], &[total("r1", 0, meter, amount)]);
        let fixed = usize::from(plan == "scale");
        assert_eq!(bill.lines.len(), fixed, "{plan} {meter} {amount}");
    }
    assert_eq!(price(&[], &[]).total, Money::ZERO);
    // Not in the period: before it, after it, or for less than a millisecond.
    for (start, end) in [
        ("2026-12-01T00:00:00Z", Some("2027-01-01T00:00:00Z")),
        ("2027-02-01T00:00:00Z", None),
        ("2027-01-05T00:00:00.0001Z", Some("2027-01-05T00:00:00.0009Z")),
    ] {
        let bill = price(&[resource("r1", vec![segment(0, "team", start, end)])], &[]);
        assert!(bill.lines.is_empty() && bill.usage.is_empty() && bill.plans.is_empty(), "{start}");
    }
}

#[test]
fn usage_in_a_segment_shorter_than_a_millisecond_is_not_lost() {
    let blink =
        resource("r1", vec![segment(0, "scale", "2027-01-05T00:00:00.0001Z", Some("2027-01-05T00:00:00.0009Z"))]);
    let bill = price(&[blink], &[total("r1", 0, "queries", "500000")]);
    assert_eq!(lines(&bill), ["r1 scale Queries: 0.000025 x 400000 queries = 10.00 (500000 used, 100000 included)"]);
}

#[test]
fn tiers_end_with_their_last_unit() {
    for (used, expected) in [
        ("100", "0.1 x 100 queries = 10.00 (up to 100)"),
        ("100.000000001", "0.05 x 100.000000001 queries = 5.00 (above 100)"),
    ] {
        let bill = price(&[steady("r1", "bulk")], &[total("r1", 0, "queries", used)]);
        assert_eq!(lines(&bill), [format!("r1 bulk Queries: {expected}")]);
    }
    for (used, count) in [("10", 0), ("10.000000001", 1), ("100", 1), ("100.000000001", 2)] {
        let bill = price(&[steady("r1", "scale")], &[total("r1", 0, "storage", used)]);
        assert_eq!(bill.lines.len() - 1, count, "{used}");
    }
}

#[test]
fn a_cut_period_is_prorated_by_the_whole_one() {
    let early = Period { end: at("2027-01-11T00:00:00Z"), ..january() };
    let rest = Period { start: early.end, ..january() };
    let bills = [early, rest].map(|period| price_in(period, &[steady("r1", "team")], &[]).unwrap());
    assert_eq!(lines(&bills[0]), ["r1 team Team plan: 20 x 0.322580645 month = 6.45 (10 of 31 days)"]);
    assert_eq!(lines(&bills[1]), ["r1 team Team plan: 20 x 0.677419355 month = 13.55 (21 of 31 days)"]);
}

#[test]
fn prepaid_usage_is_shown_and_not_invoiced() {
    let bill = price(&[steady("r1", "prepaid")], &[total("r1", 0, "queries", "5")]);
    assert!(bill.lines.is_empty() && bill.plans.is_empty());
    assert_eq!(bill.usage[0].period_value.as_str(), "5");
}

#[test]
fn the_installation_may_have_a_plan_of_its_own() {
    let house = BilledResource { id: None, segments: vec![segment(0, "house", "2027-01-02T00:00:00Z", None)] };
    let bill = price(&[steady("r1", "team"), house], &[]);
    assert_eq!(
        lines(&bill),
        [
            "- house House: 31 x 0.967741935 month = 30.00 from 2027-01-02T00:00:00Z (30 of 31 days)",
            "r1 team Team plan: 20 x 1 month = 20.00",
        ]
    );
}

#[test]
fn interim_data_are_the_invoice_if_nothing_changes() {
    let resources = [steady("r1", "scale")];
    let totals = [total("r1", 0, "queries", "500000")];
    let metered: Vec<_> = totals
        .iter()
        .map(|Total(resource, segment, meter, aggregate)| Metered { resource, segment: *segment, meter, aggregate })
        .collect();
    let catalog = catalog();
    let on = |when: &str| {
        let input = BillInput {
            catalog: &catalog,
            period: january(),
            whole: january(),
            at: at(when),
            resources: &resources,
            metered: &metered,
        };
        bill(&input).unwrap()
    };
    let (interim, last) = (on("2027-01-20T09:00:00Z"), on("2027-01-31T23:59:59.999Z"));
    assert_eq!(interim.lines, last.lines);
    assert_eq!(interim.usage[0].day_value.as_str(), "500000");
    assert_eq!(last.usage[0].day_value.as_str(), "0");
}

#[test]
fn what_does_not_fit_is_an_error_and_not_a_wrong_invoice() {
    let unknown = price_in(january(), &[steady("r1", "gone")], &[]);
    assert!(matches!(unknown, Err(PricingError::UnknownPlan { plan }) if plan.as_str() == "gone"));
    for (resource, segment) in [("r2", 0), ("r1", 7)] {
        let orphan = price_in(january(), &[steady("r1", "scale")], &[total(resource, segment, "queries", "1")]);
        assert!(matches!(orphan, Err(PricingError::UnknownSegment { .. })), "{resource} {segment}");
    }
    let twice = [total("r1", 0, "queries", "1"), total("r1", 0, "queries", "1")];
    assert!(matches!(price_in(january(), &[steady("r1", "scale")], &twice), Err(PricingError::DoubledTotal { .. })));
    let back = vec![
        segment(0, "scale", "2027-01-01T00:00:00Z", Some("2027-01-02T00:00:00Z")),
        segment(1, "scale", "2027-01-02T00:00:00Z", None),
    ];
    let huge = [total("r1", 0, "queries", "999999999999"), total("r1", 1, "queries", "999999999999")];
    assert!(matches!(price_in(january(), &[resource("r1", back)], &huge), Err(PricingError::OutOfRange { .. })));
}

#[test]
fn a_segment_holds_its_first_instant_and_not_its_last() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let segment =
        |end: Option<i64>| Segment { number: 0, plan: PlanId::new("free").unwrap(), start: at(10), end: end.map(at) };
    let held = |end: Option<i64>| [9, 10, 11, 19, 20, 21].map(|second| segment(end).contains(at(second)));
    assert_eq!(held(Some(20)), [false, true, true, true, false, false]);
    assert_eq!(held(None), [false, true, true, true, true, true]);
    assert_eq!(held(Some(10)), [false; 6]);
}

#[test]
fn a_total_is_of_one_segment_of_one_resource() {
    let [r1, r2] = ["r1", "r2"].map(|id| ResourceId::new(id).unwrap());
    let aggregate = Aggregate::new(Aggregation::Sum);
    let totals = Totals::from([((&r2, 3, "queries"), &aggregate)]);
    assert!(has_totals(&totals, &r2, 3));
    for (resource, segment) in [(&r1, 3), (&r2, 2), (&r2, 4), (&r1, 2)] {
        assert!(!has_totals(&totals, resource, segment), "{resource} {segment}");
    }
}

#[test]
fn what_is_included_is_told_where_something_is() {
    let totals = [total("r1", 0, "queries", "200000")];
    let included = price(&[steady("r1", "scale")], &totals);
    let details = |bill: &Bill| bill.lines.iter().find(|line| line.name == "Queries").unwrap().details.clone();
    assert_eq!(details(&included).as_deref(), Some("200000 used, 100000 included"));
    let catalog = Catalog::parse(&CATALOG.replace("included = \"100000\"", "")).unwrap();
    let Total(resource, segment, meter, aggregate) = &totals[0];
    let metered = [Metered { resource, segment: *segment, meter, aggregate }];
    let (at, resources) = (at("2027-01-20T12:00:00Z"), [steady("r1", "scale")]);
    let whole = january();
    let none =
        bill(&BillInput { catalog: &catalog, period: whole, whole, at, resources: &resources, metered: &metered });
    assert_eq!(details(&none.unwrap()), None);
}
