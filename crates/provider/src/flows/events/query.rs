//! `POST /partner/effects/query`: what became of effects, and what waits.

use axum::Json;
use axum::extract::{Request, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::InstallationId;

use crate::caller;
use crate::edge::body::BODY_BYTES_MAX;
use crate::edge::error::{ApiError, Problem};
use crate::effects::Effect;
use crate::outbox::{Lane, Owed, Reason, parse_effect_id};
use crate::provider::Provider;
use crate::signing::Scope;
use crate::state::keys;

/// The most effects of one query.
const IDS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Query {
    #[serde(default)]
    effect_ids: Vec<String>,
    /// Whether everything that waits or is dead is asked for.
    #[serde(default)]
    waiting: bool,
}

/// What became of one.
#[derive(Debug, Serialize)]
pub(super) struct Fate {
    id: String,
    /// `pending`, `delivered`, `superseded` by a newer one that says the same of newer state, `dead`, `abandoned`
    /// by a partner system, or `unknown`.
    status: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl Fate {
    fn of(id: String, status: &'static str, effect: Option<Effect>) -> Self {
        let attempts = effect.as_ref().map_or(0, |effect| effect.attempts);
        let kind = effect.as_ref().map(|effect| effect.what.name());
        let since = effect.as_ref().map(|effect| effect.created_at);
        Self { id, status, attempts, reason: effect.and_then(|effect| effect.last_failure), kind, since }
    }
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
                Fate::of(id, status, effect)
            }
            None => Fate::of(id, "unknown", None),
        });
    }
    let mut answer = serde_json::json!({ "effects": fates });
    if query.waiting {
        answer["waiting"] = serde_json::json!(waiting(&provider, &call.installation).await?);
    }
    Ok(Json(answer))
}

/// What waits in an installation's lanes or is dead, at most [`IDS_MAX`] of each: what waits is in the order of the
/// lanes, so the first of money is what all behind it waits for.
async fn waiting(provider: &Provider, id: &InstallationId) -> Result<Vec<Fate>, ApiError> {
    let mut all = Vec::new();
    for prefix in [keys::EFFECTS, keys::APART] {
        for raw in provider.store.query_after(&keys::collection(id), prefix, None, IDS_MAX).await? {
            let effect = raw.decode::<Effect>()?.item;
            if !effect.abandoned {
                all.push(Fate::of(effect.id(), status_of(&effect), Some(effect)));
            }
        }
    }
    Ok(all)
}

fn status_of(effect: &Effect) -> &'static str {
    match effect {
        Effect { abandoned: true, .. } => "abandoned",
        Effect { dead: true, .. } => "dead",
        _ => "pending",
    }
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
                return Ok((status_of(&effect), Some(effect)));
            }
            Some(effect) if effect.sequence > sequence => return Ok(("superseded", None)),
            _ => {}
        }
    }
    let counted = provider.store.get::<Lane>(&lane.key()).await?;
    let known = counted.is_some_and(|lane| lane.sequence >= sequence);
    Ok((if known { "delivered" } else { "unknown" }, None))
}
