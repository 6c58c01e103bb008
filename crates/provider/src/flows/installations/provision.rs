//! `POST /v1/installations/{installation}/resources`: a customer buys (spec B.6).

use axum::extract::{Path, Request, State};
use axum::response::Response;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::partner::ProvisionResource;
use tradepost_marketplace::wire::ResourceStatus;

use super::{RESOURCES_KEPT_MAX, RESOURCES_MAX};
use crate::answer::respond;
use crate::caller::{self, Rule};
use crate::edge::error::{ApiError, Envelope};
use crate::edge::{body, said};
use crate::operation::{self, Plan, Planned, Target};
use crate::provider::Provider;
use crate::provisioner::Kind;
use crate::state::segments::unknown_plan;
use crate::state::{Installation, Intent, Life, Origin, Resource, keys};
use tradepost_pricing::catalog::Product;

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::Admin, "provision").await?;
    let installation = call.installation()?;
    let request: ProvisionResource = body::parse(&call.body)?;
    let resource = keys::derive_resource(installation, &call.identity.seed).map_err(ApiError::internal)?;
    let create = Create { provider: &provider, request, id: resource.clone(), metadata: String::new() }.checked()?;
    let deadline = call.deadline;
    let target = Target { identity: &call.identity, installation, resource: &resource, deadline };
    let answer = operation::run(&provider, &target, &create).await?;
    Ok(respond(&provider, installation, answer).await?)
}

struct Create<'a> {
    provider: &'a Provider,
    request: ProvisionResource,
    id: ResourceId,
    metadata: String,
}

impl Create<'_> {
    fn checked(mut self) -> Result<Self, ApiError> {
        said::name(&self.request.name)?;
        self.metadata = said::metadata_text(&self.request.metadata)?;
        Ok(self)
    }

    /// The product, if it has the plan. Not before the idempotency record was looked up: a repeat gets its answer
    /// whatever the catalog says by now.
    fn product(&self) -> Result<&Product, ApiError> {
        let (wanted, plan) = (&self.request.product_id, &self.request.billing_plan_id);
        let product = self.provider.catalog()?.product(wanted.as_str());
        let product = product.ok_or_else(|| ApiError::invalid(format!("there is no product {wanted}")))?;
        product.plan(plan).ok_or_else(|| unknown_plan(plan))?;
        Ok(product)
    }

    fn fresh(&self, installation: &InstallationId) -> Result<Resource, ApiError> {
        let product = self.product()?;
        Ok(Resource {
            id: self.id.clone(),
            installation: installation.clone(),
            product: product.id.clone(),
            product_as_sent: self.request.product_id.clone(),
            name: self.request.name.clone(),
            metadata: self.metadata.clone(),
            status: ResourceStatus::Ready,
            notification: None,
            life: Life::Reserved,
            segments: Vec::new(),
            fence: 0,
            operation: None,
            created_at: self.provider.clock.now(),
            plan_changes: None,
        })
    }
}

impl Plan for Create<'_> {
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError> {
        if !installation.is_active() {
            return Err(ApiError::conflict("the installation was uninstalled"));
        }
        let resource = match resource {
            Some(_) => return Err(ApiError::conflict("the resource was made by another request")),
            None if installation.resources_live >= RESOURCES_MAX => {
                return Err(ApiError::conflict(format!("an installation has at most {RESOURCES_MAX} resources")));
            }
            None if installation.resources_kept >= RESOURCES_KEPT_MAX => {
                let text = "too many resources were made and deleted in the last weeks";
                return Err(ApiError::conflict(text));
            }
            None => self.fresh(&installation.id)?,
        };
        let plan = Some(self.request.billing_plan_id.clone());
        let intent = Intent { plan, ..Intent::of(Kind::Create, Origin::Vercel) };
        Ok(Planned::Go(Box::new(resource), intent))
    }
}
