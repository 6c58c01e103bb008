use super::*;
use crate::catalog::Show;
use proptest::prelude::*;
use tradepost_marketplace::ids::PlanId;

const NOW: &str = "2027-02-01T03:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn resource(id: &str) -> ResourceId {
    ResourceId::new(id).unwrap()
}

fn reading(id: &str, when: &str, amount: &str) -> Reading {
    Reading {
        id: id.to_owned(),
        resource_id: resource("r1"),
        meter: "queries".to_owned(),
        at: at(when),
        quantity: quantity(amount),
    }
}

fn meters() -> Vec<Meter> {
    [("queries", Aggregation::Sum), ("storage", Aggregation::Max), ("seats", Aggregation::Last)]
        .map(|(id, aggregation)| Meter {
            id: id.to_owned(),
            name: id.to_owned(),
            units: id.to_owned(),
            aggregation,
            show: Show::Total,
        })
        .into()
}

fn segments() -> Vec<Segment> {
    let plan = |id: &str| PlanId::new(id).unwrap();
    vec![
        Segment {
            number: 0,
            plan: plan("a"),
            start: at("2026-12-20T00:00:00Z"),
            end: Some(at("2027-01-15T12:00:00Z")),
        },
        Segment { number: 1, plan: plan("b"), start: at("2027-01-15T12:00:00Z"), end: None },
    ]
}

fn periods() -> [KnownPeriod; 3] {
    let known =
        |start: &str, end: &str, closed| KnownPeriod { period: Period { start: at(start), end: at(end) }, closed };
    [
        known("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", true),
        known("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z", false),
        known("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z", false),
    ]
}

fn assign_all(readings: Vec<Reading>, now: &str) -> Result<Assigned, MeteringError> {
    let (meters, segments) = (meters(), segments());
    let resources = BTreeMap::from([(resource("r1"), MeteredResource { meters: &meters, segments: &segments })]);
    assign(readings, at(now), &periods(), &resources)
}

#[test]
fn a_reading_counts_where_its_time_puts_it() {
    let placed = |when: &str, now: &str| {
        let assigned = assign_all(vec![reading("a", when, "1")], now).unwrap();
        let key = &assigned.accepted[0].key;
        (key.period_start.to_string(), key.segment, key.closed)
    };
    let december = "2026-12-01T00:00:00Z".to_owned();
    let january = "2027-01-01T00:00:00Z".to_owned();
    let february = "2027-02-01T00:00:00Z".to_owned();
    assert_eq!(placed("2027-01-15T11:59:59.999Z", NOW), (january.clone(), 0, false));
    assert_eq!(placed("2027-01-15T12:00:00Z", NOW), (january.clone(), 1, false));
    assert_eq!(placed("2027-01-31T23:59:59.999999999Z", NOW), (january, 1, false));
    assert_eq!(placed("2027-02-01T00:00:00Z", NOW), (february, 1, false));
    assert_eq!(placed("2026-12-31T23:00:00Z", "2027-01-02T00:00:00Z"), (december, 0, true));
}

#[test]
fn readings_are_refused_one_by_one() {
    let mut readings = vec![
        reading("good", "2027-01-20T00:00:00Z", "1"),
        reading("good", "2027-01-20T00:00:00Z", "1"),
        reading("", "2027-01-20T00:00:00Z", "1"),
        reading("old", "2027-01-02T02:59:59.999Z", "1"),
        reading("just", "2027-01-02T03:00:00Z", "1"),
        reading("ahead", "2027-02-01T03:05:00.001Z", "1"),
        reading("nearly", "2027-02-01T03:05:00Z", "1"),
    ];
    readings.push(Reading { resource_id: resource("r2"), ..reading("whose", "2027-01-20T00:00:00Z", "1") });
    readings.push(Reading { meter: "writes".to_owned(), ..reading("what", "2027-01-20T00:00:00Z", "1") });
    let assigned = assign_all(readings, NOW).unwrap();
    let accepted: Vec<_> = assigned.accepted.iter().map(|accepted| accepted.reading.id.as_str()).collect();
    assert_eq!(accepted, ["good", "just", "nearly"]);
    let refused: Vec<_> = assigned.refused.iter().map(|refused| (refused.id.as_str(), refused.reason.code())).collect();
    assert_eq!(
        refused,
        [
            ("good", "duplicate_id"),
            ("", "invalid_id"),
            ("old", "too_old"),
            ("ahead", "in_future"),
            ("whose", "unknown_resource"),
            ("what", "unknown_meter"),
        ]
    );
    // Ids to the byte.
    let ids = [READING_ID_BYTES_MAX, READING_ID_BYTES_MAX + 1].map(|bytes| "i".repeat(bytes));
    let long = assign_all(ids.map(|id| reading(&id, "2027-01-20T00:00:00Z", "1")).to_vec(), NOW).unwrap();
    assert_eq!((long.accepted[0].reading.id.len(), long.refused.len()), (READING_ID_BYTES_MAX, 1));
    assert_eq!(long.refused[0].reason, Refusal::InvalidId);
    let early = assign_all(vec![reading("a", "2026-12-19T23:00:00Z", "1")], "2026-12-20T00:00:00Z").unwrap();
    assert_eq!(early.refused[0].reason, Refusal::NoPlan);
    let later = assign_all(vec![reading("a", "2027-03-01T00:00:00Z", "1")], "2027-03-01T00:00:00Z").unwrap();
    assert_eq!(later.refused[0].reason, Refusal::NoPeriod);
}

