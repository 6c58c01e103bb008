//! The one loop of every call: try, classify, wait, until it is decided.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::ClientError;
use super::refusal::{classify, vercel_id};
use super::retry::RetryClass;
use super::{Call, Client, TRY_TIMEOUT};
use crate::http_door::HttpError;

/// One operation, ready to be tried.
pub(super) struct Operation<'a> {
    /// Its name in logs.
    pub(super) name: &'static str,
    pub(super) class: RetryClass,
    /// Whether body or answer hold secrets, so that no text of Vercel's about them is kept.
    pub(super) secretive: bool,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) token: Option<&'a SecretString>,
    pub(super) installation: Option<&'a str>,
    pub(super) body: Option<Bytes>,
    pub(super) deadline: Timestamp,
}

impl<'a> Operation<'a> {
    /// An operation on an installation: `/v1/installations/{id}/…`.
    pub(super) fn new(
        client: &Client,
        call: &Call<'a>,
        name: &'static str,
        class: RetryClass,
        method: Method,
        path: &[&str],
    ) -> Self {
        let installation = call.installation.as_str();
        let segments = ["v1", "installations", installation].into_iter().chain(path.iter().copied());
        Self {
            name,
            class,
            secretive: false,
            method,
            url: client.base.join(segments),
            token: Some(call.token),
            installation: Some(installation),
            body: None,
            deadline: call.deadline,
        }
    }

    /// With a JSON body.
    pub(super) fn with_body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Unwritable(error.to_string()))?;
        Ok(Self { body: Some(Bytes::from(body)), ..self })
    }

    /// With secrets in body or answer.
    pub(super) fn secretive(self) -> Self {
        Self { secretive: true, ..self }
    }

    fn request(&self) -> Result<Request<Bytes>, ClientError> {
        let unwritable = |what: &str| ClientError::Unwritable(what.to_owned());
        let mut request = Request::builder()
            .method(&self.method)
            .uri(self.url.as_str())
            .header(ACCEPT, "application/json")
            .body(self.body.clone().unwrap_or_default())
            .map_err(|_| unwritable("the address is not one"))?;
        let headers = request.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = self.token {
            let bearer = format!("Bearer {}", token.expose_secret());
            let mut bearer = HeaderValue::try_from(bearer).map_err(|_| unwritable("the token is not one"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }
}

impl Client {
    /// Carries the operation out and drops the answer's body.
    pub(super) async fn send(&self, operation: Operation<'_>) -> Result<(), ClientError> {
        self.carry_out(&operation).await.map(drop)
    }

    /// Carries the operation out and reads the answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, operation: Operation<'_>) -> Result<T, ClientError> {
        let body = self.carry_out(&operation).await?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Unreadable)
    }

    /// Tries until it is decided. A final error never claims less than what an earlier try may have done.
    async fn carry_out(&self, operation: &Operation<'_>) -> Result<Bytes, ClientError> {
        let mut unsure = false;
        for made in 1_u32.. {
            let left = self.left(operation.deadline);
            if left.is_zero() {
                return Err(if unsure { ClientError::NoAnswer } else { ClientError::Deadline });
            }
            let error = match self.try_once(operation, left.min(TRY_TIMEOUT), made).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let repeats = error.is_retryable() && (operation.class.repeats_when_unsure() || !error.maybe_done());
            let wait = repeats.then(|| self.wait(operation, made, &error)).flatten();
            let was_unsure = unsure;
            unsure |= error.maybe_done();
            let Some(wait) = wait else { return Err(conclude(operation.class, was_unsure, error)) };
            tracing::warn!(
                operation = operation.name,
                installation_id = operation.installation,
                tries = made,
                wait_milliseconds = wait.as_millis(),
                reason = error.status().map_or("no_answer", |_| "refused"),
                "call to Vercel will be tried again"
            );
            self.sleeper.sleep(wait).await;
        }
        Err(ClientError::NoAnswer)
    }

    fn wait(&self, operation: &Operation<'_>, made: u32, error: &ClientError) -> Option<Duration> {
        self.schedule.delay(made, error.retry_after(), self.entropy.draw(), self.left(operation.deadline))
    }

    /// The time to the deadline; zero once it has passed.
    fn left(&self, deadline: Timestamp) -> Duration {
        Duration::try_from(deadline.duration_since(self.lease.now())).unwrap_or_default()
    }

    async fn try_once(&self, operation: &Operation<'_>, timeout: Duration, made: u32) -> Result<Bytes, ClientError> {
        let sent = self.http.send(operation.request()?, timeout).await;
        let answer = sent.map_err(|error| match error {
            HttpError::NotSent(_) => ClientError::NotSent,
            HttpError::NoAnswer(_) => ClientError::NoAnswer,
            HttpError::TooLarge => ClientError::Unreadable,
        });
        tracing::info!(
            operation = operation.name,
            installation_id = operation.installation,
            tries = made,
            status = answer.as_ref().map_or(0, |answer| answer.status().as_u16()),
            vercel_id = answer.as_ref().ok().and_then(|answer| vercel_id(answer.headers())),
            "call to Vercel"
        );
        classify(answer?, operation.secretive, self.lease.now())
    }
}

/// The error as the caller must see it, given that an earlier try's answer was lost.
fn conclude(class: RetryClass, unsure: bool, error: ClientError) -> ClientError {
    if !unsure {
        return error;
    }
    match error {
        ClientError::NotSent | ClientError::RateLimited { .. } | ClientError::Deadline => ClientError::NoAnswer,
        ClientError::Rejected(refusal) if class.may_be_duplicate(refusal.status) => {
            ClientError::MaybeDuplicate(refusal)
        }
        other => other,
    }
}
