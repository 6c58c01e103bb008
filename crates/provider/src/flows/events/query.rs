//! `POST /partner/effects/query`: what became of effects.

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};

use crate::caller;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::outbox::{Effect, Lane, parse_effect_id};
use crate::provider::Provider;
use crate::signing::Scope;

/// The most effects of one query.
const IDS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Query {
    effect_ids: Vec<String>,
}

/// What became of one.
#[derive(Debug, Serialize)]
pub(super) struct Fate {
    id: String,
    /// `pending`, `delivered`, `superseded` by a newer one that says the same of newer state, `dead`, or
    /// `unknown`.
    status: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) async fn handle(
    State(provider): State<Provider>,
    request: Request,
) -> Result<Json<serde_json::Value>, Problem> {
    let call = caller::partner(&provider, request, &[("effects.query", Scope::Read)], BODY_BYTES_MAX).await?;
    let query: Query = call.read()?;
    if query.effect_ids.len() > IDS_MAX {
        return Err(ApiError::invalid(format!("at most {IDS_MAX} effectIds")).into());
    }
    let mut fates = Vec::new();
    for id in query.effect_ids {
        let parsed = parse_effect_id(&id).filter(|(lane, ..)| lane.installation == call.installation);
        fates.push(match parsed {
            Some((lane, place, sequence)) => {
                let (status, effect) = fate(&provider, &lane, &place, sequence).await?;
                let attempts = effect.as_ref().map_or(0, |effect| effect.attempts);
                Fate { id, status, attempts, reason: effect.and_then(|effect| effect.last_failure) }
            }
            None => Fate { id, status: "unknown", attempts: 0, reason: None },
        });
    }
    Ok(Json(serde_json::json!({ "effects": fates })))
}

async fn fate(
    provider: &Provider,
    lane: &crate::outbox::LaneName,
    place: &str,
    sequence: u64,
) -> Result<(&'static str, Option<Effect>), ApiError> {
    for apart in [false, true] {
        let stored = provider.store.get::<Effect>(&Effect::key_of(lane, place, apart)).await?;
        match stored.map(|stored| stored.item) {
            Some(effect) if effect.sequence == sequence => {
                return Ok((if effect.dead { "dead" } else { "pending" }, Some(effect)));
            }
            Some(effect) if effect.sequence > sequence => return Ok(("superseded", None)),
            _ => {}
        }
    }
    let counted = provider.store.get::<Lane>(&lane.key()).await?;
    let known = counted.is_some_and(|lane| lane.sequence >= sequence);
    Ok((if known { "delivered" } else { "unknown" }, None))
}
