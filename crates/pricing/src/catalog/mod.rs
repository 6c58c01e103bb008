//! The catalog: products, plans, prices and meters, read once at start from `catalog.toml`.
//!
//! Used by the installations flow (plans to choose from), usage (meters) and pricing. What fails:
//! [`CatalogError`], at start, naming the product, plan and charge and the rule that it breaks.
//!
//! A plan's id stands for its terms. Prices, included quantities and a meter's aggregation never change under
//! an id that a customer may hold: the closed months would be priced anew. A new price is a new plan id; the
//! old plan stays in the file for as long as anybody has it. Within a product, plans are listed from the
//! smallest to the largest: that order is what makes a change an upgrade or a downgrade.

mod read;

use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::{PlanId, ProductId};
use tradepost_marketplace::money::{Money, Price, Quantity};
use tradepost_marketplace::wire::{BillingPlan, PlanDetail, PlanKind, PlanScope, UsageKind};

use crate::period::PeriodKind;

/// The largest `catalog.toml`, in bytes.
pub const CATALOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most products.
pub const PRODUCTS_MAX: usize = 100;
/// The most plans of a product.
pub const PLANS_MAX: usize = 100;
/// The most meters of a product: bounds what one push reads.
pub const METERS_MAX: usize = 20;
/// The most charges of a plan.
pub const CHARGES_MAX: usize = 40;
/// The most tiers of a charge.
pub const TIERS_MAX: usize = 20;
/// The most detail lines of a plan.
pub const DETAILS_MAX: usize = 20;
/// The longest name, unit, label or cost text, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest description or detail, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// The longest id of a meter, in characters.
pub const METER_ID_CHARS_MAX: usize = 64;
/// The most origins that may embed a sign-on.
pub const ORIGINS_MAX: usize = 20;

/// Why a catalog cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Too large.
    #[error("the catalog has {bytes} bytes, at most {CATALOG_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not TOML, or not of the catalog's shape. The message has line and column.
    #[error("the catalog cannot be read: {0}")]
    Toml(String),
    /// It breaks a rule.
    #[error("catalog: {place}: {rule}")]
    Rule {
        /// Which product, plan and charge.
        place: String,
        /// The rule, and the way out.
        rule: String,
    },
}

/// How readings of a meter are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Added: an amount, such as queries.
    Sum,
    /// The largest: a level, billed by its peak in the period.
    Max,
    /// The latest: a level, billed by where it ended.
    Last,
}

/// How Vercel shows a meter (spec A.13); says nothing about how it is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// A level, such as the size of a database.
    Total,
    /// An amount within the period.
    Interval,
    /// Per second.
    Rate,
}

impl From<Show> for UsageKind {
    fn from(show: Show) -> Self {
        match show {
            Show::Total => Self::Total,
            Show::Interval => Self::Interval,
            Show::Rate => Self::Rate,
        }
    }
}

/// What is measured of a product's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its id, as in readings: lower-case letters, digits and `_`.
    pub id: String,
    /// As shown; the id if the catalog names none.
    pub name: String,
    /// What a unit is.
    pub units: String,
    /// How readings are put together.
    pub aggregation: Aggregation,
    /// How it is shown.
    pub show: Show,
}

/// How a plan is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanType {
    /// We submit invoices.
    Subscription,
    /// The customer buys credit ahead; Vercel makes and collects the invoices.
    Prepayment,
}

/// What a plan is a plan of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Of the whole installation; fixed charges only.
    Installation,
    /// Of one resource.
    Resource,
}

/// When a change of plan takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeTime {
    /// At commit.
    Immediate,
    /// At the end of the period.
    PeriodEnd,
}

/// One step of a tiered price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Up to and including this quantity; the last tier has none.
    pub up_to: Option<Quantity>,
    /// The price of a unit in it.
    pub price: Price,
}

/// What a plan costs, in one respect. Usage is billed per resource, plan and period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charge {
    /// The same every period, prorated by the milliseconds in which the resource had the plan.
    Fixed {
        /// As on the invoice.
        name: String,
        /// The price of a whole period.
        price: Money,
    },
    /// Every unit above an included quantity, which is never prorated.
    PerUnit {
        /// As on the invoice.
        name: String,
        /// Which meter.
        meter: String,
        /// The price of a unit.
        price: Price,
        /// The units that cost nothing.
        included: Quantity,
    },
    /// Every unit at the price of the tier it falls in.
    Graduated {
        /// As on the invoice.
        name: String,
        /// Which meter.
        meter: String,
        /// Ascending.
        tiers: Vec<Tier>,
    },
    /// All units at the price of the tier that the last one falls in.
    Volume {
        /// As on the invoice.
        name: String,
        /// Which meter.
        meter: String,
        /// Ascending.
        tiers: Vec<Tier>,
    },
}

impl Charge {
    /// The meter it bills, if it bills usage.
    pub fn meter(&self) -> Option<&str> {
        match self {
            Self::Fixed { .. } => None,
            Self::PerUnit { meter, .. } | Self::Graduated { meter, .. } | Self::Volume { meter, .. } => Some(meter),
        }
    }