#[test]
fn every_code_is_what_serde_writes() {
    use Refusal::{DuplicateId, InFuture, InvalidId, NoPeriod, NoPlan, TooOld, UnknownMeter, UnknownResource};
    for refusal in [DuplicateId, InvalidId, UnknownResource, UnknownMeter, TooOld, InFuture, NoPlan, NoPeriod] {
        assert_eq!(serde_json::to_string(&refusal).unwrap(), format!("{:?}", refusal.code()));
    }
}

#[test]
fn a_batch_that_touches_too_much_is_refused_whole() {
    let (meters, segments) = (meters(), segments());
    let of = |count: usize| -> Vec<Reading> {
        let one = |n: usize| Reading {
            resource_id: resource(&format!("r{n}")),
            ..reading(&format!("i{n}"), "2027-01-20T00:00:00Z", "1")
        };
        (0..count).map(one).collect()
    };
    let resources: BTreeMap<_, _> = (0..50)
        .map(|n| (resource(&format!("r{n}")), MeteredResource { meters: &meters, segments: &segments }))
        .collect();
    let assign = |count| assign(of(count), at(NOW), &periods(), &resources);
    assert_eq!(assign(TOTALS_TOUCHED_MAX).unwrap().keys().len(), TOTALS_TOUCHED_MAX);
    assert_eq!(assign(41), Err(MeteringError::TooManyTotals { count: 41 }));
    assert!(matches!(assign(READINGS_MAX + 1), Err(MeteringError::TooManyReadings { .. })));
    let many = (0..READINGS_MAX).map(|n| reading(&format!("i{n}"), "2027-01-20T00:00:00Z", "1")).collect();
    assert_eq!(assign_all(many, NOW).unwrap().accepted.len(), READINGS_MAX);
}

#[test]
fn a_fold_adds_to_what_exists_and_overflow_is_an_error() {
    let first = assign_all(vec![reading("a", "2027-01-20T08:00:00Z", "1.5")], NOW).unwrap();
    let totals = fold(&first, &BTreeMap::new()).unwrap();
    let second = vec![reading("b", "2027-01-20T09:00:00Z", "2"), reading("c", "2027-01-21T00:00:00Z", "0.25")];
    let totals = fold(&assign_all(second, NOW).unwrap(), &totals).unwrap();
    let total = totals.values().next().unwrap();
    assert_eq!((totals.len(), total.period_value()), (1, quantity("3.75")));
    assert_eq!(total.day_value(at("2027-01-20T23:00:00Z")), quantity("3.5"));
    assert_eq!(total.day_value(at("2027-01-21T23:00:00Z")), quantity("0.25"));
    assert_eq!(total.day_value(at("2027-01-22T00:00:00Z")), Quantity::ZERO);
    let full = vec![reading("d", "2027-01-22T00:00:00Z", "999999999999.999999999")];
    let overflow = fold(&assign_all(full, NOW).unwrap(), &totals);
    assert_eq!(overflow, Err(MeteringError::Overflow { resource: resource("r1"), meter: "queries".to_owned() }));
}

#[test]
fn a_total_keeps_the_aggregation_it_began_with() {
    let assigned = assign_all(vec![reading("a", "2027-01-20T08:00:00Z", "5")], NOW).unwrap();
    let mut old = Aggregate::new(Aggregation::Max);
    old.add("x", at("2027-01-19T00:00:00Z"), quantity("9")).unwrap();
    let existing = BTreeMap::from([(assigned.accepted[0].key.clone(), old)]);
    let totals = fold(&assigned, &existing).unwrap();
    assert_eq!(totals.values().next().unwrap().period_value(), quantity("9"));
}

#[test]
fn last_is_by_time_and_then_by_reading_id() {
    let mut total = Aggregate::new(Aggregation::Last);
    for (id, when, amount) in
        [("b", "2027-01-20T08:00:00Z", "7"), ("a", "2027-01-20T08:00:00Z", "8"), ("z", "2027-01-20T07:59:59.999Z", "9")]
    {
        total.add(id, at(when), quantity(amount)).unwrap();
    }
    assert_eq!(total.period_value(), quantity("7"));
    assert_eq!(total.day_value(at("2027-01-25T00:00:00Z")), quantity("7"), "a level stays");
    assert_eq!(total.day_value(at("2027-01-19T00:00:00Z")), Quantity::ZERO);
}

