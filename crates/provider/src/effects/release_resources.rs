//! After an uninstall: every resource is deleted at the provisioner, one by one, resumable. A resource ends
//! at the uninstall, whenever this comes to it; its secrets are forgotten, and so is the command that it overtakes.

use jiff::SignedDuration;
use serde_json::value::RawValue;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::{Stored, Write};

use crate::commit::committed;
use crate::deadline::Deadline;
use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::installed;
use crate::outbox::Reason;
use crate::provider::Provider;
use crate::provisioner::{Kind, Order, ProvisionerError};
use crate::state::{Credentials, Resource, keys, segments};

/// How many resources are looked at together.
const PAGE: usize = 100;
/// What is kept back of the deadline for writing down what came of a call.
const MARGIN_SECONDS: i64 = 2;
/// When to go on after time was up.
const GO_ON: SignedDuration = SignedDuration::from_mins(1);

pub(super) async fn deliver(provider: &Provider, id: &InstallationId, deadline: Deadline) -> Result<Outcome, ApiError> {
    let mut after: Option<String> = None;
    let mut failed = None;
    loop {
        let page = provider.store.query_after(&keys::collection(id), keys::RESOURCES, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.sk.clone());
        for raw in page {
            let resource = raw.decode::<Resource>()?;
            if resource.life.is_deleted() {
                continue;
            }
            if deadline.less(MARGIN_SECONDS).is_over(&provider.lease) {
                let after = Some(GO_ON);
                return Ok(Outcome::Later { reason: Reason::NoTimeLeft, after, writes: Vec::new() });
            }
            // One that does not go must not keep the others.
            if let Err(reason) = release(provider, &resource, deadline).await? {
                failed.get_or_insert(reason);
            }
        }
    }
    Ok(match failed {
        Some(reason) => Outcome::later(reason),
        None => Outcome::nothing(),
    })
}

/// How often a fence is raised in one go, each time by twice as much: by 1,023 in all.
const RAISES_MAX: u32 = 10;

/// Deletes one resource there and here, under a fence that is above what the provisioner has seen: it may have seen
/// more than we know, if the table was restored. The inner error is a reason to come back.
pub(super) async fn release(
    provider: &Provider,
    resource: &Stored<Resource>,
    deadline: Deadline,
) -> Result<Result<(), Reason>, ApiError> {
    let mut resource = resource.clone();
    for raise in 0..=RAISES_MAX {
        match provider.provisioner()?.send(&order(&resource)?, deadline).await {
            Ok(_) => return end(provider, &resource).await,
            Err(ProvisionerError::StaleFence)
                if raise < RAISES_MAX && !deadline.less(MARGIN_SECONDS).is_over(&provider.lease) => {}
            Err(ProvisionerError::StaleFence) => break,
            Err(error) => return Ok(Err(Reason::said(error))),
        }
        // Written down first: what is tried next is higher than all before, whoever tries it.
        resource.item.fence += 1 << raise;
        if !committed(provider, vec![Write::replace(&resource.item, resource.version)?]).await? {
            return Ok(Err(Reason::Moved));
        }
        let key = Resource::key_of(&resource.installation, &resource.id);
        let Some(raised) = provider.store.get::<Resource>(&key).await? else { break };
        resource = raised;
    }
    Ok(Err(Reason::StaleFence))
}

fn order(resource: &Resource) -> Result<Order, ApiError> {
    Ok(Order {
        operation_id: keys::derive_operation(&resource.installation, "release", resource.id.as_str()),
        fence: resource.fence + 1,
        kind: Kind::Delete,
        installation_id: resource.installation.clone(),
        resource_id: resource.id.clone(),
        product_id: resource.product.clone(),
        plan_id: None,
        effective_at: None,
        name: resource.name.clone(),
        metadata: RawValue::from_string(resource.metadata.clone()).map_err(ApiError::internal)?,
        secrets_version: 0,
    })
}

/// It is gone there: it ends here.
async fn end(provider: &Provider, resource: &Stored<Resource>) -> Result<Result<(), Reason>, ApiError> {
    let mut installation = installed::installation(provider, &resource.installation).await?;
    let at = installation.uninstalled_at.unwrap_or(provider.clock.now());
    let mut ended = resource.item.clone();
    ended.fence += 1;
    segments::end(&mut ended, at);
    installation.item.resources_live = installation.resources_live.saturating_sub(1);
    let mut writes = vec![
        Write::replace(&ended, resource.version)?,
        Write::replace(&installation.item, installation.version)?,
        Write::delete_any(Credentials::key_of(&resource.installation, &resource.id)),
    ];
    // A command in progress never answers: a record without an answer must not stay. Its repeat is judged anew.
    let overtaken = resource.operation.as_ref().and_then(|operation| operation.answers.clone());
    writes.extend(overtaken.map(Write::delete_any));
    let done = committed(provider, writes).await?;
    Ok(if done { Ok(()) } else { Err(Reason::Moved) })
}
