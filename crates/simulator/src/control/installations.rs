//! Installing, changing the plan of, paying for and uninstalling an installation, as a customer.

use std::collections::BTreeMap;

use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Inner;
use crate::clock::later;
use crate::control::{Act, Answer, Passing, partner_refused};
use crate::engine::finalize::{WINDOW, finalize_if_over};
use crate::engine::rereads::InstallationAnswer;
use crate::engine::webhooks;
use crate::face;
use crate::keys::Speaker;
use crate::model::{Installation, InvoiceState, Life, Member, Payment, Role};
use crate::partner::{PartnerCall, Reply, ReplyView, installer};
use crate::refusal::{Refusal, json_response};

/// The installation, while a customer can still act in it.
pub(crate) fn live(simulator: &Inner, id: &str) -> Result<Installation, Refusal> {
    let row = simulator.store.read(|world| world.installations.get(id).cloned());
    let row = row.ok_or_else(|| Refusal::not_found(format!("there is no installation {id:?}")))?;
    if row.life == Life::Active {
        Ok(row)
    } else {
        Err(Refusal::conflict(format!("installation {id:?} is uninstalled")))
    }
}

/// `{partner}`, as most control calls answer. A provider that may answer otherwise next time is asked again
/// under the same key.
pub(crate) fn partner_answer(reply: &Reply) -> Response<bytes::Bytes> {
    #[derive(Serialize)]
    struct Shown {
        partner: ReplyView,
    }
    let mut response = json_response(StatusCode::OK, &Shown { partner: reply.view() });
    if reply.is_passing() {
        response.extensions_mut().insert(Passing);
    }
    response
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallBody {
    #[serde(default)]
    role: Role,
    /// When each policy was accepted; `toc` now, if it is not said.
    policies: Option<BTreeMap<String, String>>,
}

/// The id of the installation that a call makes.
pub(crate) fn derived_id(act: &Act<'_>) -> String {
    let seed = act.simulator.store.read(|world| world.seed.clone());
    format!("icfg_{}", seed.letters(&format!("installation/{}", act.name), 24))
}

fn new_installation(act: &Act<'_>, role: Role) -> Installation {
    let simulator = act.simulator;
    let seed = simulator.store.read(|world| world.seed.clone());
    let id = derived_id(act);
    let user_id = seed.hex(&format!("user/{id}"), 24);
    let email = format!("customer-{}@example.com", seed.hex(&format!("email/{id}"), 8));
    Installation {
        account_id: seed.hex(&format!("account/{id}"), 32),
        members: BTreeMap::from([(user_id.clone(), Member { role, email })]),
        id,
        user_id,
        life: Life::Active,
        status: None,
        external_id: None,
        billing_plan: None,
        plans: Vec::new(),
        notification: None,
        payment: Payment::Paid,
        created_at: simulator.now(),
        uninstalled_at: None,
        finalized_at: None,
        no_more_invoices: false,
        interim_count: 0,
        uninstalled_by: None,
        due: None,
    }
}

/// What an install answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    access_token: String,
    installation_id: String,
    partner: ReplyView,
}

