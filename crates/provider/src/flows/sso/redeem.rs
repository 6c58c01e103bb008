//! `POST /partner/sessions/redeem`: the provider's dashboard learns who signed in. Once.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tradepost_store::Write;

use crate::caller;
use crate::edge::answer::respond;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::flows::committed;
use crate::idempotency::{self, Answer, Known};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::{HandOver, keys};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeem {
    code: String,
}

pub(super) async fn handle(State(provider): State<Provider>, request: Request) -> Result<Response, Problem> {
    let call = caller::partner(&provider, request, &[("sessions.redeem", Scope::Read)], BODY_BYTES_MAX).await?;
    let redeem: Redeem = call.read()?;
    let gone = || ApiError::not_found("sign-in: the code is unknown, used or older than a minute");
    let digest = keys::digest_of(&[redeem.code.as_bytes()]);
    let stored = provider.store.get::<HandOver>(&HandOver::key_of(&digest)).await?;
    // After the state: if a repeat of this very request used the code just now, its answer is there.
    if let Known::Answered(answer) = idempotency::look_up(&provider, &call.identity).await? {
        return Ok(respond(&provider, &call.installation, answer).await?);
    }
    let stored = stored.ok_or_else(gone)?;
    if stored.ends_at <= provider.clock.now() || stored.sign_in.installation_id != call.installation {
        return Err(gone().into());
    }
    let answer = Answer::json(StatusCode::OK, &stored.sign_in)?;
    let mut writes = vec![Write::delete(HandOver::key_of(&digest), stored.version)];
    writes.extend(call.identity.remember(&answer, provider.clock.now())?);
    if committed(&provider, writes).await? {
        return Ok(respond(&provider, &call.installation, answer).await?);
    }
    match idempotency::look_up(&provider, &call.identity).await? {
        Known::Answered(answer) => Ok(respond(&provider, &call.installation, answer).await?),
        _ => Err(gone().into()),
    }
}
