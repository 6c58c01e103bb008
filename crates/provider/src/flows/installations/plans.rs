//! The plans a customer can choose (B.5), or change to (B.12, B.13).

use axum::Json;
use axum::extract::{Path, Request, State};
use tradepost_marketplace::partner::PlanList;

use super::read::resource_there;
use crate::caller::{self, Rule};
use crate::edge::error::{ApiError, Envelope};
use crate::installed;
use crate::provider::Provider;
use crate::state::segments::pending;
use tradepost_pricing::catalog::{Plan, Product};

fn list(product: &Product) -> Json<PlanList> {
    Json(PlanList { plans: product.plans.iter().map(Plan::to_billing_plan).collect() })
}

/// B.5: may come before there is any installation.
pub(super) async fn of_product(
    State(provider): State<Provider>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Json<PlanList>, Envelope> {
    caller::vercel(&provider, request, None, Rule::Anywhere, "plans").await?;
    let product = provider.catalog()?.product(&slug).ok_or_else(|| ApiError::not_found("product"))?;
    Ok(list(product))
}

/// B.13.
pub(super) async fn of_installation(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Json<PlanList>, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::System, "plans").await?;
    installed::installation(&provider, call.installation()?).await?;
    let plans = provider.catalog()?.products().iter().flat_map(|product| &product.plans);
    Ok(Json(PlanList { plans: plans.map(Plan::to_billing_plan).collect() }))
}

/// B.12.
pub(super) async fn of_resource(
    State(provider): State<Provider>,
    Path((path, resource)): Path<(String, String)>,
    request: Request,
) -> Result<Json<PlanList>, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::System, "plans").await?;
    let there = resource_there(&provider, &call, &resource).await?;
    let product = provider.catalog()?.product(there.product.as_str()).ok_or_else(|| ApiError::not_found("product"))?;
    let Json(mut list) = list(product);
    // The one that is to begin later says when.
    if let Some(pending) = pending(&there, provider.clock.now()) {
        for plan in list.plans.iter_mut().filter(|plan| plan.id == pending.plan) {
            plan.effective_date = Some(pending.start);
        }
    }
    Ok(Json(list))
}
