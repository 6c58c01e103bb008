//! `POST /_sim/sso`: a customer presses Open in Provider (spec D).

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::clock::later;
use crate::control::{Act, Answer};
use crate::derive::digest;
use crate::face::CODE_LIFETIME;
use crate::model::{HISTORY_MAX, Life, Member, Role, SignOn};
use crate::refusal::{Refusal, json_response};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SsoBody {
    installation_id: String,
    /// The installer, if it is not said. A stranger becomes a member.
    user_id: Option<String>,
    role: Option<Role>,
    /// The context of spec D.1, such as `resource_id` or `path`.
    #[serde(default)]
    params: BTreeMap<String, String>,
}

/// Makes a single-use code, and answers the URL that the browser would open.
pub(crate) fn open(act: &Act<'_>, body: &SsoBody) -> Answer {
    let simulator = act.simulator;
    let partner = simulator.registered()?;
    let now = simulator.now();
    let (code, state) = simulator.store.write(|world| {
        let none = || Refusal::not_found(format!("there is no installation {:?}", body.installation_id));
        let row = world.installations.get(&body.installation_id).ok_or_else(none)?;
        if row.life == Life::Finalized {
            return Err(Refusal::conflict("the installation is finalized"));
        }
        let user_id = body.user_id.clone().unwrap_or_else(|| row.user_id.clone());
        let known = row.members.get(&user_id);
        let role = body.role.or(known.map(|member| member.role)).unwrap_or_default();
        let email = format!("member-{}@example.com", world.seed.hex(&format!("email/{user_id}"), 8));
        if known.is_none() {
            world.installations.update(&body.installation_id, |row| {
                row.members.insert(user_id.clone(), Member { role, email });
            });
        }
        let code = world.seed.letters(&format!("code/{}", act.name), 32);
        let state = world.seed.letters(&format!("state/{}", act.name), 32);
        let sign_on = SignOn {
            installation_id: body.installation_id.clone(),
            user_id,
            role,
            state: Some(digest(&state)),
            name: act.name.clone(),
            expires_at: later(now, CODE_LIFETIME),
            used: false,
        };
        // A repeat after a crash must not make a used code good again.
        if world.codes.get(&digest(&code)).is_none() {
            world.codes.put(&digest(&code), sign_on);
            world.codes.trim(HISTORY_MAX, |row| row.expires_at < now);
        }
        Ok((code, state))
    })?;
    let (code, state) = (simulator.tell(code), simulator.tell(state));
    let mut url = Url::parse(&partner.redirect_login_url)
        .map_err(|error| Refusal::internal(format!("redirectLoginUrl: {error}")))?;
    let fixed = [("mode", "sso"), ("code", code.as_str()), ("state", state.as_str())];
    url.query_pairs_mut().extend_pairs(fixed).extend_pairs(&body.params);
    Ok(json_response(StatusCode::OK, &json!({ "url": url.as_str() })))
}
