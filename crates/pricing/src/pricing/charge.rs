//! The lines of one plan's charges.

use jiff::Timestamp;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::money::{Money, Price, Quantity};
use tradepost_marketplace::wire::{LineItem, Period};

use super::{Active, BillInput, PricingError, Totals, merged};
use crate::catalog::{Charge, Plan, Tier};
use crate::period;

/// The unit of a fixed charge.
const FIXED_UNITS: &str = "month";
/// Units of time for the details of a proration, largest first, in milliseconds.
const TIME_UNITS: [(&str, i64); 4] =
    [("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000)];

/// A plan that a resource held in some segments of the period.
pub(super) struct Held<'a> {
    pub(super) plan: &'a Plan,
    pub(super) resource: Option<&'a ResourceId>,
    pub(super) segments: &'a [Active<'a>],
    pub(super) totals: &'a Totals<'a>,
}

impl Held<'_> {
    /// All lines, in the order of the charges.
    pub(super) fn lines(&self, input: &BillInput<'_>) -> Result<Vec<LineItem>, PricingError> {
        let mut lines = Vec::new();
        for charge in &self.plan.charges {
            match charge {
                Charge::Fixed { name, price } => self.fixed(input, name, *price, &mut lines)?,
                Charge::PerUnit { name, meter, price, included } => {
                    let used = self.used(meter)?;
                    let details = (*included > Quantity::ZERO).then(|| format!("{used} used, {included} included"));
                    let part = Part { price: *price, quantity: used.saturating_sub(*included), details };
                    lines.extend(self.usage_line(input, name, meter, part)?);
                }
                Charge::Graduated { name, meter, tiers } => {
                    for part in graduated(self.used(meter)?, tiers) {
                        lines.extend(self.usage_line(input, name, meter, part)?);
                    }
                }
                Charge::Volume { name, meter, tiers } => {
                    if let Some(part) = volume(self.used(meter)?, tiers) {
                        lines.extend(self.usage_line(input, name, meter, part)?);
                    }
                }
            }
        }
        Ok(lines)
    }

    /// A line for each segment, prorated by the whole regular period.
    fn fixed(
        &self,
        input: &BillInput<'_>,
        name: &str,
        price: Money,
        lines: &mut Vec<LineItem>,
    ) -> Result<(), PricingError> {
        let out_of_range = || PricingError::OutOfRange { what: format!("the fixed charge {name:?}") };
        let price = Price::from_money(price).ok_or_else(out_of_range)?;
        let whole = period::milliseconds(input.whole);
        for part in self.segments.iter().filter_map(|active| active.part) {
            let length = period::milliseconds(part);
            let quantity = Quantity::ratio(length, whole).ok_or_else(out_of_range)?;
            let details = (length != whole).then(|| share(length, whole));
            let line = self.line(input.period, Some(part), name, FIXED_UNITS, Part { price, quantity, details });
            lines.extend(line?);
        }
        Ok(())
    }

    /// A line for usage, over the time from the plan's first segment to its last.
    fn usage_line(
        &self,
        input: &BillInput<'_>,
        name: &str,
        meter: &str,
        part: Part,
    ) -> Result<Option<LineItem>, PricingError> {
        let units = input.catalog.product_of(&self.plan.id).and_then(|product| product.meter(meter));
        let units = units.map_or("units", |meter| meter.units.as_str());
        let parts = || self.segments.iter().filter_map(|active| active.part);
        let start = parts().map(|part| part.start).min();
        let end = parts().map(|part| part.end).max();
        let span = start.zip(end).map(|(start, end)| Period { start, end });
        self.line(input.period, span, name, units, part)
    }

    /// A line, unless it bills nothing. Its own start and end are said only where they differ from the
    /// period's (spec A, `LineItem`).
    fn line(
        &self,
        period: Period,
        span: Option<Period>,
        name: &str,
        units: &str,
        part: Part,
    ) -> Result<Option<LineItem>, PricingError> {
        let Part { price, quantity, details } = part;
        if price == Price::ZERO || quantity == Quantity::ZERO {
            return Ok(None);
        }
        let differs = |own: Option<Timestamp>, of_period: Timestamp| own.filter(|own| *own != of_period);
        let mut line = LineItem::priced(self.plan.id.clone(), self.resource.cloned(), name, price, quantity, units)
            .ok_or_else(|| PricingError::OutOfRange { what: format!("the line {name:?} of plan {}", self.plan.id) })?;
        line.start = differs(span.map(|span| span.start), period.start);
        line.end = differs(span.map(|span| span.end), period.end);
        line.details = details;
        Ok(Some(line))
    }

    /// What was measured under this plan in the period.
    fn used(&self, meter: &str) -> Result<Quantity, PricingError> {
        let Some(resource) = self.resource else { return Ok(Quantity::ZERO) };
        let total = merged(self.totals, resource, self.segments, meter)?;
        Ok(total.map_or(Quantity::ZERO, |total| total.period_value()))
    }
}

/// What a line bills.
struct Part {
    price: Price,
    quantity: Quantity,
    details: Option<String>,
}

/// `used` cut at the tiers' ends, each piece at its own price.
fn graduated(used: Quantity, tiers: &[Tier]) -> Vec<Part> {
    let mut from = Quantity::ZERO;
    let mut parts = Vec::new();
    for tier in tiers {
        let to = tier.up_to.map_or(used, |up_to| up_to.min(used));
        let details = Some(range(from, tier.up_to));
        parts.push(Part { price: tier.price, quantity: to.saturating_sub(from), details });
        from = tier.up_to.unwrap_or(used);
    }
    parts
}

/// All of `used` at the price of the tier its last unit is in.
fn volume(used: Quantity, tiers: &[Tier]) -> Option<Part> {
    let place = tiers.iter().position(|tier| tier.up_to.is_none_or(|up_to| used <= up_to))?;
    let tier = tiers.get(place)?;
    let from = place.checked_sub(1).and_then(|before| tiers.get(before)).and_then(|tier| tier.up_to);
    let details = Some(range(from.unwrap_or_default(), tier.up_to));
    Some(Part { price: tier.price, quantity: used, details })
}

fn range(from: Quantity, up_to: Option<Quantity>) -> String {
    match (from == Quantity::ZERO, up_to) {
        (true, None) => "all".to_owned(),
        (true, Some(up_to)) => format!("up to {up_to}"),
        (false, None) => format!("above {from}"),
        (false, Some(up_to)) => format!("above {from}, up to {up_to}"),
    }
}

/// `17 of 31 days`, in the largest unit that fits both.
fn share(part: i64, whole: i64) -> String {
    let fits = TIME_UNITS.into_iter().find(|(_, length)| part % length == 0 && whole % length == 0);
    let (unit, length) = fits.unwrap_or(("milliseconds", 1));
    format!("{} of {} {unit}", part / length, whole / length)
}
