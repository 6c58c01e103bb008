//! Giving an answer, the first time or again: secrets are added here and nowhere else.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tradepost_marketplace::ids::InstallationId;
use tradepost_marketplace::wire::Exposed;

use super::error::ApiError;
use crate::flows::secrets;
use crate::idempotency::Answer;
use crate::provider::Provider;

/// Turns an answer into a response.
pub async fn respond(provider: &Provider, installation: &InstallationId, answer: Answer) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
    let Some(mut body) = answer.body else { return Ok(status.into_response()) };
    if let Some(resource) = &answer.secrets_of {
        let held = secrets::held(provider, installation, resource).await?;
        let held = held.ok_or_else(|| ApiError::conflict("the resource was deleted since"))?;
        let text = serde_json::to_string(&Exposed(&held)).map_err(ApiError::internal)?;
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&body).map_err(ApiError::internal)?;
        fields.insert("secrets".to_owned(), RawValue::from_string(text).map_err(ApiError::internal)?);
        body = serde_json::to_string(&fields).map_err(ApiError::internal)?;
    }
    let kind = if answer.is_problem { "application/problem+json" } else { "application/json" };
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
