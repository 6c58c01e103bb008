//! The slice of an installation: what one Query reads, and what usage, the hourly push and the close work
//! with.

mod archive;

pub(crate) use archive::{archive, billed_from, totals as closed_totals};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::Period;
use tradepost_store::{Record, Stored};

use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::{Installation, MeterTotal, PushFailed, Resource, keys};
use tradepost_pricing::catalog::Catalog;
use tradepost_pricing::metering::MeteredResource;
use tradepost_pricing::pricing::{self, Bill, BillInput, BilledResource, Metered, PricingError};

/// How many pages of 1 MB the slice may have. One is what a push is designed for; more are read, so that
/// an installation over the design's size is slow and not stuck.
const PAGES_MAX: usize = 64;

/// How long Vercel takes final figures (spec A.13: `eod` and `period.end` are at most 24 h old).
pub(crate) const FINAL_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The installation, its resources, and the totals of its open periods.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) installation: Stored<Installation>,
    pub(crate) resources: Vec<Stored<Resource>>,
    pub(crate) totals: Vec<Stored<MeterTotal>>,
    pub(crate) push_failed: Option<Stored<PushFailed>>,
}

/// Reads the slice; none if there is no such installation.
pub(crate) async fn read(provider: &Provider, id: &InstallationId) -> Result<Option<Slice>, ApiError> {
    let raws = provider.store.query(&keys::collection(id), keys::SLICE, PAGES_MAX).await?;
    let (mut installation, mut resources, mut totals, mut push_failed) = (None, Vec::new(), Vec::new(), None);
    for raw in raws {
        match raw.kind.as_str() {
            Installation::KIND => installation = Some(raw.into_record()?),
            Resource::KIND => resources.push(raw.into_record()?),
            MeterTotal::KIND => totals.push(raw.into_record()?),
            PushFailed::KIND => push_failed = Some(raw.into_record()?),
            other => return Err(ApiError::internal(format!("a {other} lies in the slice"))),
        }
    }
    Ok(installation.map(|installation| Slice { installation, resources, totals, push_failed }))
}

impl Slice {
    /// Whether a resource is billed: not one that was never made, or taken back, or is denied. Once the customer
    /// leaves, nobody asks Vercel any more, and what was used is billed.
    pub(crate) fn bills(&self, resource: &Resource) -> bool {
        resource.life.is_billed() || (resource.life.is_denied() && !self.installation.is_active())
    }

    /// What is billed in a period, for pricing.
    pub(crate) fn billed(&self) -> Vec<BilledResource> {
        let counted = self.resources.iter().filter(|resource| self.bills(resource));
        counted
            .map(|resource| BilledResource { id: Some(resource.id.clone()), segments: resource.segments.clone() })
            .collect()
    }

    /// The resources that are not billed: Vercel does not know them, or says so. Whatever was metered of them counts
    /// for nothing, or not yet.
    pub(crate) fn unbilled(&self) -> BTreeSet<&ResourceId> {
        self.resources.iter().filter(|resource| !self.bills(resource)).map(|resource| &resource.id).collect()
    }

    /// The totals of one period, for pricing.
    pub(crate) fn totals_of(&self, period: Period) -> Vec<Metered<'_>> {
        let unbilled = self.unbilled();
        let is_own =
            |total: &&Stored<MeterTotal>| total.period_start == period.start && !unbilled.contains(&total.resource);
        let own = self.totals.iter().filter(is_own);
        own.map(|total| metered(&total.item)).collect()
    }

    /// What a period costs as of `at`.
    pub(crate) fn bill(&self, catalog: &Catalog, period: Period, at: Timestamp) -> Result<Bill, PricingError> {
        self.bill_of(catalog, period, at, &self.totals_of(period))
    }

    /// What it costs by these totals: those of a closed period lie elsewhere.
    pub(crate) fn bill_of(
        &self,
        catalog: &Catalog,
        period: Period,
        at: Timestamp,
        totals: &[Metered<'_>],
    ) -> Result<Bill, PricingError> {
        let whole = self.installation.schedule().containing(period.start);
        pricing::bill(&BillInput { catalog, period, whole, at, resources: &self.billed(), metered: totals })
    }

    /// The resources that can be metered, by id.
    pub(crate) fn metered<'a>(&'a self, catalog: &'a Catalog) -> BTreeMap<ResourceId, MeteredResource<'a>> {
        self.resources
            .iter()
            .filter(|resource| resource.life.is_metered())
            .filter_map(|resource| {
                let meters = &catalog.product(resource.product.as_str())?.meters;
                Some((resource.id.clone(), MeteredResource { meters, segments: &resource.segments }))
            })
            .collect()
    }
}

/// A total as pricing takes it.
pub(crate) fn metered(total: &MeterTotal) -> Metered<'_> {
    Metered { resource: &total.resource, segment: total.segment, meter: &total.meter, aggregate: &total.aggregate }
}
