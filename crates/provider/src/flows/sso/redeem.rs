//! `POST /partner/sessions/redeem`: the provider's dashboard learns who signed in. Once.

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::caller::{self, PartnerCall};
use crate::command::{self, Call, Change, Command, Judged};
use crate::delivery::Nothing;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
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
    let digest = keys::digest_of(&[redeem.code.as_bytes()]);
    Ok(command::answer(&provider, Call::of_partner(&call), &Take { call: &call, digest }).await?)
}

struct Take<'a> {
    call: &'a PartnerCall,
    digest: String,
}

#[async_trait]
impl Command for Take<'_> {
    type State = Option<Stored<HandOver>>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<HandOver>(&HandOver::key_of(&self.digest)).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        let is_good = |stored: &Stored<HandOver>| {
            stored.ends_at > provider.clock.now() && stored.sign_in.installation_id == self.call.installation
        };
        let gone = || ApiError::not_found("sign-in: the code is unknown, used or older than a minute");
        let stored = stored.filter(is_good).ok_or_else(gone)?;
        let answer = Answer::json(StatusCode::OK, &stored.sign_in)?;
        let write = Write::delete(HandOver::key_of(&self.digest), stored.version);
        Ok(Judged::Change(Change::answered(answer).writing([write])))
    }
}
