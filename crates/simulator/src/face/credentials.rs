//! A.5 and A.6: an installation's credential is rotated, and the old one revoked.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::derive::digest;
use crate::face::{Answer, Call, authorize};
use crate::model::Token;
use crate::refusal::json_response;
use crate::rules::{A5_BODY, A5_CLIENT, A5_MANY, A6_BODY, A6_CLIENT, A6_LAST, A6_TOKEN};
use crate::wire::read;
use crate::world::World;

/// The scopes Vercel grants (spec B.2, observed).
pub(crate) const SCOPES: [&str; 3] =
    ["read-write:marketplace", "read:integration-configuration", "read-write:integration-resource"];
/// How many credentials of an installation may be alive. Vercel documents a 409 for A.5 and no figure; an answer
/// that is lost leaves one behind that nobody knows, so the limit is far.
pub(crate) const LIVE_CREDENTIALS_MAX: usize = 100;
/// Ten years: a credential does not expire by itself (spec A).
const EXPIRES_IN_SECONDS: u64 = 315_360_000;

/// Makes an installation's next credential; the token is derived, and kept as a digest.
pub(crate) fn grant(simulator: &Inner, world: &mut World, installation_id: &str, number: u64) -> String {
    let token = simulator.tell(world.seed.letters(&format!("token/{installation_id}/{number}"), 32));
    let row = Token { installation_id: installation_id.to_owned(), number, revoked: false };
    world.tokens.put(&digest(&token), row);
    token
}

/// Whether these are the client's own credentials.
pub(crate) fn is_client(simulator: &Inner, world: &World, id: Option<&str>, secret: &str) -> bool {
    world.partner().is_some_and(|partner| {
        let is_same = simulator.store.unseal(&partner.client_secret) == secret.as_bytes();
        is_same && id.is_none_or(|id| id == partner.client_id)
    })
}

/// How many credentials of an installation are alive.
fn live(world: &World, id: &str) -> usize {
    world.tokens.iter().filter(|(_, token)| token.installation_id == id && !token.revoked).count()
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
        let body: RotateBody = read(A5_BODY, &call.body)?;
        if !is_client(simulator, world, body.client_id.as_deref(), &body.client_secret) {
            return Err(A5_CLIENT.refuse());
        }
        if live(world, id) >= LIVE_CREDENTIALS_MAX {
            return Err(A5_MANY.refuse());
        }
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
        let body: RevokeBody = read(A6_BODY, &call.body)?;
        if !is_client(simulator, world, body.client_id.as_deref(), &body.client_secret) {
            return Err(A6_CLIENT.refuse());
        }
        let key = digest(&body.token);
        let own = world.tokens.get(&key).filter(|token| token.installation_id == id);
        if own.ok_or_else(|| A6_TOKEN.refuse())?.revoked {
            return Ok(json_response(StatusCode::OK, &json!({ "revoked": true, "alreadyRevoked": true })));
        }
        if live(world, id) < 2 {
            return Err(A6_LAST.refuse());
        }
        world.tokens.update(&key, |token| token.revoked = true);
        Ok(json_response(StatusCode::OK, &json!({ "revoked": true, "alreadyRevoked": false })))
    })
}
