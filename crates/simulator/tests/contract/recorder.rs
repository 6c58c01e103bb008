//! A network that holds every call of the client and every answer of the simulator against Vercel's document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tradepost_marketplace::http_door::{Http, HttpError, Network};

use crate::schema::Document;

/// What was seen of one operation.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The statuses of its answers.
    pub(crate) statuses: BTreeSet<u16>,
    /// The members of its requests, at the top level.
    pub(crate) members: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    seen: BTreeMap<usize, Seen>,
    faults: Vec<String>,
}

pub(crate) struct Recorder {
    network: Network,
    pub(crate) document: Document,
    state: Mutex<State>,
}

impl Recorder {
    pub(crate) fn new(document: Document) -> Self {
        Self { network: Network::new("contract").unwrap(), document, state: Mutex::default() }
    }

    /// What was wrong since the last time.
    pub(crate) fn faults(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).faults)
    }

    /// What was seen of an operation.
    pub(crate) fn seen<T>(&self, operation: usize, read: impl FnOnce(&Seen) -> T) -> Option<T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.get(&operation).map(read)
    }

    fn note(&self, operation: usize, body: &[u8], status: u16, faults: Vec<String>) {
        let name = self.document.operations[operation].name();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.faults.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
        let seen = state.seen.entry(operation).or_default();
        seen.statuses.insert(status);
        if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
            seen.members.extend(members.into_iter().map(|(name, _)| name));
        }
    }
}

#[async_trait]
impl Http for Recorder {
    async fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        let operation = self.document.find(&method, &path).unwrap_or_else(|| panic!("no operation is {method} {path}"));
        let described = &self.document.operations[operation];
        let body = request.body().clone();
        let mut faults = described.request_faults(&body);
        if !body.is_empty() && request.headers().get("content-type").is_none_or(|kind| kind != "application/json") {
            faults.push("the body has no content type".to_owned());
        }
        let answer = self.network.send(request, timeout).await?;
        let status = answer.status().as_u16();
        let said = described.answer_faults(status, answer.body()).into_iter();
        faults
            .extend(said.map(|fault| format!("answer {status}: {fault}: {}", String::from_utf8_lossy(answer.body()))));
        self.note(operation, &body, status, faults);
        Ok(answer)
    }
}
