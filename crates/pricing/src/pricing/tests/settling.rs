use super::*;
use crate::period::invoice_date;
use tradepost_marketplace::ids::ExternalInvoiceId;
use tradepost_marketplace::wire::InvoiceRequest;

pub(super) fn carried(cents: i64, resource: Option<&str>) -> Carried {
    Carried { amount: Money::from_cents(cents), resource: resource.map(id), name: format!("carried {cents}") }
}

fn cents(cents: i64) -> Money {
    Money::from_cents(cents)
}

/// A bill over so many cents, as bulk queries of one resource.
fn bill_over(amount: i64) -> Bill {
    let resources = [steady("r1", "bulk")];
    let used = Quantity::from_nano(i128::from(amount) * 100_000_000).unwrap();
    let bill = price(&resources, &[total("r1", 0, "queries", &used.to_string())]);
    assert_eq!(bill.total, cents(amount));
    bill
}

#[test]
fn what_reaches_fifty_cents_is_invoiced_and_what_does_not_is_carried() {
    // (bill, carried, final) gives (total, invoiced, carried on, written off)
    for ((amount, carried_in, is_final), (total, is_invoiced, carry_over, written_off)) in [
        ((1000, vec![], false), (1000, true, 0, None)),
        ((50, vec![], false), (50, true, 0, None)),
        ((49, vec![], false), (49, false, 49, None)),
        ((49, vec![], true), (49, false, 0, Some(49))),
        ((30, vec![30], false), (60, true, 0, None)),
        ((1000, vec![-400, 20], false), (620, true, 0, None)),
        ((1000, vec![-960], false), (40, false, 40, None)),
        ((1000, vec![-1000], false), (0, false, 0, None)),
        ((1000, vec![-1000], true), (0, false, 0, None)),
        ((1000, vec![-1200], false), (0, false, -200, None)),
        ((1000, vec![-900, -300], true), (0, false, 0, Some(-200))),
    ] {
        let carried: Vec<_> = carried_in.iter().map(|amount| carried(*amount, Some("r1"))).collect();
        let settled = settle(&bill_over(amount), &carried, is_final).unwrap();
        let got =
            (settled.total, settled.is_invoiced, settled.carry_over, settled.written_off.map(|(amount, _)| amount));
        assert_eq!(
            got,
            (cents(total), is_invoiced, cents(carry_over), written_off.map(cents)),
            "{amount} {carried_in:?}"
        );
    }
}

#[test]
fn what_is_carried_stands_under_the_resource_or_under_the_installation() {
    let bill = price(&[steady("r1", "free"), steady("r2", "team")], &[]);
    let from_before =
        [carried(100, Some("r2")), carried(200, Some("gone")), carried(300, None), carried(-50, Some("r1"))];
    let settled = settle(&bill, &from_before, false).unwrap();
    let added: Vec<_> = settled.items[1..]
        .iter()
        .map(|line| (line.billing_plan_id.as_str(), line.resource_id.as_ref().map(ResourceId::as_str), paid(line)))
        .collect();
    assert_eq!(added, [("team", Some("r2"), 100), ("free", None, 200), ("free", None, 300)]);
    let discount = &settled.discounts[0];
    assert_eq!((discount.billing_plan_id.as_str(), discount.resource_id.clone()), ("free", Some(id("r1"))));
    assert_eq!(settled.total, cents(2550));
}

#[test]
fn without_a_plan_in_the_period_nothing_can_be_invoiced() {
    let nothing = price(&[], &[]);
    let owed = [carried(5_000, Some("r1"))];
    let settled = settle(&nothing, &owed, false).unwrap();
    assert_eq!((settled.is_invoiced, settled.carry_over, settled.items.len()), (false, cents(5_000), 0));
    let (amount, why) = settle(&nothing, &owed, true).unwrap().written_off.unwrap();
    assert_eq!((amount, why.contains("no plan was active")), (cents(5_000), true));
    // Why, to the cent.
    for (amount, wanted) in [(50, "no plan was active"), (49, "under 0.50 USD"), (-1, "owed to the customer")] {
        let settled = settle(&nothing, &[carried(amount, Some("r1"))], true).unwrap();
        assert!(settled.written_off.unwrap().1.contains(wanted), "{amount}");
    }
}

#[test]
fn nothing_carried_is_no_line() {
    let settled = settle(&bill_over(100), &[carried(0, Some("r1"))], false).unwrap();
    assert_eq!((settled.items.len(), settled.discounts.len(), settled.total), (1, 0, cents(100)));
}

