//! `PUT /v1/installations/{installation}`: a customer installs, or Vercel sends a new token (spec B.2).
//!
//! Create-or-update, idempotent. A repeated call may carry a new access token; one that was replaced before
//! never comes back, however late the call arrives.

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::{Timestamp, Unit};
use secrecy::ExposeSecret;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::partner::UpsertInstallation;
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::caller::{self, Rule};
use crate::command::{self, Call, Change, Command, Judged};
use crate::commit::committed;
use crate::delivery::Nothing;
use crate::edge::body;
use crate::edge::error::{ApiError, Envelope};
use crate::provider::Provider;
use crate::state::installation::{RETIRED_TOKENS_MAX, TOKEN_FIELD};
use crate::state::{Installation, InstallationStatus, ShardCheckpoint, keys};
use tradepost_pricing::period::{self, Schedule};

/// The longest access token.
const TOKEN_BYTES_MAX: usize = 4096;
/// The most policies that an installation has accepted.
const POLICIES_MAX: usize = 100;
/// The longest name of a policy, in bytes.
const POLICY_BYTES_MAX: usize = 256;
/// The longest address of an account, in bytes.
const ACCOUNT_URL_BYTES_MAX: usize = 2_048;

pub(super) async fn handle(
    State(provider): State<Provider>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Envelope> {
    let call = caller::vercel(&provider, request, Some(&path), Rule::Admin, "upsert").await?;
    let id = call.installation()?;
    let command: UpsertInstallation = body::parse(&call.body)?;
    check(&command)?;
    Ok(command::answer(&provider, Call::of_vercel(&call)?, &Upsert { id, command }).await?)
}

struct Upsert<'a> {
    id: &'a InstallationId,
    command: UpsertInstallation,
}

#[async_trait]
impl Command for Upsert<'_> {
    type State = Option<Stored<Installation>>;
    type Owes = Nothing;

    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError> {
        Ok(provider.store.get::<Installation>(&Installation::key_of(self.id)).await?)
    }

    async fn judge(&self, provider: &Provider, stored: Self::State) -> Result<Judged<Nothing>, ApiError> {
        let write = match stored {
            None => {
                let now = provider.clock.now();
                open_shard(provider, self.id, now).await?;
                Write::create(&create(provider, self.id, &self.command, now).await?)?
            }
            Some(stored) if !stored.is_active() => {
                return Err(ApiError::conflict("the installation was uninstalled; a new one has a new id"));
            }
            Some(mut stored) => {
                refresh(provider, &mut stored.item, &self.command).await?;
                Write::replace(&stored.item, stored.version)?
            }
        };
        Ok(Judged::Change(Change::answered(Answer::empty(StatusCode::NO_CONTENT)).writing([write])))
    }
}

/// What is kept of the command, in sizes that can be.
fn check(command: &UpsertInstallation) -> Result<(), ApiError> {
    let length = command.credentials.access_token.expose_secret().len();
    if length == 0 || length > TOKEN_BYTES_MAX {
        return Err(ApiError::invalid(format!("credentials.access_token must have 1 to {TOKEN_BYTES_MAX} bytes")));
    }
    let policies = &command.accepted_policies;
    if policies.len() > POLICIES_MAX || policies.keys().any(|policy| policy.len() > POLICY_BYTES_MAX) {
        let text = format!("acceptedPolicies are at most {POLICIES_MAX}, named in at most {POLICY_BYTES_MAX} bytes");
        return Err(ApiError::invalid(text));
    }
    if command.account.as_ref().is_some_and(|account| account.url.len() > ACCOUNT_URL_BYTES_MAX) {
        return Err(ApiError::invalid(format!("account.url has at most {ACCOUNT_URL_BYTES_MAX} bytes")));
    }
    Ok(())
}

async fn create(
    provider: &Provider,
    id: &InstallationId,
    command: &UpsertInstallation,
    now: Timestamp,
) -> Result<Installation, ApiError> {
    let period_kind = provider.catalog()?.period_kind();
    // Times go to Vercel with milliseconds: what we compute with must be what it sees.
    let now = now.round(Unit::Millisecond)?;
    let natural = Schedule::new(period_kind, now).containing(now);
    let token = &command.credentials.access_token;
    Ok(Installation {
        id: id.clone(),
        status: InstallationStatus::Active,
        installed_at: now,
        account_url: command.account.as_ref().map(|account| account.url.clone()),
        token: provider.keys()?.seal(id.as_str(), TOKEN_FIELD, token).await?,
        token_digest: keys::digest_of(&[token.expose_secret().as_bytes()]),
        retired_tokens: Vec::new(),
        policies: policies(command),
        plan: None,
        notification: None,
        period_kind,
        period_start: natural.start.max(now),
        period_end: natural.end,
        closing: None,
        closing_for: None,
        resources_kept: 0,
        closed_periods: Vec::new(),
        invoice_next: 1,
        carried: Vec::new(),
        uninstalled_at: None,
        unbilled: Vec::new(),
        resources_live: 0,
        gone_since: None,
    })
}

fn policies(command: &UpsertInstallation) -> std::collections::BTreeMap<String, String> {
    command.accepted_policies.iter().map(|(policy, at)| (policy.clone(), at.to_string())).collect()
}

async fn refresh(
    provider: &Provider,
    installation: &mut Installation,
    command: &UpsertInstallation,
) -> Result<(), ApiError> {
    installation.policies = policies(command);
    // It calls about it, so it has it.
    installation.gone_since = None;
    if let Some(account) = &command.account {
        installation.account_url = Some(account.url.clone());
    }
    let token = &command.credentials.access_token;
    let digest = keys::digest_of(&[token.expose_secret().as_bytes()]);
    if digest == installation.token_digest || installation.retired_tokens.contains(&digest) {
        return Ok(());
    }
    let retired = std::mem::replace(&mut installation.token_digest, digest);
    installation.retired_tokens.push(retired);
    let extra = installation.retired_tokens.len().saturating_sub(RETIRED_TOKENS_MAX);
    installation.retired_tokens.drain(..extra);
    installation.token = provider.keys()?.seal(installation.id.as_str(), TOKEN_FIELD, token).await?;
    Ok(())
}

/// Makes the checkpoint of a shard that gets its first installation: from then on the hourly push finds it.
async fn open_shard(provider: &Provider, id: &InstallationId, now: Timestamp) -> Result<(), ApiError> {
    let shard = keys::shard_of(id);
    if provider.store.get::<ShardCheckpoint>(&ShardCheckpoint::key_of(shard)).await?.is_some() {
        return Ok(());
    }
    let hour = period::hour_of(now);
    let checkpoint =
        ShardCheckpoint { shard, hour, served_at: now, failing_since: None, serving: None, lease_until: None };
    // Losing this race is as good as winning it.
    committed(provider, vec![Write::create(&checkpoint)?]).await.map(|_| ())
}
