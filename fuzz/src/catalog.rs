//! A catalog, as an operator gives it: whatever is accepted can be sold.

use jiff::Timestamp;
use tradepost_marketplace::ids::ResourceId;
use tradepost_marketplace::money::{Money, Quantity};
use tradepost_marketplace::sso::AllowedOrigin;
use tradepost_marketplace::wire::Period;
use tradepost_provider::catalog::{Catalog, Plan, Product};
use tradepost_provider::metering::Aggregate;
use tradepost_provider::period::Segment;
use tradepost_provider::pricing::{Bill, BillInput, BilledResource, Metered, PricingError, bill};

/// Usage that anybody may have, in billionths: nothing, the least, a little, a million (forty charges at the highest
/// price for it are below what an amount holds).
const USUAL: [i128; 4] = [0, 1, 1_500_000_000, 1_000_000_000_000_000];

/// Runs the target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(catalog) = Catalog::parse(text) else { return };
    assert_eq!(Catalog::parse(text).as_ref(), Ok(&catalog));
    assert!(catalog.allowed_origins().iter().all(|origin| AllowedOrigin::new(origin).is_some()));
    for product in catalog.products() {
        assert_eq!(catalog.product(product.slug.as_str()), Some(product));
        assert_eq!(catalog.product(product.id.as_str()), Some(product));
        for plan in &product.plans {
            assert_eq!(catalog.plan(&plan.id), Some(plan));
            assert!(serde_json::to_string(&plan.to_billing_plan()).is_ok());
            assert!(!catalog.is_upgrade(&plan.id, &plan.id));
            sell(&catalog, product, plan);
        }
    }
}

fn sell(catalog: &Catalog, product: &Product, plan: &Plan) {
    for nano in USUAL {
        let bill =
            priced(catalog, product, plan, nano).unwrap_or_else(|error| panic!("{error}: {nano} of {}", plan.id));
        let sum: Money = bill.lines.iter().map(|line| line.total.money().unwrap()).sum();
        assert_eq!(sum, bill.total, "a bill is the sum of its lines");
        assert!(nano > 0 || plan.charges.iter().any(|charge| charge.meter().is_none()) || bill.lines.is_empty());
    }
    // The most that a meter holds: priced, or refused as beyond what the types hold.
    let most = priced(catalog, product, plan, Quantity::MAX.nano());
    assert!(matches!(most, Ok(_) | Err(PricingError::OutOfRange { .. })), "{most:?}");
}

fn priced(catalog: &Catalog, product: &Product, plan: &Plan, nano: i128) -> Result<Bill, PricingError> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let period = Period::new(at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z")).unwrap();
    let id = ResourceId::new("icfg_fuzz.r1").unwrap();
    let segment = Segment { number: 0, plan: plan.id.clone(), start: period.start, end: None };
    let quantity = Quantity::from_nano(nano).unwrap();
    let totals: Vec<(&str, Aggregate)> = product
        .meters
        .iter()
        .map(|meter| {
            let mut total = Aggregate::new(meter.aggregation);
            total.add("r1", period.start, quantity).unwrap();
            (meter.id.as_str(), total)
        })
        .collect();
    let metered: Vec<Metered<'_>> =
        totals.iter().map(|(meter, aggregate)| Metered { resource: &id, segment: 0, meter, aggregate }).collect();
    bill(&BillInput {
        catalog,
        period,
        whole: period,
        at: period.start,
        resources: &[BilledResource { id: Some(id.clone()), segments: vec![segment] }],
        metered: &metered,
    })
}
