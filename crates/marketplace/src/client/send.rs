//! The one loop of every call: try, classify, wait, until it is decided.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::ClientError;
use super::operations::OperationInfo;
use super::refusal::{classify, vercel_id};
use super::retry::{Next, next};
use super::{Call, Client, TRY_TIMEOUT};
use crate::doors::LeaseTime;
use crate::http_door::HttpError;

/// One operation, ready to be tried.
pub(super) struct Operation<'a> {
    info: &'static OperationInfo,
    /// Whether body or answer hold secrets, so that no text of Vercel's about them is kept.
    is_secretive: bool,
    url: Url,
    token: Option<&'a SecretString>,
    installation: Option<&'a str>,
    /// The condition of a conditional request.
    condition: Option<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    deadline: LeaseTime,
}

fn unwritable(what: &str) -> ClientError {
    ClientError::Unwritable(what.to_owned())
}

impl<'a> Operation<'a> {
    /// An operation on an installation; `parameters` are those of the path, but for the installation, in order.
    pub(super) fn on(
        client: &Client,
        call: &Call<'a>,
        info: &'static OperationInfo,
        parameters: &[&str],
    ) -> Result<Self, ClientError> {
        let installation = call.installation.as_str();
        let operation = Self::anonymous(client, call.deadline, info, Some(installation), parameters)?;
        Ok(Self { token: Some(call.token), installation: Some(installation), ..operation })
    }

    /// An operation without a bearer.
    pub(super) fn anonymous(
        client: &Client,
        deadline: LeaseTime,
        info: &'static OperationInfo,
        installation: Option<&str>,
        parameters: &[&str],
    ) -> Result<Self, ClientError> {
        let segments = info.segments(installation, parameters).ok_or_else(|| unwritable("the path is not filled"))?;
        let url = client.base.join(segments);
        let (token, installation, condition, body) = (None, None, None, None);
        Ok(Self { info, is_secretive: false, url, token, installation, condition, body, deadline })
    }

    /// With a JSON body.
    pub(super) fn with_body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Unwritable(error.to_string()))?;
        Ok(Self { body: Some(Bytes::from(body)), ..self })
    }

    /// With secrets in body or answer.
    pub(super) fn secretive(self) -> Self {
        Self { is_secretive: true, ..self }
    }

    /// With a condition, if there is one: a header and an entity tag.
    pub(super) fn on_condition(self, header: HeaderName, tag: Option<String>) -> Result<Self, ClientError> {
        let tag = tag.map(HeaderValue::try_from).transpose().map_err(|_| unwritable("the digest is not one"))?;
        Ok(Self { condition: tag.map(|tag| (header, tag)), ..self })
    }

    fn request(&self) -> Result<Request<Bytes>, ClientError> {
        let mut request = Request::builder()
            .method(&self.info.method)
            .uri(self.url.as_str())
            .header(ACCEPT, "application/json")
            .body(self.body.clone().unwrap_or_default())
            .map_err(|_| unwritable("the address is not one"))?;
        let headers = request.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some((header, tag)) = &self.condition {
            headers.insert(header.clone(), tag.clone());
        }
        if let Some(token) = self.token {
            let bearer = format!("Bearer {}", token.expose_secret());
            let mut bearer = HeaderValue::try_from(bearer).map_err(|_| unwritable("the token is not one"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    /// Whether this status is what the operation asked for: 304, where it is conditional.
    fn expects(&self, status: StatusCode) -> bool {
        status == StatusCode::NOT_MODIFIED && self.condition.is_some()
    }
}

/// Reads an answer's body.
pub(super) fn read<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, ClientError> {
    serde_json::from_slice(answer.body()).map_err(|_| ClientError::Unreadable)
}

impl Client {
    /// Carries the operation out and drops the answer's body.
    pub(super) async fn send(&self, operation: Operation<'_>) -> Result<(), ClientError> {
        self.carry_out(&operation).await.map(drop)
    }

    /// Carries the operation out and reads the answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, operation: Operation<'_>) -> Result<T, ClientError> {
        read(&self.carry_out(&operation).await?)
    }

    /// Tries until it is decided. A final error never claims less than what an earlier try may have done.
    pub(super) async fn carry_out(&self, operation: &Operation<'_>) -> Result<Response<Bytes>, ClientError> {
        let class = operation.info.class;
        let mut unsure = false;
        for made in 1_u32.. {
            let left = self.left(operation.deadline);
            if left.is_zero() {
                return Err(if unsure { ClientError::NoAnswer } else { ClientError::Deadline });
            }
            let error = match self.try_once(operation, left.min(TRY_TIMEOUT), made).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let maybe_done = error.maybe_done();
            let reason = if error.status().is_some() { "refused" } else { "no_answer" };
            let left = self.left(operation.deadline);
            let wait = match next(&self.schedule, class, made, unsure, error, || self.entropy.draw(), left) {
                Next::Again(wait) => wait,
                Next::End(error) => return Err(error),
            };
            unsure |= maybe_done;
            tracing::warn!(
                operation = operation.info.name,
                installation_id = operation.installation,
                tries = made,
                wait_milliseconds = wait.as_millis(),
                reason,
                "call to Vercel will be tried again"
            );
            self.sleeper.sleep(wait).await;
        }
        Err(ClientError::NoAnswer)
    }

    /// The time to the deadline; zero once it has passed.
    fn left(&self, deadline: LeaseTime) -> Duration {
        Duration::try_from(deadline.since(self.lease.now())).unwrap_or_default()
    }

    async fn try_once(
        &self,
        operation: &Operation<'_>,
        timeout: Duration,
        made: u32,
    ) -> Result<Response<Bytes>, ClientError> {
        let sent = self.http.send(operation.request()?, timeout).await;
        let answer = sent.map_err(|error| match error {
            HttpError::NotSent(_) => ClientError::NotSent,
            HttpError::NoAnswer(_) => ClientError::NoAnswer,
            HttpError::TooLarge => ClientError::Unreadable,
        });
        tracing::info!(
            operation = operation.info.name,
            installation_id = operation.installation,
            tries = made,
            status = answer.as_ref().map_or(0, |answer| answer.status().as_u16()),
            vercel_id = answer.as_ref().ok().and_then(|answer| vercel_id(answer.headers())),
            "call to Vercel"
        );
        let answer = answer?;
        if operation.expects(answer.status()) {
            return Ok(answer);
        }
        let is_head = operation.info.method == Method::HEAD;
        classify(answer, operation.is_secretive, is_head, self.lease.now().instant())
    }
}
