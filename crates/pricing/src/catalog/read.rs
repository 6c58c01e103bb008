//! From `catalog.toml` to a checked [`Catalog`].
//!
//! Two steps: serde reads the shape (unknown keys are refused, with line and column), then every rule is
//! checked with a [`Place`] in hand, so that an error names product, plan and charge. Prices are read as raw
//! TOML values first: a float has lost its digits by then, and is refused.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use toml::Value;
use tradepost_marketplace::ids::{InvalidId, PlanId, ProductId};
use tradepost_marketplace::money::{Money, Price, Quantity};

use super::{
    Aggregation, CATALOG_BYTES_MAX, CHARGES_MAX, Catalog, CatalogError, ChangeTime, Charge, DESCRIPTION_CHARS_MAX,
    DETAILS_MAX, Detail, METER_ID_CHARS_MAX, METERS_MAX, Meter, NAME_CHARS_MAX, ORIGINS_MAX, PLANS_MAX, PRODUCTS_MAX,
    Plan, PlanType, Product, Scope, Show, TIERS_MAX, Tier,
};
use crate::period::PeriodKind;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalog {
    #[serde(default)]
    product: Vec<RawProduct>,
    #[serde(default)]
    sso: RawSso,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSso {
    #[serde(default)]
    allowed_origins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProduct {
    id: String,
    slug: String,
    name: String,
    #[serde(default)]
    meter: Vec<RawMeter>,
    #[serde(default)]
    plan: Vec<RawPlan>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeter {
    id: String,
    name: Option<String>,
    units: String,
    aggregation: Aggregation,
    show: Show,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    cost: Option<String>,
    #[serde(rename = "type")]
    kind: PlanType,
    scope: Scope,
    payment_method_required: bool,
    period: PeriodKind,
    upgrade: ChangeTime,
    downgrade: ChangeTime,
    #[serde(default)]
    charge: Vec<RawCharge>,
    #[serde(default)]
    detail: Vec<RawDetail>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetail {
    label: String,
    value: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Fixed,
    PerUnit,
    Graduated,
    Volume,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCharge {
    kind: RawKind,
    name: Option<String>,
    meter: Option<String>,
    price: Option<Value>,
    included: Option<Value>,
    tier: Option<Vec<RawTier>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    up_to: Option<Value>,
    price: Value,
}

/// Where in the catalog, for errors.
#[derive(Clone)]
struct Place(String);

impl Place {
    fn within(&self, what: &str, id: impl fmt::Debug) -> Self {
        let outer = if self.0.is_empty() { String::new() } else { format!("{}, ", self.0) };
        Self(format!("{outer}{what} {id:?}"))
    }

    fn refuse<T>(&self, rule: impl Into<String>) -> Result<T, CatalogError> {
        let place = if self.0.is_empty() { "the whole".to_owned() } else { self.0.clone() };
        Err(CatalogError::Rule { place, rule: rule.into() })
    }

    fn at_most<T>(&self, list: &[T], max: usize, what: &str) -> Result<(), CatalogError> {
        if list.len() > max { self.refuse(format!("{} {what}, at most {max} are allowed", list.len())) } else { Ok(()) }
    }

    fn text(&self, text: String, key: &str, chars_max: usize) -> Result<String, CatalogError> {
        let chars = text.chars().count();
        if text.trim().is_empty() {
            return self.refuse(format!("{key} is empty"));
        }
        if chars > chars_max || text.chars().any(char::is_control) {
            return self.refuse(format!("{key} has control characters or more than {chars_max} characters"));
        }
        Ok(text)
    }

    fn id<T>(&self, read: Result<T, InvalidId>) -> Result<T, CatalogError> {
        read.or_else(|error| self.refuse(error.to_string()))
    }
}

pub(super) fn catalog(text: &str) -> Result<Catalog, CatalogError> {
    if text.len() > CATALOG_BYTES_MAX {
        return Err(CatalogError::TooLarge { bytes: text.len() });
    }
    let raw: RawCatalog = toml::from_str(text).map_err(|error| CatalogError::Toml(error.to_string()))?;
    let whole = Place(String::new());
    whole.at_most(&raw.product, PRODUCTS_MAX, "products")?;
    let allowed_origins = origins(raw.sso.allowed_origins)?;
    let products = raw.product.into_iter().map(product).collect::<Result<Vec<_>, _>>()?;
    check_unique(&products)?;
    let period_kind = one_period_kind(&products)?;
    Ok(Catalog { products, allowed_origins, period_kind })
}

/// No id or slug names two products, no id two plans: Vercel and the store know them by nothing else.
fn check_unique(products: &[Product]) -> Result<(), CatalogError> {
    let whole = Place(String::new());
    let mut names = BTreeSet::new();
    let mut plans = BTreeSet::new();
    for product in products {
        let own: BTreeSet<_> = [product.id.as_str(), product.slug.as_str()].into();
        for name in own {
            if !names.insert(name) {
                return whole.refuse(format!("the id or slug {name:?} names two products"));
            }
        }
        for plan in &product.plans {
            if !plans.insert(plan.id.as_str()) {
                let place = whole.within("product", product.id.as_str()).within("plan", plan.id.as_str());
                return place.refuse("its id is used by another plan; ids are unique in the whole catalog");
            }
        }
    }
    Ok(())
}

/// An installation has one period, so all plans must agree on how it is cut.
fn one_period_kind(products: &[Product]) -> Result<PeriodKind, CatalogError> {
    let whole = Place(String::new());
    let mut plans = products.iter().flat_map(|product| product.plans.iter().map(move |plan| (product, plan)));
    let Some((_, first)) = plans.next() else {
        return whole.refuse("there is no plan, so nothing can be sold");
    };
    if let Some((product, other)) = plans.find(|(_, plan)| plan.period != first.period) {
        let place = whole.within("product", product.id.as_str()).within("plan", other.id.as_str());
        return place.refuse(format!(
            "its period differs from that of plan {:?}; an installation has one period",
            first.id.as_str()
        ));
    }
    Ok(first.period)
}

fn origins(raw: Vec<String>) -> Result<Vec<String>, CatalogError> {
    let place = Place("sso".to_owned());
    place.at_most(&raw, ORIGINS_MAX, "allowed_origins")?;
    for origin in &raw {
        let url = url::Url::parse(origin).ok();
        let bare = url.as_ref().is_some_and(|url| url.origin().ascii_serialization() == *origin);
        let secure = url.as_ref().is_some_and(|url| {
            let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            url.scheme() == "https" || (url.scheme() == "http" && loopback)
        });
        if !(bare && secure) {
            return place.refuse(format!(
                "{origin:?} is not an origin: https://host[:port], without a path or a closing slash"
            ));
        }
    }
    Ok(raw)
}

fn product(raw: RawProduct) -> Result<Product, CatalogError> {
    let place = Place(String::new()).within("product", &raw.id);
    place.at_most(&raw.meter, METERS_MAX, "meters")?;
    place.at_most(&raw.plan, PLANS_MAX, "plans")?;
    let id = place.id(ProductId::new(raw.id))?;
    let slug = place.id(ProductId::new(raw.slug))?;
    let name = place.text(raw.name, "name", NAME_CHARS_MAX)?;
    if raw.plan.is_empty() {
        return place.refuse("it has no plan, so it cannot be sold");
    }
    let meters = raw.meter.into_iter().map(|raw| meter(&place, raw)).collect::<Result<Vec<_>, _>>()?;
    let ids: BTreeSet<_> = meters.iter().map(|meter| &meter.id).collect();
    if ids.len() < meters.len() {
        return place.refuse("two meters have one id");
    }
    let plans = raw.plan.into_iter().map(|raw| plan(&place, &meters, raw)).collect::<Result<_, _>>()?;
    Ok(Product { id, slug, name, meters, plans })
}

fn meter(product: &Place, raw: RawMeter) -> Result<Meter, CatalogError> {
    let place = product.within("meter", &raw.id);
    let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if raw.id.is_empty() || raw.id.len() > METER_ID_CHARS_MAX || !raw.id.chars().all(form) {
        return place.refuse(format!("an id is 1 to {METER_ID_CHARS_MAX} lower-case letters, digits and _"));
    }
    let units = place.text(raw.units, "units", NAME_CHARS_MAX)?;
    let name = place.text(raw.name.unwrap_or_else(|| raw.id.clone()), "name", NAME_CHARS_MAX)?;
    Ok(Meter { id: raw.id, name, units, aggregation: raw.aggregation, show: raw.show })
}

fn plan(product: &Place, meters: &[Meter], raw: RawPlan) -> Result<Plan, CatalogError> {
    let place = product.within("plan", &raw.id);
    place.at_most(&raw.charge, CHARGES_MAX, "charges")?;
    place.at_most(&raw.detail, DETAILS_MAX, "details")?;
    let id = place.id(PlanId::new(raw.id))?;
    let name = place.text(raw.name, "name", NAME_CHARS_MAX)?;
    let charge_at = |(index, raw): (usize, RawCharge)| charge(&place.within("charge", index + 1), &name, meters, raw);
    let charges = raw.charge.into_iter().enumerate().map(charge_at).collect::<Result<Vec<_>, _>>()?;
    let description = match raw.description {
        empty if empty.is_empty() => empty,
        text => place.text(text, "description", DESCRIPTION_CHARS_MAX)?,
    };
    let cost = raw.cost.map(|cost| place.text(cost, "cost", NAME_CHARS_MAX)).transpose()?;
    let details = raw.detail.into_iter().map(|raw| {
        let label = place.text(raw.label, "a detail's label", NAME_CHARS_MAX)?;
        let value = raw.value.map(|value| place.text(value, "a detail's value", DESCRIPTION_CHARS_MAX)).transpose()?;
        Ok(Detail { label, value })
    });
    let plan = Plan {
        details: details.collect::<Result<_, _>>()?,
        id,
        name,
        description,
        cost,
        kind: raw.kind,
        scope: raw.scope,
        payment_method_required: raw.payment_method_required,
        period: raw.period,
        upgrade: raw.upgrade,
        downgrade: raw.downgrade,
        charges,
    };
    check_plan(&place, &plan)?;
    Ok(plan)
}

/// The rules between the parts of a plan.
fn check_plan(place: &Place, plan: &Plan) -> Result<(), CatalogError> {
    let billed: Vec<_> = plan.charges.iter().filter_map(Charge::meter).collect();
    let distinct: BTreeSet<_> = billed.iter().collect();
    if distinct.len() < billed.len() {
        return place.refuse("two charges bill one meter; one with tiers can say both");
    }
    if !plan.payment_method_required && !plan.charges.iter().all(Charge::is_free) {
        return place.refuse("payment_method_required = false is for what is completely free (spec B, BillingPlan)");
    }
    if plan.scope == Scope::Installation && !billed.is_empty() {
        return place.refuse("a plan of scope installation has fixed charges only: usage is measured by resource");
    }
    let tiered = |charge: &Charge| matches!(charge, Charge::Graduated { .. } | Charge::Volume { .. });
    if plan.kind == PlanType::Prepayment && plan.charges.iter().any(tiered) {
        return place.refuse("a prepayment plan has no tiers: its price is per unit or fixed");
    }
    Ok(())
}

fn charge(place: &Place, plan_name: &str, meters: &[Meter], raw: RawCharge) -> Result<Charge, CatalogError> {
    let tiered = matches!(raw.kind, RawKind::Graduated | RawKind::Volume);
    let superfluous = [
        ("meter", raw.meter.is_some() && raw.kind == RawKind::Fixed),
        ("price", raw.price.is_some() && tiered),
        ("included", raw.included.is_some() && raw.kind != RawKind::PerUnit),
        ("tier", raw.tier.is_some() && !tiered),
    ];
    if let Some((key, _)) = superfluous.into_iter().find(|(_, found)| *found) {
        return place.refuse(format!("a charge of this kind has no {key}"));
    }
    let name = raw.name.map(|name| place.text(name, "name", NAME_CHARS_MAX)).transpose()?;
    if raw.kind == RawKind::Fixed {
        let Some(price) = raw.price else { return place.refuse("it has no price") };
        let price: Money = decimal(place, "price", &price)?;
        if Price::from_money(price).is_none() {
            return place.refuse("price is more than six digits before the point");
        }
        return Ok(Charge::Fixed { name: name.unwrap_or_else(|| plan_name.to_owned()), price });
    }
    let Some(meter) = raw.meter.as_ref().and_then(|id| meters.iter().find(|meter| meter.id == *id)) else {
        return place.refuse(format!("meter {:?} is not one of its product's", raw.meter.unwrap_or_default()));
    };
    let name = name.unwrap_or_else(|| meter.name.clone());
    let meter = meter.id.clone();
    Ok(match raw.kind {
        RawKind::Graduated => Charge::Graduated { name, meter, tiers: tiers(place, raw.tier)? },
        RawKind::Volume => Charge::Volume { name, meter, tiers: tiers(place, raw.tier)? },
        RawKind::Fixed | RawKind::PerUnit => {
            let Some(price) = raw.price else { return place.refuse("it has no price") };
            let included = raw.included.as_ref().map(|included| quantity(place, "included", included)).transpose()?;
            Charge::PerUnit {
                name,
                meter,
                price: decimal(place, "price", &price)?,
                included: included.unwrap_or_default(),
            }
        }
    })
}

/// Tiers ascend, and only the last one is open.
fn tiers(place: &Place, raw: Option<Vec<RawTier>>) -> Result<Vec<Tier>, CatalogError> {
    let raw = raw.unwrap_or_default();
    if raw.is_empty() {
        return place.refuse("it has no tier");
    }
    place.at_most(&raw, TIERS_MAX, "tiers")?;
    let last = raw.len() - 1;
    let mut tiers: Vec<Tier> = Vec::with_capacity(raw.len());
    for (index, tier) in raw.into_iter().enumerate() {
        let place = place.within("tier", index + 1);
        let up_to = tier.up_to.as_ref().map(|up_to| quantity(&place, "up_to", up_to)).transpose()?;
        if up_to.is_none() != (index == last) {
            return place.refuse("every tier but the last has up_to, and the last has none");
        }
        let before = tiers.last().and_then(|tier| tier.up_to).unwrap_or_default();
        if up_to.is_some_and(|up_to| up_to <= before) {
            return place.refuse("up_to is not above that of the tier before");
        }
        tiers.push(Tier { up_to, price: decimal(&place, "price", &tier.price)? });
    }
    Ok(tiers)
}

/// A quantity: a decimal text, or a whole number, which TOML keeps exactly.
fn quantity(place: &Place, key: &str, value: &Value) -> Result<Quantity, CatalogError> {
    match value {
        Value::Integer(whole) => decimal(place, key, &Value::String(whole.to_string())),
        other => decimal(place, key, other),
    }
}

/// A decimal text. A float is refused: what it looks like in the file is not what it is.
fn decimal<T>(place: &Place, key: &str, value: &Value) -> Result<T, CatalogError>
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    match value {
        Value::String(text) => text.parse().or_else(|error: T::Err| place.refuse(format!("{key}: {error}"))),
        Value::Float(_) | Value::Integer(_) => place.refuse(format!(
            "{key} is a number; write it as a text, such as {key} = \"20.00\", so that no digit is lost"
        )),
        other => place.refuse(format!("{key} is a {}; write a text such as \"20.00\"", other.type_str())),
    }
}
