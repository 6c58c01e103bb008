//! From a bill to an invoice, or to something that is carried to the next one.
//!
//! Carried are adjustments (late usage, a partner's correction; negative ones are in the customer's favour)
//! and amounts too small to invoice. The one rule: if the bill and everything carried come to 0.50 USD or
//! more, all of it is invoiced, positive ones as lines, negative ones as discounts; otherwise nothing is, and
//! the sum is carried, or written off if there will be no next invoice.

use std::collections::BTreeMap;

use tradepost_marketplace::ids::{PlanId, ResourceId};
use tradepost_marketplace::money::{Decimal, Money, Price, Quantity};
use tradepost_marketplace::wire::{Discount, INVOICE_MIN, LineItem, Period};

use super::{Bill, PricingError, sum, total_of};

/// An amount from before that belongs on the next invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// How much; negative in the customer's favour.
    pub amount: Money,
    /// Of which resource, if of one.
    pub resource: Option<ResourceId>,
    /// What it is, as on the invoice.
    pub name: String,
}

/// The outcome of a close. For interim data `items` and `discounts` are what to show, invoiced or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The bill's lines, and one for each positive amount carried.
    pub items: Vec<LineItem>,
    /// One for each negative amount carried, together at most the sum of the lines.
    pub discounts: Vec<Discount>,
    /// Lines less discounts; never negative.
    pub total: Money,
    /// Whether there is an invoice over `total`. If not, nothing of this reaches the customer.
    pub is_invoiced: bool,
    /// The sum of what was carried in.
    pub carried_in: Money,
    /// What is carried on: the bill and what was carried in, where there is no invoice but will be another.
    pub carry_over: Money,
    /// What is given up, and why, where there is neither. Negative if it was owed to the customer.
    pub written_off: Option<(Money, &'static str)>,
}

/// Settles a bill. `is_final` says that no invoice comes after this one.
///
/// `bill.total + carried_in` is always `total` (invoiced), `carry_over` or `written_off`, whichever it is.
pub fn settle(bill: &Bill, carried: &[Carried], is_final: bool) -> Result<Settlement, PricingError> {
    let carried_in = sum(carried.iter().map(|carried| carried.amount))?;
    let net = sum([bill.total, carried_in])?;
    let mut items = bill.lines.clone();
    let mut discounts = Vec::new();
    // Without an invoiced plan in the period there is nothing to put a line under (spec A.14, rule 2).
    if !bill.plans.is_empty() {
        items = placed(bill)?;
        let positive = carried.iter().filter(|carried| carried.amount > Money::ZERO);
        items.extend(positive.map(|carried| line(bill, carried)).collect::<Result<Vec<_>, _>>()?);
        let negative = carried.iter().filter(|carried| carried.amount.is_negative());
        discounts = self::discounts(bill, negative, total_of(&items, &[])?)?;
    }
    let total = total_of(&items, &discounts)?;
    let is_invoiced = net >= INVOICE_MIN && !bill.plans.is_empty();
    let mut settlement =
        Settlement { items, discounts, total, is_invoiced, carried_in, carry_over: Money::ZERO, written_off: None };
    if !is_invoiced && is_final && net != Money::ZERO {
        settlement.written_off = Some((net, reason(net)));
    } else if !is_invoiced {
        settlement.carry_over = net;
    }
    Ok(settlement)
}

/// Why what was settled is not invoiced; none if it is.
pub fn why_not(bill: &Bill, settlement: &Settlement) -> Option<String> {
    if settlement.is_invoiced {
        return None;
    }
    if bill.plans.is_empty() {
        return Some("no plan was active in the period: there is nothing to put a line under".to_owned());
    }
    let (costs, carried) = (bill.total, settlement.carried_in);
    Some(format!("the period costs {costs} and {carried} is carried into it: less than {INVOICE_MIN} is not invoiced"))
}

fn reason(net: Money) -> &'static str {
    if net.is_negative() {
        "owed to the customer, and no invoice follows to take it from"
    } else if net < INVOICE_MIN {
        "under 0.50 USD, and no invoice follows"
    } else {
        "no plan was active in the final period to invoice it under"
    }
}

