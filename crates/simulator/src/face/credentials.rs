//! A.5 and A.6: an installation's credential is rotated, and the old one revoked.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::derive::digest;
use crate::face::{Answer, Call, authorize};
use crate::model::Token;
use crate::refusal::{Refusal, json_response};
use crate::wire::read;
use crate::world::World;

/// The scopes Vercel grants (spec B.2, observed).
pub(crate) const SCOPES: [&str; 3] =
    ["read-write:marketplace", "read:integration-configuration", "read-write:integration-resource"];
/// Ten years: a credential does not expire by itself (spec A).
const EXPIRES_IN_SECONDS: u64 = 315_360_000;

/// Makes an installation's next credential; the token is derived, and kept as a digest.
pub(crate) fn grant(simulator: &Inner, world: &mut World, installation_id: &str, number: u64) -> String {
    let token = simulator.tell(world.seed.letters(&format!("token/{installation_id}/{number}"), 32));
    let row = Token { installation_id: installation_id.to_owned(), number, revoked: false };
    world.tokens.put(&digest(&token), row);
    token
}

/// Checks the client's own credentials.
pub(crate) fn check_client(simulator: &Inner, world: &World, id: Option<&str>, secret: &str) -> Result<(), Refusal> {
    let none = || Refusal::conflict("no provider is registered; POST /_sim/partner first");
    let partner = world.partner().ok_or_else(none)?;
    let is_same = simulator.store.unseal(&partner.client_secret) == secret.as_bytes();
    if !is_same || id.is_some_and(|id| id != partner.client_id) {
        return Err(Refusal::forbidden("the client id or the client secret is wrong"));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    client_secret: String,
    client_id: Option<String>,
}

/// A.5. The old token stays valid until it is revoked.
pub(crate) fn rotate(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: RotateBody = read("spec A.5", &call.body)?;
        check_client(simulator, world, body.client_id.as_deref(), &body.client_secret)?;
        let used = world.tokens.iter().filter(|(_, token)| token.installation_id == id).map(|(_, token)| token.number);
        let number = used.max().unwrap_or_default() + 1;
        let token = grant(simulator, world, id, number);
        let answer = json!({
            "access_token": token,
            "token_type": "oauth2-token",
            "scope": SCOPES.join(" "),
            "expires_in": EXPIRES_IN_SECONDS,
        });
        Ok(json_response(StatusCode::OK, &answer))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    token: String,
    client_secret: String,
    client_id: Option<String>,
}

/// A.6. Never the last live one.
pub(crate) fn revoke(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: RevokeBody = read("spec A.6", &call.body)?;
        check_client(simulator, world, body.client_id.as_deref(), &body.client_secret)?;
        let key = digest(&body.token);
        let own = world.tokens.get(&key).filter(|token| token.installation_id == id);
        let none = || Refusal::bad_request("spec A.6: the token is none of this installation's");
        if own.ok_or_else(none)?.revoked {
            return Ok(json_response(StatusCode::OK, &json!({ "revoked": true, "alreadyRevoked": true })));
        }
        let live = world.tokens.iter().filter(|(_, token)| token.installation_id == id && !token.revoked).count();
        if live < 2 {
            return Err(Refusal::conflict("spec A.6: the last live credential cannot be revoked"));
        }
        world.tokens.update(&key, |token| token.revoked = true);
        Ok(json_response(StatusCode::OK, &json!({ "revoked": true, "alreadyRevoked": false })))
    })
}
