//! Answers that can be given again, and giving them: secrets are added here and nowhere else.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_marketplace::wire::Exposed;

use crate::credentials;
use crate::edge::ApiError;
use crate::provider::Provider;
use crate::state::Origin;

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as JSON text; none for an empty one.
    pub body: Option<String>,
    /// Whether the body is problem details.
    pub is_problem: bool,
    /// Whether the secrets of this resource belong into the body.
    pub secrets_of: Option<ResourceId>,
}

impl Answer {
    /// An empty answer.
    pub fn empty(status: StatusCode) -> Self {
        Self { status: status.as_u16(), body: None, is_problem: false, secrets_of: None }
    }

    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_string(body).map_err(ApiError::internal)?;
        Ok(Self { status: status.as_u16(), body: Some(body), is_problem: false, secrets_of: None })
    }

    /// A refusal, as its caller reads errors.
    pub fn refusal(error: &ApiError, origin: Origin) -> Result<Self, ApiError> {
        let is_problem = origin == Origin::Partner;
        let body = if is_problem { error.problem() } else { error.envelope() };
        Ok(Self { is_problem, ..Self::json(error.code.status(), &body)? })
    }

    /// The same answer, with the secrets of a resource to be added.
    #[must_use]
    pub fn with_secrets_of(mut self, resource: ResourceId) -> Self {
        self.secrets_of = Some(resource);
        self
    }
}

/// Turns an answer into a response.
pub async fn respond(provider: &Provider, installation: &InstallationId, answer: Answer) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
    let Some(mut body) = answer.body else { return Ok(status.into_response()) };
    if let Some(resource) = &answer.secrets_of {
        let held = credentials::held(provider, installation, resource).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_as_its_caller_reads_errors() {
        let error = ApiError::conflict("no");
        let of = |origin| {
            let answer = Answer::refusal(&error, origin).unwrap();
            let body: serde_json::Value = serde_json::from_str(answer.body.as_deref().unwrap()).unwrap();
            (answer.status, answer.is_problem, body["error"]["code"] == "conflict", body["code"] == "conflict")
        };
        assert_eq!(of(Origin::Vercel), (409, false, true, false));
        assert_eq!(of(Origin::Partner), (409, true, false, true));
    }
}