/// The bill's lines; those of a plan that may not have been active by Vercel's clock, under another.
fn placed(bill: &Bill) -> Result<Vec<LineItem>, PricingError> {
    let is_brief = |line: &&LineItem| bill.brief.contains(&(line.resource_id.clone(), line.billing_plan_id.clone()));
    let (brief, sure): (Vec<_>, Vec<_>) = bill.lines.iter().partition(is_brief);
    let mut items: Vec<LineItem> = sure.into_iter().cloned().collect();
    for line in brief {
        let amount = total_of(std::slice::from_ref(line), &[])?;
        if amount > Money::ZERO {
            let (resource, name) = (line.resource_id.clone(), line.name.clone());
            items.push(self::line(bill, &Carried { amount, resource, name })?);
        }
    }
    Ok(items)
}

/// Under the resource's current plan, else installation-wide under any plan of the period.
fn place(bill: &Bill, resource: Option<&ResourceId>) -> Option<(PlanId, Option<ResourceId>)> {
    if let Some((id, plan)) = resource.and_then(|resource| bill.plans.get_key_value(&Some(resource.clone()))) {
        return Some((plan.clone(), id.clone()));
    }
    bill.plans.values().next().map(|plan| (plan.clone(), None))
}

fn line(bill: &Bill, carried: &Carried) -> Result<LineItem, PricingError> {
    let out_of_range = || PricingError::OutOfRange { what: format!("the carried amount {:?}", carried.name) };
    let (plan, resource) = place(bill, carried.resource.as_ref()).ok_or_else(out_of_range)?;
    // A price has six digits before the point; a larger amount goes in as so many dollars.
    let (price, quantity, units) = if let Some(price) = Price::from_money(carried.amount) {
        (price, Some(Quantity::ONE), "adjustment")
    } else {
        let dollars = Quantity::from_nano(i128::from(carried.amount.cents()) * 10_000_000);
        (Price::from_money(Money::from_cents(100)).unwrap_or_default(), dollars, "USD")
    };
    let quantity = quantity.ok_or_else(out_of_range)?;
    LineItem::priced(plan, resource, &carried.name, price, quantity, units).ok_or_else(out_of_range)
}

/// Discounts in order, up to `most` together.
fn discounts<'a>(
    bill: &Bill,
    carried: impl Iterator<Item = &'a Carried>,
    most: Money,
) -> Result<Vec<Discount>, PricingError> {
    let mut left = most;
    let mut discounts = Vec::new();
    for carried in carried {
        let amount = (-carried.amount).min(left);
        let Some((billing_plan_id, resource_id)) = place(bill, carried.resource.as_ref()) else { continue };
        if amount == Money::ZERO {
            continue;
        }
        left = left - amount;
        let name = carried.name.clone();
        let amount = Decimal::try_from(amount).map_err(|error| PricingError::OutOfRange { what: error.to_string() })?;
        discounts.push(Discount { billing_plan_id, resource_id, start: None, end: None, name, details: None, amount });
    }
    Ok(discounts)
}

/// What late readings cost: the difference they make to the bill of their own, closed period, by resource.
/// Goes to the next invoice. Negative differences exist: a volume price may fall as the quantity grows.
pub fn late_usage(before: &Bill, after: &Bill, period: Period) -> Result<Vec<Carried>, PricingError> {
    differences(Some(before), after, &format!("Usage {}, reported late", of(period)))
}

/// What a closed period costs that was not billed at its close, by resource. Goes to the next invoice.
pub fn unbilled(bill: &Bill, period: Period) -> Result<Vec<Carried>, PricingError> {
    differences(None, bill, &format!("Charges {}, billed late", of(period)))
}

fn of(period: Period) -> String {
    let date = |at: jiff::Timestamp| jiff::tz::Offset::UTC.to_datetime(at).date();
    format!("of the period from {} to {}", date(period.start), date(period.end))
}

fn differences(before: Option<&Bill>, after: &Bill, name: &str) -> Result<Vec<Carried>, PricingError> {
    let mut differences: BTreeMap<Option<ResourceId>, Money> = BTreeMap::new();
    let lines = after.lines.iter().map(|line| (line, false));
    for (line, is_before) in lines.chain(before.iter().flat_map(|bill| &bill.lines).map(|line| (line, true))) {
        let amount = total_of(std::slice::from_ref(line), &[])?;
        let amount = if is_before { -amount } else { amount };
        let difference = differences.entry(line.resource_id.clone()).or_default();
        *difference = sum([*difference, amount])?;
    }
    differences.retain(|_, difference| *difference != Money::ZERO);
    let carried = |(resource, amount)| Carried { amount, resource, name: name.to_owned() };
    Ok(differences.into_iter().map(carried).collect())
}