#[test]
fn a_total_is_written_with_texts_only() {
    let mut total = Aggregate::new(Aggregation::Last);
    total.add("a", at("2027-01-20T08:00:00Z"), quantity("123456789012.123456789")).unwrap();
    let json = serde_json::to_string(&total).unwrap();
    assert_eq!(
        json,
        r#"{"aggregation":"last","period":{"quantity":"123456789012.123456789","mark":{"at":"2027-01-20T08:00:00Z","reading":"a"}},"days":[{"start":"2027-01-20T00:00:00Z","figure":{"quantity":"123456789012.123456789","mark":{"at":"2027-01-20T08:00:00Z","reading":"a"}}}]}"#
    );
    // Through a `Value`, as every store does: nothing is lost.
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::from_value::<Aggregate>(value).unwrap(), total);
}

#[test]
fn a_reading_is_read_from_a_text_and_from_nothing_else() {
    let json = r#"{"id":"a","resourceId":"r1","meter":"queries","at":"2027-01-20T08:00:00Z","quantity":"1.50"}"#;
    assert_eq!(serde_json::from_str::<Reading>(json).unwrap(), reading("a", "2027-01-20T08:00:00Z", "1.5"));
    for bad in ["1.5", "\"-1\"", "\"1e3\"", "null"] {
        assert!(serde_json::from_str::<Reading>(&json.replace("\"1.50\"", bad)).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<Reading>(&json.replace("\"id\"", "\"unit\":1,\"id\"")).is_err());
}

/// Readings as (id, millisecond in six days, thousandths), with many equal times and ids.
fn any_readings() -> impl Strategy<Value = Vec<(u8, i64, i64)>> {
    prop::collection::vec((0..20_u8, (0..48_i64).prop_map(|n| n * 10_800_000), 0..5_000_i64), 0..30)
}

fn total_of(aggregation: Aggregation, readings: &[(u8, i64, i64)]) -> Aggregate {
    let mut total = Aggregate::new(aggregation);
    for (id, ms, thousandths) in readings {
        let amount = Quantity::from_nano(i128::from(*thousandths) * 1_000_000).unwrap();
        total.add(&format!("i{id}"), Timestamp::from_millisecond(*ms).unwrap(), amount).unwrap();
    }
    total
}

proptest! {
    #[test]
    fn order_never_matters(readings in any_readings(), shuffled in any::<prop::sample::Index>(), split in any::<prop::sample::Index>()) {
        let mut other = readings.clone();
        other.reverse();
        other.rotate_left(shuffled.index(readings.len().max(1)));
        let cut = split.index(readings.len() + 1);
        for aggregation in [Aggregation::Sum, Aggregation::Max, Aggregation::Last] {
            let total = total_of(aggregation, &readings);
            prop_assert_eq!(&total, &total_of(aggregation, &other));
            // In two batches, in two totals, put together either way.
            let (left, right) = (total_of(aggregation, &readings[..cut]), total_of(aggregation, &readings[cut..]));
            prop_assert_eq!(&left.merge(&right).unwrap(), &total);
            prop_assert_eq!(&right.merge(&left).unwrap(), &total);
        }
    }

    #[test]
    fn a_total_is_what_a_table_would_say(readings in any_readings()) {
        let sum: i64 = readings.iter().map(|(.., amount)| amount).sum();
        let max = readings.iter().map(|(.., amount)| *amount).max().unwrap_or(0);
        let last = readings.iter().max_by_key(|(id, ms, amount)| (*ms, format!("i{id}"), *amount)).map_or(0, |(.., amount)| *amount);
        for (aggregation, expected) in [(Aggregation::Sum, sum), (Aggregation::Max, max), (Aggregation::Last, last)] {
            prop_assert_eq!(total_of(aggregation, &readings).period_value().nano(), i128::from(expected) * 1_000_000);
        }
        if let Some(newest) = readings.iter().map(|(_, ms, _)| ms.div_euclid(86_400_000)).max() {
            for day in [newest, (newest - 1).max(0)] {
                let of_day = readings.iter().filter(|(_, ms, _)| ms.div_euclid(86_400_000) == day);
                let of_day: i64 = of_day.map(|(.., amount)| amount).sum();
                let noon = Timestamp::from_millisecond(day * 86_400_000 + 43_200_000).unwrap();
                prop_assert_eq!(total_of(Aggregation::Sum, &readings).day_value(noon).nano(), i128::from(of_day) * 1_000_000);
            }
        }
    }
}
