//! Provisioning, changing, removing and rotating a resource, as a customer.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::Inner;
use crate::control::installations::{installer, live, partner_answer};
use crate::control::{Act, Answer, partner_refused};
use crate::engine::rereads::ResourceAnswer;
use crate::engine::{plans, secrets};
use crate::face;
use crate::model::{Installation, Resource};
use crate::partner::{PartnerCall, Reply, ReplyView};
use crate::refusal::{Refusal, json_response};
use crate::wire::{LIST_ITEMS_MAX, Secret, Status};

/// The most resources of an installation: what the provider states as its limit, and a bit.
const RESOURCES_MAX: usize = LIST_ITEMS_MAX;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProvisionBody {
    product_id: String,
    plan_id: String,
    name: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Calls the Partner API as the installer.
async fn call(
    act: &Act<'_>,
    row: &Installation,
    method: Method,
    rest: &str,
    body: Option<Value>,
) -> Result<Reply, Refusal> {
    let path = format!("/v1/installations/{}/resources{rest}", row.id);
    let (speaker, name) = (installer(row), act.name.as_str());
    act.simulator.call_partner(PartnerCall { method, path, body, installation: Some(row), speaker, name }).await
}

/// What provisioning answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provisioned {
    partner: ReplyView,
    resource_id: String,
    secrets: Vec<Secret>,
}

/// B.6.
pub(crate) async fn provision(act: &Act<'_>, id: &str, body: ProvisionBody) -> Answer {
    let simulator = act.simulator;
    let row = live(simulator, id)?;
    if simulator.store.read(|world| world.resources.under(&format!("{id}/")).count()) >= RESOURCES_MAX {
        return Err(Refusal::conflict(format!("an installation has at most {RESOURCES_MAX} resources")));
    }
    let payload = json!({
        "productId": body.product_id,
        "name": body.name,
        "metadata": body.metadata,
        "billingPlanId": body.plan_id,
    });
    let reply = call(act, &row, Method::POST, "", Some(payload)).await?;
    if !reply.is_success() {
        return Ok(partner_refused("spec B.6", &reply));
    }
    let answer: ResourceAnswer = reply.read("spec B.6")?;
    answer.check("spec B.6", &row)?;
    let missing = || Refusal::partner("spec B.6: the provider's answer has no secrets");
    let values = answer.secrets.clone().ok_or_else(missing)?;
    secrets::check("spec B.6", &values).map_err(|refusal| Refusal::partner(refusal.message))?;
    let resource_id = answer.id.clone();
    record(act, &row, answer, &values)?;
    Ok(json_response(StatusCode::CREATED, &Provisioned { partner: reply.view(), resource_id, secrets: values }))
}

fn record(act: &Act<'_>, row: &Installation, answer: ResourceAnswer, values: &[Secret]) -> Result<(), Refusal> {
    let now = act.simulator.now();
    act.simulator.store.write(|world| {
        let key = format!("{}/{}", row.id, answer.id);
        if let Some(old) = world.resources.get(&key) {
            if old.made_by == act.name {
                return Ok(());
            }
            return Err(Refusal::partner("spec B.6: the provider gave an id that it had given before"));
        }
        let owner = (row.id.as_str(), answer.id.as_str());
        secrets::set(world, owner, values, false, now);
        let mut resource = Resource {
            installation_id: row.id.clone(),
            id: answer.id.clone(),
            internal_id: format!("ir_{}", world.seed.letters(&format!("resource/{key}"), 24)),
            product_id: answer.product_id.clone(),
            name: String::new(),
            status: Status::Ready,
            metadata: Map::new(),
            billing_plan: None,
            plans: Vec::new(),
            notification: None,
            protocol_settings: None,
            ownership: "owned".to_owned(),
            extras: None,
            made_by: act.name.clone(),
            created_at: now,
            deleted_at: None,
        };
        answer.apply(&mut resource, now);
        world.resources.put(&key, resource);
        Ok(())
    })
}

