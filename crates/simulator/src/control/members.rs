//! `POST /_sim/members`: a person of the customer's team changes role, or leaves.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::control::{Act, Answer};
use crate::engine::webhooks;
use crate::model::{Member, Role};
use crate::refusal::{Refusal, json_response};

/// A role, or none any more.
#[derive(Clone, Copy, Deserialize, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum NewRole {
    Admin,
    User,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MembersBody {
    installation_id: String,
    member_id: String,
    role: NewRole,
}

/// Changes or removes a member, and sends `marketplace.member.changed` (spec E).
pub(crate) fn change(act: &Act<'_>, body: &MembersBody) -> Answer {
    let now = act.simulator.now();
    let (id, member_id) = (&body.installation_id, &body.member_id);
    let payload = json!({
        "configuration": { "id": id }, "installationId": id, "memberId": member_id, "role": body.role,
    });
    act.simulator.store.write(|world| {
        let email = format!("member-{}@example.com", world.seed.hex(&format!("email/{member_id}"), 8));
        let known = world.installations.update(id, |row| match body.role {
            NewRole::None => {
                row.members.remove(member_id);
            }
            role => {
                let role = if matches!(role, NewRole::Admin) { Role::Admin } else { Role::User };
                let member = row.members.entry(member_id.clone()).or_insert(Member { role, email });
                member.role = role;
            }
        });
        known.ok_or_else(|| Refusal::not_found(format!("there is no installation {id:?}")))?;
        let name = format!("member/{}", act.name);
        webhooks::queue(world, id, &name, "marketplace.member.changed", &payload, now)?;
        Ok(json_response(StatusCode::OK, &json!({ "memberId": member_id, "role": body.role })))
    })
}
