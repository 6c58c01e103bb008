//! `POST /_sim/transfers`: resources move from one installation to another (spec B.15 to B.17).
//!
//! Create is called for the source, verify and accept for the target, all as the system. Only once the provider
//! has accepted does Vercel's side move: the resource, its secrets, balance, items, config and connections. The
//! source keeps a removed row, for what was used before the move is still billed there.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::later;
use crate::control::installations::live;
use crate::control::{Act, Answer, Passing};
use crate::engine::{plans, resources};
use crate::keys::Speaker;
use crate::model::Installation;
use crate::partner::{PartnerCall, Reply, ReplyView};
use crate::refusal::{Refusal, json_response};
use crate::wire::Plan;

/// How long a claim is good if it is not said. Vercel publishes no figure.
const CLAIM_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The most resources of one claim.
const RESOURCES_MAX: usize = 1_000;
/// The longest claim id.
const CLAIM_CHARS_MAX: usize = 256;

/// How far a transfer goes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Until {
    Created,
    Verified,
    #[default]
    Accepted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransferBody {
    /// The source.
    installation_id: String,
    target_installation_id: String,
    resource_ids: Vec<String>,
    /// When the claim expires, in milliseconds since the epoch; a day from now if it is not said.
    expires_at: Option<i64>,
    /// A claim made before: it is not created again.
    provider_claim_id: Option<String>,
    #[serde(default)]
    until: Until,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Transferred {
    #[serde(skip_serializing_if = "Option::is_none")]
    accept: Option<ReplyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create: Option<ReplyView>,
    moved: bool,
    provider_claim_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<ReplyView>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateAnswer {
    provider_claim_id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyAnswer {
    new_billing_plan: Option<Plan>,
}

async fn call(
    act: &Act<'_>,
    row: &Installation,
    method: Method,
    rest: &str,
    body: Option<String>,
) -> Result<Reply, Refusal> {
    let path = format!("/v1/installations/{}/resource-transfer-requests{rest}", row.id);
    let name = format!("{}/transfer{rest}", act.name);
    let (installation, speaker) = (Some(row), Speaker::System);
    act.simulator.call_partner(PartnerCall { method, path, body, installation, speaker, name: &name }).await
}

/// The answer so far; a provider that may answer otherwise next time is asked again under the same key.
fn stopped(answer: &Transferred, reply: &Reply) -> Response<Bytes> {
    let mut response = json_response(StatusCode::OK, answer);
    if reply.is_passing() {
        response.extensions_mut().insert(Passing);
    }
    response
}

impl TransferBody {
    /// Every resource is the source's, or has moved already.
    fn check(&self, act: &Act<'_>) -> Result<(), Refusal> {
        let count = self.resource_ids.len();
        if count == 0 || count > RESOURCES_MAX || self.installation_id == self.target_installation_id {
            let why = format!("a transfer has 1 to {RESOURCES_MAX} resources and two different installations");
            return Err(Refusal::bad_request(why));
        }
        act.simulator.store.read(|world| {
            let is_live = |id: &str, resource: &str| {
                world.resources.get(&format!("{id}/{resource}")).is_some_and(|row| row.deleted_at.is_none())
            };
            let is_here = |id: &String| is_live(&self.installation_id, id) || is_live(&self.target_installation_id, id);
            match self.resource_ids.iter().find(|id| !is_here(id)) {
                Some(id) => Err(Refusal::not_found(format!("{:?} has no resource {id:?}", self.installation_id))),
                None => Ok(()),
            }
        })
    }
}

fn check_claim(claim: &str) -> Result<(), Refusal> {
    let is_good = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '/' | '?' | '%');
    if claim.is_empty() || claim.len() > CLAIM_CHARS_MAX || !claim.chars().all(is_good) {
        return Err(Refusal::partner("spec B.15: the provider's providerClaimId does not fit a path"));
    }
    Ok(())
}

/// Moves resources; each of the provider's answers is shown, and the first that is no success ends it.
pub(crate) async fn transfer(act: &Act<'_>, body: TransferBody) -> Answer {
    let (source, target) =
        (live(act.simulator, &body.installation_id)?, live(act.simulator, &body.target_installation_id)?);
    body.check(act)?;
    let mut answer = Transferred { provider_claim_id: body.provider_claim_id.clone(), ..Transferred::default() };
    if answer.provider_claim_id.is_none() {
        let default = later(act.simulator.now(), CLAIM_LIFETIME).as_millisecond();
        // A repeat sends the same bytes.
        let expires_at = act.decide(|| Ok(body.expires_at.unwrap_or(default).to_string()))?;
        let expires_at: i64 = expires_at.parse().map_err(|_| Refusal::internal("the decided expiry is damaged"))?;
        let payload = json!({ "resourceIds": body.resource_ids, "expiresAt": expires_at }).to_string();
        let reply = call(act, &source, Method::POST, "", Some(payload)).await?;
        answer.create = Some(reply.view());
        if !reply.is_success() {
            return Ok(stopped(&answer, &reply));
        }
        answer.provider_claim_id = Some(reply.read::<CreateAnswer>("spec B.15")?.provider_claim_id);
    }
    let claim = answer.provider_claim_id.clone().unwrap_or_default();
    check_claim(&claim)?;
    if body.until == Until::Created {
        return Ok(json_response(StatusCode::OK, &answer));
    }
    let reply = call(act, &target, Method::GET, &format!("/{claim}/verify"), None).await?;
    answer.verify = Some(reply.view());
    if !reply.is_success() {
        return Ok(stopped(&answer, &reply));
    }
    let verified: VerifyAnswer =
        if reply.body.is_empty() { VerifyAnswer::default() } else { reply.read("spec B.16")? };
    if body.until == Until::Verified {
        return Ok(json_response(StatusCode::OK, &answer));
    }
    let reply = call(act, &target, Method::POST, &format!("/{claim}/accept"), None).await?;
    answer.accept = Some(reply.view());
    if !reply.is_success() {
        return Ok(stopped(&answer, &reply));
    }
    relocate(act, &body, verified.new_billing_plan)?;
    answer.moved = true;
    Ok(json_response(StatusCode::OK, &answer))
}

fn relocate(act: &Act<'_>, body: &TransferBody, plan: Option<Plan>) -> Result<(), Refusal> {
    let now = act.simulator.now();
    act.simulator.store.write(|world| {
        if let Some(plan) = plan {
            world.installations.update(&body.target_installation_id, |row| {
                plans::note(&mut row.plans, &plan, now);
                row.billing_plan = Some(plan);
            });
        }
        for resource_id in &body.resource_ids {
            resources::relocate(world, &body.installation_id, &body.target_installation_id, resource_id, now);
        }
        Ok(())
    })
}
