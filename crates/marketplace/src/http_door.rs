//! The door to the network: one request, one answer, a size limit and a timeout.
//!
//! What matters to a caller that moves money is whether a failed call may have been carried out, so
//! [`HttpError`] says that and little else.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::InvalidHeaderValue;

/// The most bytes of an answer that are read.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request did not leave: nothing happened on the other side.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// The request left, the answer did not come: it may have been carried out.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer was longer than [`RESPONSE_BYTES_MAX`]; the request was carried out.
    #[error("the answer is longer than {RESPONSE_BYTES_MAX} bytes")]
    TooLarge,
}

/// Sends requests.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and reads the whole answer, both within `timeout`. Redirects are not followed.
    async fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError>;
}

/// A shared door.
pub type HttpDoor = Arc<dyn Http>;

/// The real network, through `reqwest` and `rustls`. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Network {
    user_agent: HeaderValue,
    /// Made for the first request: it reads the system's certificates, a hundred files on some systems, and many a
    /// process starts, answers and ends without it.
    client: Arc<OnceLock<reqwest::Client>>,
}

impl Network {
    /// A network that nothing was sent to yet. Refuses a `user_agent` that a header cannot hold.
    pub fn new(user_agent: &str) -> Result<Self, InvalidHeaderValue> {
        Ok(Self { user_agent: HeaderValue::from_str(user_agent)?, client: Arc::default() })
    }

    /// The client. It never follows redirects (they would carry the bearer token along) and keeps idle connections
    /// for less time than servers usually do.
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn client(&self) -> Result<&reqwest::Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(self.user_agent.clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(4))
            .build();
        let client = client.map_err(|error| classify(&error))?;
        Ok(self.client.get_or_init(|| client))
    }
}

fn reason(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { error.without_url_text() } else { text }
}

/// `reqwest` puts the address into its messages, and an address may carry what a log must not.
trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_text(&self) -> String {
        if self.is_timeout() { "timed out".to_owned() } else { "the connection failed".to_owned() }
    }
}

fn classify(error: &reqwest::Error) -> HttpError {
    if error.is_builder() || error.is_connect() {
        HttpError::NotSent(reason(error))
    } else {
        HttpError::NoAnswer(reason(error))
    }
}

#[async_trait]
impl Http for Network {
    async fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| classify(&error))?;
        *request.timeout_mut() = Some(timeout);
        let mut answer = self.client()?.execute(request).await.map_err(|error| classify(&error))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| classify(&error))? {
            if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = http::Response::new(body.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}
