use super::*;
use proptest::prelude::*;

use super::settling::carried;
use crate::period::{cut, milliseconds};

const PLANS: [&str; 4] = ["free", "team", "scale", "bulk"];
const MONTH_MS: i64 = 31 * 86_400_000;

/// A resource whose plans change at the given milliseconds of January.
fn changing(name: &str, plans: &[usize], mut changes: Vec<i64>) -> BilledResource {
    changes.sort_unstable();
    changes.truncate(plans.len() - 1);
    let instant = |ms: i64| Timestamp::from_millisecond(january().start.as_millisecond() + ms).unwrap();
    let mut segments = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        let start = if number == 0 { instant(-1) } else { instant(changes[number - 1]) };
        let end = changes.get(number).map(|ms| instant(*ms));
        let plan = PlanId::new(PLANS[*plan]).unwrap();
        segments.push(Segment { number: u32::try_from(number).unwrap(), plan, start, end });
    }
    resource(name, segments)
}

fn nano(amount: i64) -> String {
    Quantity::from_nano(i128::from(amount)).unwrap().to_string()
}

/// One resource of three plans at most, with usage in each segment.
fn any_month() -> impl Strategy<Value = (BilledResource, Vec<Total>)> {
    let plans = prop::collection::vec(0..PLANS.len(), 3);
    let changes = prop::collection::vec(0..MONTH_MS, 2);
    let used = prop::collection::vec((0..1_000_000_000_000_000_i64, 0..500_000_000_000_i64), 3);
    (plans, changes, used).prop_map(|(plans, changes, used)| {
        let totals = used.iter().enumerate().flat_map(|(number, (queries, storage))| {
            let number = u32::try_from(number).unwrap();
            [total("r1", number, "queries", &nano(*queries)), total("r1", number, "storage", &nano(*storage))]
        });
        (changing("r1", &plans, changes), totals.collect())
    })
}

fn used_queries(plan: &str, amount: i64) -> Bill {
    price(&[steady("r1", plan)], &[total("r1", 0, "queries", &nano(amount))])
}

proptest! {
    #[test]
    fn every_line_is_right_and_the_bill_is_their_sum((month, totals) in any_month()) {
        let bill = price(&[month], &totals);
        let mut sum = 0;
        for line in &bill.lines {
            // Half to even, said again: the distance to the exact product, in 10^-18 dollars.
            let (price, quantity) = nano_of(line);
            let distance = (price * quantity - i128::from(paid(line)) * 10_i128.pow(16)) * 2;
            let half = 10_i128.pow(16);
            prop_assert!(distance.abs() < half || (distance.abs() == half && paid(line) % 2 == 0), "{line:?}");
            prop_assert!(quantity > 0 && price > 0);
            prop_assert!(line.start.is_none_or(|start| start > january().start && start < january().end));
            prop_assert!(line.end.is_none_or(|end| end < january().end && line.start.is_none_or(|start| start < end)));
            sum += paid(line);
        }
        prop_assert_eq!(bill.total.cents(), sum);
    }

    #[test]
    fn the_order_of_what_is_given_never_matters((first, totals) in any_month(), (second, _) in any_month()) {
        let second = BilledResource { id: Some(id("r0")), ..second };
        let mut reversed = first.clone();
        reversed.segments.reverse();
        let forwards = price(&[first, second.clone()], &totals);
        let totals: Vec<_> = totals.into_iter().rev().collect();
        prop_assert_eq!(forwards, price(&[second, reversed], &totals));
    }

    #[test]
    fn the_fixed_charges_of_all_segments_are_the_whole_but_for_rounding(changes in prop::collection::vec(0..MONTH_MS, 5)) {
        let bill = price(&[changing("r1", &[1, 1, 1, 1, 1, 1], changes)], &[]);
        let parts: i128 = bill.lines.iter().map(|line| nano_of(line).1).sum();
        prop_assert!((parts - Quantity::ONE.nano()).abs() <= 3, "six halves of the ninth place: {parts}");
        prop_assert!((bill.total.cents() - 2000).abs() <= 3, "six half cents: {}", bill.total);
    }

    #[test]
    fn a_cut_month_costs_what_the_whole_does_but_for_a_cent(ms in 1..MONTH_MS) {
        let end = Timestamp::from_millisecond(january().start.as_millisecond() + ms).unwrap();
        let early = cut(january(), end).unwrap();
        let rest = Period { start: early.end, ..january() };
        prop_assert_eq!(milliseconds(early) + milliseconds(rest), MONTH_MS);
        let total: Money = [early, rest].map(|period| price_in(period, &[steady("r1", "team")], &[]).unwrap().total).into_iter().sum();
        prop_assert!((total.cents() - 2000).abs() <= 1, "{}", total);
    }

    #[test]
    fn more_usage_never_costs_less(amount in 0..10_000_000_000_000_000_i64, more in 0..10_000_000_000_000_000_i64) {
        prop_assert!(used_queries("scale", amount + more).total >= used_queries("scale", amount).total);
        let stored = |amount: i64| price(&[steady("r1", "scale")], &[total("r1", 0, "storage", &nano(amount / 1_000))]);
        prop_assert!(stored(amount + more).total >= stored(amount).total);
    }

    #[test]
    fn tiers_bill_every_unit_once(amount in 10_000_000_001..10_000_000_000_000_000_i64) {
        let bill = price(&[steady("r1", "scale")], &[total("r1", 0, "storage", &nano(amount))]);
        let tiers: i128 = bill.lines.iter().filter(|line| line.name == "Storage").map(|line| nano_of(line).1).sum();
        // The first ten cost nothing and have no line.
        prop_assert_eq!(tiers + 10_000_000_000, i128::from(amount));
    }

    #[test]
    fn no_cent_is_lost_or_made((month, totals) in any_month(), amounts in prop::collection::vec(-50_000..50_000_i64, 0..5), is_final: bool) {
        let bill = price(&[month], &totals);
        let from_before: Vec<_> = amounts.iter().map(|amount| carried(*amount, Some("r1"))).collect();
        let settled = settle(&bill, &from_before, is_final).unwrap();
        let net = bill.total.cents() + amounts.iter().sum::<i64>();
        let invoiced = if settled.is_invoiced { settled.total.cents() } else { 0 };
        let written_off = settled.written_off.map_or(0, |(amount, _)| amount.cents());
        prop_assert_eq!(invoiced + settled.carry_over.cents() + written_off, net);
        prop_assert_eq!(settled.carried_in.cents(), amounts.iter().sum::<i64>());
        prop_assert!(!settled.total.is_negative());
        prop_assert!(!settled.is_invoiced || settled.total.cents() >= 50);
        let lines: i64 = settled.items.iter().map(paid).sum();
        let less: i64 = settled.discounts.iter().map(|discount| discount.amount.money().unwrap().cents()).sum();
        prop_assert_eq!(lines - less, settled.total.cents());
    }

    #[test]
    fn late_usage_is_what_was_missing((month, totals) in any_month(), extra in 0..1_000_000_000_000_000_i64) {
        let resources = [month];
        let before = price(&resources, &totals);
        let mut with_late = totals;
        with_late[0].3.add("late", at("2027-01-21T00:00:00Z"), quantity(&nano(extra))).unwrap();
        let after = price(&resources, &with_late);
        let late: Money = late_usage(&before, &after, january()).unwrap().into_iter().map(|late| late.amount).sum();
        prop_assert_eq!(before.total + late, after.total);
    }
}