fn exists(simulator: &Inner, id: &str, resource_id: &str) -> Result<(), Refusal> {
    let row = simulator.store.read(|world| world.resources.get(&format!("{id}/{resource_id}")).cloned());
    let is_live = row.is_some_and(|row| row.deleted_at.is_none());
    if is_live { Ok(()) } else { Err(Refusal::not_found(format!("{id:?} has no resource {resource_id:?}"))) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeBody {
    plan_id: Option<String>,
    name: Option<String>,
    metadata: Option<Map<String, Value>>,
}

/// B.8.
pub(crate) async fn change(act: &Act<'_>, id: &str, resource_id: &str, body: ChangeBody) -> Answer {
    let row = live(act.simulator, id)?;
    exists(act.simulator, id, resource_id)?;
    let mut payload = Map::new();
    payload.extend(body.plan_id.map(|plan| ("billingPlanId".to_owned(), json!(plan))));
    payload.extend(body.name.map(|name| ("name".to_owned(), json!(name))));
    payload.extend(body.metadata.map(|metadata| ("metadata".to_owned(), json!(metadata))));
    let reply = call(act, &row, Method::PATCH, &format!("/{resource_id}"), Some(payload.into())).await?;
    if reply.is_success() {
        let answer: ResourceAnswer = reply.read("spec B.8")?;
        answer.check("spec B.8", &row)?;
        let now = act.simulator.now();
        act.simulator.store.write(|world| {
            world.resources.update(&format!("{id}/{resource_id}"), |row| answer.apply(row, now));
            Ok(())
        })?;
    }
    Ok(partner_answer(&reply))
}

/// B.9.
pub(crate) async fn delete(act: &Act<'_>, id: &str, resource_id: &str) -> Answer {
    let row = live(act.simulator, id)?;
    let key = format!("{id}/{resource_id}");
    if act.simulator.store.read(|world| world.resources.get(&key).is_none()) {
        return Err(Refusal::not_found(format!("{id:?} has no resource {resource_id:?}")));
    }
    let reply = call(act, &row, Method::DELETE, &format!("/{resource_id}"), None).await?;
    if reply.is_success() {
        let now = act.simulator.now();
        act.simulator.store.write(|world| {
            face::remove(world, id, resource_id, now);
            world.resources.update(&key, |row| plans::end(&mut row.plans, now));
            Ok(())
        })?;
    }
    Ok(partner_answer(&reply))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RotateBody {
    resource_id: String,
    reason: Option<String>,
    delay_hours: Option<Number>,
}

#[derive(Deserialize)]
struct RotateAnswer {
    sync: bool,
    #[serde(default)]
    secrets: Vec<Secret>,
    #[serde(default)]
    partial: bool,
}

/// B.10. New secrets come in the answer (`sync`), or later by A.18.
pub(crate) async fn rotate(act: &Act<'_>, id: &str, body: RotateBody) -> Answer {
    let row = live(act.simulator, id)?;
    let resource_id = body.resource_id;
    exists(act.simulator, id, &resource_id)?;
    let mut payload = Map::new();
    payload.extend(body.reason.map(|reason| ("reason".to_owned(), json!(reason))));
    payload.extend(body.delay_hours.map(|hours| ("delayOldSecretsExpirationHours".to_owned(), json!(hours))));
    let rest = format!("/{resource_id}/secrets/rotate");
    let reply = call(act, &row, Method::POST, &rest, Some(payload.into())).await?;
    if reply.is_success() {
        let answer: RotateAnswer = reply.read("spec B.10")?;
        if answer.sync {
            let failed = |refusal: Refusal| Refusal::partner(refusal.message);
            secrets::check("spec B.10", &answer.secrets).map_err(failed)?;
            let now = act.simulator.now();
            act.simulator.store.write(|world| {
                secrets::set(world, (id, &resource_id), &answer.secrets, answer.partial, now);
                Ok(())
            })?;
        }
    }
    Ok(partner_answer(&reply))
}