    /// Whether it can never cost anything.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Fixed { price, .. } => *price == Money::ZERO,
            Self::PerUnit { price, .. } => *price == Price::ZERO,
            Self::Graduated { tiers, .. } | Self::Volume { tiers, .. } => {
                tiers.iter().all(|tier| tier.price == Price::ZERO)
            }
        }
    }
}

/// One line of a plan's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// What it is about.
    pub label: String,
    /// What it says.
    pub value: Option<String>,
}

/// A plan: terms under which a product is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Unique in the whole catalog; stands for these very terms.
    pub id: PlanId,
    /// As shown.
    pub name: String,
    /// As shown; empty if the catalog has none.
    pub description: String,
    /// The price as shown, such as `$20 a month`.
    pub cost: Option<String>,
    /// How it is paid.
    pub kind: PlanType,
    /// What it is a plan of.
    pub scope: Scope,
    /// Whether the customer needs a payment method; `false` only for what is completely free.
    pub payment_method_required: bool,
    /// How periods are cut; the same for every plan of the catalog, as an installation has one period.
    pub period: PeriodKind,
    /// When a change to it from a smaller plan takes effect.
    pub upgrade: ChangeTime,
    /// When a change to it from a larger plan takes effect.
    pub downgrade: ChangeTime,
    /// What it costs.
    pub charges: Vec<Charge>,
    /// Lines of the description.
    pub details: Vec<Detail>,
}

impl Plan {
    /// As Vercel wants to see it (spec B, `BillingPlan`), with scope and payment method always said.
    pub fn to_billing_plan(&self) -> BillingPlan {
        let kind = match self.kind {
            PlanType::Subscription => PlanKind::Subscription,
            PlanType::Prepayment => PlanKind::Prepayment,
        };
        let mut plan = BillingPlan::new(self.id.clone(), kind, &self.name, &self.description);
        plan.scope = match self.scope {
            Scope::Installation => PlanScope::Installation,
            Scope::Resource => PlanScope::Resource,
        };
        plan.payment_method_required = self.payment_method_required;
        plan.cost.clone_from(&self.cost);
        let detail = |detail: &Detail| PlanDetail { label: detail.label.clone(), value: detail.value.clone() };
        plan.details = self.details.iter().map(detail).collect();
        plan
    }

    /// The quantity of a meter that the plan includes, if it says one.
    pub fn included(&self, meter: &str) -> Option<Quantity> {
        self.charges.iter().find_map(|charge| match charge {
            Charge::PerUnit { meter: id, included, .. } if id == meter && *included > Quantity::ZERO => Some(*included),
            _ => None,
        })
    }
}

/// What is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What Vercel asks its plans by.
    pub slug: ProductId,
    /// As shown.
    pub name: String,
    /// What is measured.
    pub meters: Vec<Meter>,
    /// Smallest first.
    pub plans: Vec<Plan>,
}

impl Product {
    /// A meter by its id.
    pub fn meter(&self, id: &str) -> Option<&Meter> {
        self.meters.iter().find(|meter| meter.id == id)
    }

    /// A plan of this product.
    pub fn plan(&self, id: &PlanId) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == *id)
    }
}

/// Everything that is sold, and who may embed a sign-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    products: Vec<Product>,
    allowed_origins: Vec<String>,
    period_kind: PeriodKind,
}

impl Catalog {
    /// Reads and checks a whole `catalog.toml`.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        read::catalog(text)
    }

    /// All products, in the order of the file.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// A product by id or slug: Vercel sends either (spec B.5, B.6).
    pub fn product(&self, id_or_slug: &str) -> Option<&Product> {
        self.products.iter().find(|product| [product.id.as_str(), product.slug.as_str()].contains(&id_or_slug))
    }

    /// A plan of any product.
    pub fn plan(&self, id: &PlanId) -> Option<&Plan> {
        self.products.iter().find_map(|product| product.plan(id))
    }

    /// The product that a plan belongs to.
    pub fn product_of(&self, plan: &PlanId) -> Option<&Product> {
        self.products.iter().find(|product| product.plan(plan).is_some())
    }

    /// How the periods of new installations are cut.
    pub const fn period_kind(&self) -> PeriodKind {
        self.period_kind
    }

    /// Origins (`https://host[:port]`) that a sign-on may come from or return to.
    pub fn allowed_origins(&self) -> &[String] {
        &self.allowed_origins
    }

    /// Whether `to` is a larger plan than `from`: further down in the list of their product. False for the same
    /// plan, and for plans that are not of one product.
    pub fn is_upgrade(&self, from: &PlanId, to: &PlanId) -> bool {
        self.places(from, to).is_some_and(|(from, to)| from < to)
    }

    /// When a change from one plan to another takes effect: what the plan that is taken says about its
    /// direction. `None` if they are not plans of one product.
    pub fn change_time(&self, from: &PlanId, to: &PlanId) -> Option<ChangeTime> {
        self.places(from, to)?;
        let taken = self.plan(to)?;
        Some(if self.is_upgrade(from, to) { taken.upgrade } else { taken.downgrade })
    }

    /// Where two plans of one product stand in its list.
    fn places(&self, from: &PlanId, to: &PlanId) -> Option<(usize, usize)> {
        let product = self.product_of(from)?;
        let place = |id: &PlanId| product.plans.iter().position(|plan| plan.id == *id);
        Some((place(from)?, place(to)?))
    }
}

#[cfg(test)]
mod tests;
