//! Provisioning, changing, removing and rotating a resource, as a customer.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Inner;
use crate::control::installations::{live, partner_answer};
use crate::control::{Act, Answer, partner_refused};
use crate::engine::rereads::ResourceAnswer;
use crate::engine::{resources, secrets};
use crate::model::{Installation, Ownership, ROWS_EACH_MAX, Resource};
use crate::partner::{PartnerCall, Reply, ReplyView, installer, json_text};
use crate::refusal::{Refusal, json_response};
use crate::switches::Locked;
use crate::wire::{Number, Open, ProtocolSettings, Secret, Status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProvisionBody {
    product_id: String,
    plan_id: String,
    name: String,
    #[serde(default)]
    metadata: Open,
    /// From a Deploy Button.
    external_id: Option<String>,
    /// With an `edgeConfigId` the customer has enabled config sync (spec A.22).
    protocol_settings: Option<ProtocolSettings>,
}

impl ProvisionBody {
    /// Without anything that a customer may leave out.
    pub(crate) fn plain(product_id: &str, plan_id: &str, name: &str) -> Self {
        Self {
            product_id: product_id.to_owned(),
            plan_id: plan_id.to_owned(),
            name: name.to_owned(),
            metadata: Open::default(),
            external_id: None,
            protocol_settings: None,
        }
    }
}

/// The body of B.6 and B.8.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_plan_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Open>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_settings: Option<ProtocolSettings>,
}

/// Calls the Partner API as the installer.
async fn call(
    act: &Act<'_>,
    row: &Installation,
    method: Method,
    rest: &str,
    body: Option<String>,
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
    if simulator.store.read(|world| world.resources.under(&format!("{id}/")).count()) >= ROWS_EACH_MAX {
        return Err(Refusal::conflict(format!("an installation has at most {ROWS_EACH_MAX} resources")));
    }
    let payload = Payload {
        billing_plan_id: Some(body.plan_id),
        external_id: body.external_id,
        metadata: Some(body.metadata),
        name: Some(body.name),
        product_id: Some(body.product_id),
        protocol_settings: body.protocol_settings.clone(),
    };
    let reply = call(act, &row, Method::POST, "", Some(json_text(&payload)?)).await?;
    if !reply.is_success() {
        return Ok(partner_refused("spec B.6", &reply));
    }
    let answer: ResourceAnswer = reply.read("spec B.6")?;
    answer.check("spec B.6", &row)?;
    let missing = || Refusal::partner("spec B.6: the provider's answer has no secrets");
    let values = answer.secrets.clone().ok_or_else(missing)?;
    check_secrets("spec B.6", &values)?;
    let resource_id = answer.id.clone();
    record(act, &row, answer, &values, body.protocol_settings)?;
    Ok(json_response(StatusCode::CREATED, &Provisioned { partner: reply.view(), resource_id, secrets: values }))
}

/// The provider's secrets are held to the same rules as in A.18.
fn check_secrets(rule: &str, values: &[Secret]) -> Result<(), Refusal> {
    secrets::check(values).map_err(|refusal| Refusal::partner(format!("{rule}: {}", refusal.message)))
}

fn record(
    act: &Act<'_>,
    row: &Installation,
    answer: ResourceAnswer,
    values: &[Secret],
    chosen: Option<ProtocolSettings>,
) -> Result<(), Refusal> {
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
            metadata: Open::default(),
            billing_plan: None,
            plans: Vec::new(),
            notification: None,
            protocol_settings: chosen,
            ownership: Ownership::Owned,
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
    metadata: Option<Open>,
    protocol_settings: Option<ProtocolSettings>,
}

/// B.8.
pub(crate) async fn change(act: &Act<'_>, id: &str, resource_id: &str, body: ChangeBody) -> Answer {
    let row = live(act.simulator, id)?;
    exists(act.simulator, id, resource_id)?;
    let payload = Payload {
        billing_plan_id: body.plan_id,
        metadata: body.metadata,
        name: body.name,
        protocol_settings: body.protocol_settings.clone(),
        ..Payload::default()
    };
    let reply = call(act, &row, Method::PATCH, &format!("/{resource_id}"), Some(json_text(&payload)?)).await?;
    if reply.is_success() {
        let answer: ResourceAnswer = reply.read("spec B.8")?;
        answer.check("spec B.8", &row)?;
        let now = act.simulator.now();
        act.simulator.store.write(|world| {
            world.resources.update(&format!("{id}/{resource_id}"), |row| {
                if let Some(chosen) = body.protocol_settings {
                    row.protocol_settings = Some(chosen.over(row.protocol_settings.as_ref()));
                }
                answer.apply(row, now);
            });
            Ok(())
        })?;
    }
    Ok(partner_answer(&reply))
}

/// B.9; the provider of a linked resource is not asked (spec D.6).
pub(crate) async fn delete(act: &Act<'_>, id: &str, resource_id: &str) -> Answer {
    let row = live(act.simulator, id)?;
    let ownership = act.simulator.store.read(|world| {
        let none = || Refusal::not_found(format!("{id:?} has no resource {resource_id:?}"));
        world.resources.get(&format!("{id}/{resource_id}")).map(|row| row.ownership).ok_or_else(none)
    })?;
    let remove = || {
        act.simulator.store.write(|world| {
            resources::remove(world, id, resource_id, act.simulator.now());
            Ok(())
        })
    };
    if ownership == Ownership::Linked {
        remove()?;
        return Ok(json_response(StatusCode::OK, &json!({ "partner": null })));
    }
    let reply = call(act, &row, Method::DELETE, &format!("/{resource_id}"), None).await?;
    if reply.is_success() {
        remove()?;
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

/// The body of B.10.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RotatePayload {
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_old_secrets_expiration_hours: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
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
    let payload = RotatePayload { delay_old_secrets_expiration_hours: body.delay_hours, reason: body.reason };
    let rest = format!("/{resource_id}/secrets/rotate");
    let locked = Locked::begin(act.simulator, id, &resource_id);
    let reply = call(act, &row, Method::POST, &rest, Some(json_text(&payload)?)).await?;
    drop(locked);
    if reply.is_success() {
        let answer: RotateAnswer = reply.read("spec B.10")?;
        if answer.sync {
            check_secrets("spec B.10", &answer.secrets)?;
            let now = act.simulator.now();
            act.simulator.store.write(|world| {
                secrets::set(world, (id, &resource_id), &answer.secrets, answer.partial, now);
                Ok(())
            })?;
        }
    }
    Ok(partner_answer(&reply))
}