/// By Vercel's clock it may not have been active: an invoice that names it would be refused.
#[test]
fn a_plan_had_for_no_longer_than_clocks_may_be_apart_is_not_named_on_an_invoice() {
    let used = [total("r1", 0, "queries", "100")];
    let since = |start| resource("r1", vec![segment(0, "bulk", start, None)]);
    let owed = [carried(5_000, Some("r1"))];
    let late = price(&[since("2027-01-31T23:59:55Z")], &used);
    assert!(late.total > Money::ZERO && late.plans.is_empty(), "{late:?}");
    let settled = settle(&late, &owed, false).unwrap();
    let all = cents(late.total.cents() + 5_000);
    assert_eq!((settled.is_invoiced, settled.carry_over), (false, all), "carried to where it is named");
    let early = price(&[since("2027-01-31T23:59:54.999Z")], &used);
    assert!(settle(&early, &owed, false).unwrap().is_invoiced);
    // Beside a plan that was there all along.
    let both = vec![
        segment(0, "bulk", "2026-12-24T18:00:00Z", Some("2027-01-31T23:59:56Z")),
        segment(1, "team", "2027-01-31T23:59:56Z", None),
    ];
    let changed = price(&[resource("r1", both)], &used);
    let settled = settle(&changed, &owed, false).unwrap();
    assert!(settled.items.iter().all(|line| line.billing_plan_id.as_str() == "bulk"), "{settled:?}");
    assert_eq!(settled.total, cents(changed.total.cents() + 5_000));
}

#[test]
fn a_carried_amount_of_any_size_is_a_line_to_the_cent() {
    for amount in [1, 99_999_999, 100_000_000, 123_456_789_012] {
        let settled = settle(&bill_over(100), &[carried(amount, Some("r1"))], false).unwrap();
        let line = settled.items.last().unwrap();
        let (price, quantity) = (line.price.price().unwrap(), line.quantity.quantity().unwrap());
        assert_eq!((paid(line), line_total(price, quantity)), (amount, Some(cents(amount))));
    }
}

#[test]
fn late_readings_cost_the_difference_at_their_own_prices() {
    let resources = [steady("r1", "scale"), steady("r2", "bulk")];
    let before = price(&resources, &[total("r1", 0, "queries", "90000"), total("r2", 0, "queries", "100")]);
    let after = price(&resources, &[total("r1", 0, "queries", "140000"), total("r2", 0, "queries", "101")]);
    let late = late_usage(&before, &after, january()).unwrap();
    let got: Vec<_> =
        late.iter().map(|late| (late.resource.clone().unwrap().to_string(), late.amount.to_string())).collect();
    assert_eq!(got, [("r1".to_owned(), "1.00".to_owned()), ("r2".to_owned(), "-4.95".to_owned())]);
    assert_eq!(late[0].name, "Usage of the period from 2027-01-01 to 2027-02-01, reported late");
    assert_eq!(late_usage(&after, &after, january()).unwrap(), []);
}

#[test]
fn what_is_settled_makes_an_invoice_that_vercel_takes() {
    let settled = settle(&bill_over(1000), &[carried(-400, None)], false).unwrap();
    let external = ExternalInvoiceId::new("i1").unwrap();
    let date = invoice_date(january());
    let request = InvoiceRequest::new(external, january(), date, settled.items, settled.discounts).unwrap();
    assert_eq!(request.total(), settled.total);
}

/// A plan that was in force for no longer than clocks may be apart may not be known to Vercel: what it costs stands under
/// another, and what costs nothing is no line.
#[test]
fn what_a_brief_plan_costs_stands_under_another() {
    let brief = vec![
        segment(0, "team", "2027-01-01T00:00:00Z", Some("2027-01-31T23:59:58Z")),
        segment(1, "bulk", "2027-01-31T23:59:58Z", None),
    ];
    let shown = |used: &str| {
        let bill = price(&[resource("r1", brief.clone())], &[total("r1", 1, "queries", used)]);
        assert_eq!(bill.brief.len(), 1);
        let settled = settle(&bill, &[], false).unwrap();
        assert_eq!(settled.total, bill.total);
        let row = |line: &LineItem| (line.billing_plan_id.as_str().to_owned(), paid(line));
        settled.items.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(shown("30"), [("team".to_owned(), 2000), ("team".to_owned(), 300)]);
    assert_eq!(shown("0.001"), [("team".to_owned(), 2000)]);
}