/// B.2. The credential lives before the call, for the provider may use it at once.
pub(crate) async fn install(act: &Act<'_>, body: InstallBody) -> Answer {
    let simulator = act.simulator;
    simulator.registered()?;
    let row = new_installation(act, body.role);
    let token = simulator.store.write(|world| {
        if world.installations.get(&row.id).is_none() {
            world.installations.put(&row.id, row.clone());
        }
        Ok(face::grant(simulator, world, &row.id, 1))
    })?;
    let toc = || BTreeMap::from([("toc".to_owned(), simulator.now().to_string())]);
    let payload = json!({
        "scopes": face::SCOPES,
        "acceptedPolicies": body.policies.unwrap_or_else(toc),
        "credentials": { "access_token": token, "token_type": "Bearer" },
        "account": face::account_of(&row),
    });
    let path = format!("/v1/installations/{}", row.id);
    let (method, speaker, name) = (Method::PUT, installer(&row), act.name.as_str());
    let reply = simulator
        .call_partner(PartnerCall {
            method,
            path,
            body: Some(payload.to_string()),
            installation: Some(&row),
            speaker,
            name,
        })
        .await?;
    if !reply.is_success() {
        simulator.store.write(|world| {
            world.tokens.remove(&crate::derive::digest(&token));
            world.installations.remove(&row.id);
            Ok(())
        })?;
        return Ok(partner_refused("spec B.2", &reply));
    }
    let answer = InstallationAnswer::of(&reply, "spec B.2")?;
    simulator.store.write(|world| {
        world.installations.update(&row.id, |row| answer.apply(row, simulator.now()));
        Ok(())
    })?;
    let body = Installed { access_token: token, installation_id: row.id, partner: reply.view() };
    Ok(json_response(StatusCode::CREATED, &body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeBody {
    plan_id: String,
}

/// B.3.
pub(crate) async fn change(act: &Act<'_>, id: &str, body: ChangeBody) -> Answer {
    let simulator = act.simulator;
    let row = live(simulator, id)?;
    let payload = Some(json!({ "billingPlanId": body.plan_id }).to_string());
    let (method, path, speaker) = (Method::PATCH, format!("/v1/installations/{id}"), installer(&row));
    let name = act.name.as_str();
    let reply = simulator
        .call_partner(PartnerCall { method, path, body: payload, installation: Some(&row), speaker, name })
        .await?;
    if reply.is_success() {
        let answer = InstallationAnswer::of(&reply, "spec B.3")?;
        simulator.store.write(|world| {
            world.installations.update(id, |row| answer.apply(row, simulator.now()));
            Ok(())
        })?;
    }
    Ok(partner_answer(&reply))
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    #[default]
    User,
    System,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UninstallBody {
    #[serde(default)]
    auth: Auth,
}

#[derive(Default, Deserialize)]
struct DeleteAnswer {
    #[serde(default)]
    finalized: bool,
}

/// B.4, then the webhook that duplicates it, then 24 h for final invoices. A provider that refuses keeps
/// its customer.
pub(crate) async fn uninstall(act: &Act<'_>, id: &str, body: UninstallBody) -> Answer {
    let simulator = act.simulator;
    let kept = simulator.store.read(|world| world.installations.get(id).cloned());
    let is_repeat = |row: &Installation| row.uninstalled_by.as_ref() == Some(&act.name);
    let row = match kept.filter(is_repeat) {
        Some(row) => row,
        None => live(simulator, id)?,
    };
    let speaker = if body.auth == Auth::User { installer(&row) } else { Speaker::System };
    let payload = Some(json!({ "cascadeResourceDeletion": true }).to_string());
    let (method, path, name) = (Method::DELETE, format!("/v1/installations/{id}"), act.name.as_str());
    let reply = simulator
        .call_partner(PartnerCall { method, path, body: payload, installation: Some(&row), speaker, name })
        .await?;
    if reply.is_success() && row.life == Life::Active {
        let answer: DeleteAnswer =
            if reply.body.is_empty() { DeleteAnswer::default() } else { reply.read("spec B.4")? };
        begin_uninstall(act, &row, answer.finalized)?;
    }
    Ok(partner_answer(&reply))
}

fn begin_uninstall(act: &Act<'_>, row: &Installation, finalized: bool) -> Result<(), Refusal> {
    let now = act.simulator.now();
    let team = act.simulator.store.read(|world| world.switches().removed_team.then(|| format!("team_{}", &row.id)));
    let payload: Value = json!({
        "team": { "id": team },
        "user": { "id": row.user_id },
        "configuration": { "id": row.id, "projectSelection": "all", "projects": [] },
    });
    act.simulator.store.write(|world| {
        world.installations.update(&row.id, |row| {
            row.life = Life::Uninstalling;
            row.uninstalled_at = Some(now);
            row.uninstalled_by = Some(act.name.clone());
            row.no_more_invoices = finalized;
            row.due = Some(later(now, WINDOW));
        });
        finalize_if_over(world, &row.id, now);
        webhooks::queue(world, &row.id, "removed", "integration-configuration.removed", &payload, now)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentBody {
    result: Payment,
}

/// Decides how the next invoices are paid. With `paid`, what is unpaid or overdue is paid now: the customer
/// still can (spec F).
pub(crate) fn payment(act: &Act<'_>, id: &str, body: &PaymentBody) -> Answer {
    let now = act.simulator.now();
    act.simulator.store.write(|world| {
        let known = world.installations.update(id, |row| row.payment = body.result);
        known.ok_or_else(|| Refusal::not_found(format!("there is no installation {id:?}")))?;
        let is_late = |state| matches!(state, InvoiceState::NotPaid | InvoiceState::Overdue);
        let late = world.invoices.under(&format!("{id}/")).filter(|(_, row)| is_late(row.state));
        let late: Vec<String> = late.map(|(key, _)| key.clone()).collect();
        for key in late.iter().filter(|_| body.result == Payment::Paid) {
            world.invoices.update(key, |row| row.due = Some(now));
        }
        Ok(json_response(StatusCode::OK, &json!({ "result": body.result })))
    })
}
