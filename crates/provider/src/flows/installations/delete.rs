//! `DELETE /v1/installations/{installation}`: a customer uninstalls (spec B.4).
//!
//! Vercel does not call Delete Resource for each resource: everything is released here, through the outbox.
//! The period ends at the request; the final invoice goes six hours later, inside Vercel's 24, then the
//! installation is finalized; at once, if nothing that costs anything was ever there. Unknown or gone already: 204.

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::partner::{DeleteInstallation, InstallationDeleted};
use tradepost_store::Stored;

use crate::answer::Answer;
use crate::caller::{self, Rule};
use crate::command::{self, Call, Change, Command, Judged, Reply};
use crate::edge::body;
use crate::edge::error::{ApiError, Envelope};
use crate::effects::What;
use crate::provider::Provider;
use crate::state::{Installation, InstallationStatus};
use crate::uninstall::{settled, uninstall};

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::AdminOrSystem, "delete_installation").await?;
    let id = call.installation()?;
    body::parse_optional::<DeleteInstallation>(&call.body)?;
    Ok(command::answer(&provider, Call::of_vercel(&call)?, &Delete { id }).await?)
}

struct Delete<'a> {
    id: &'a InstallationId,
}

#[async_trait]
impl Command for Delete<'_> {
    type State = Option<Stored<Installation>>;
    type Owes = What;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<Installation>(&Installation::key_of(self.id)).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged, ApiError> {
        Ok(Judged::Change(match stored {
            None => Change::answered(Answer::empty(StatusCode::NO_CONTENT)),
            Some(stored) => {
                let settled = settled(provider, &stored, provider.clock.now()).await?;
                let finalized = settled.is_some() || stored.status == InstallationStatus::Finalized;
                let answer = Answer::json(StatusCode::OK, &InstallationDeleted { finalized })?;
                uninstall(&stored, provider.clock.now(), settled, Reply::Ready(answer))?
            }
        }))
    }
}
