//! The doors, and what goes wrong at them: one over the network and one to the store for each process, one for each
//! side that calls the provider.
//!
//! | fault | at the network | at the store |
//! | --- | --- | --- |
//! | drop | never arrived | `timeout_before` |
//! | lost answer | carried out, no answer | `timeout_after` |
//! | duplicate | carried out twice | (recognised by its token: of `timeout_after`) |
//! | delay, reorder | no answer now; carried out later, after others | an index that hides or still shows items |
//! | refused | 429, 500, 503, 502 after it was carried out | throttled, conflict |

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError};
use tradepost_store::backend::IndexRange;
use tradepost_store::{Backend, BackendError, IndexQuery, Item, Key, Page, SliceQuery, Write};

use super::fate::Fate;
use super::life::{Life, Side};
use super::sabotage::Sabotage;
use super::time::Lease;
use super::{VERCEL, lock};

/// A draw out of this many is what rates are given in.
const RATE: u64 = 10_000;
/// How many entries of an index are remembered after they are gone.
const GHOSTS_MAX: usize = 16;

/// The death that a call meets, if any.
fn death(fate: &Fate, operation: &str) -> Option<Side> {
    let rate = fate.weather().crash;
    if rate == 0 {
        return None;
    }
    let drawn = fate.draw(&format!("crash {operation}"));
    let side = if (drawn >> 32).is_multiple_of(2) { Side::Before } else { Side::After };
    (drawn % RATE < rate).then(|| {
        fate.count("crashes", 1);
        fate.tell(&format!(
            "      ! {operation}: the provider dies {}",
            if side == Side::Before { "before" } else { "after" }
        ));
        side
    })
}

/// Lets others go on for a while, as drawn: that is what interleaves them.
async fn let_others(fate: &Fate, operation: &str) {
    for _ in 0..fate.draw(&format!("turn {operation}")) % 3 {
        tokio::task::yield_now().await;
    }
}

/// A request, and where it goes.
type Letter = (HttpDoor, http::Request<Bytes>);

/// Requests that arrive late.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<Mutex<Vec<Letter>>>);

impl Late {
    fn put(&self, door: &HttpDoor, request: &http::Request<Bytes>) {
        lock(&self.0).push((door.clone(), request.clone()));
    }

    /// Lets them arrive, the latest first.
    pub(super) async fn arrive(&self, fate: &Fate) {
        loop {
            let Some((door, request)) = lock(&self.0).pop() else { return };
            fate.tell(&format!("      ~ {} arrives late", operation("late", &request)));
            // Nobody waits for the answer any more.
            let _ = door.send(request, Duration::ZERO).await;
        }
    }
}

/// A door over the network.
pub(super) struct Network {
    pub(super) name: &'static str,
    pub(super) inner: HttpDoor,
    pub(super) fate: Fate,
    pub(super) lease: Option<Arc<Lease>>,
    /// Whose door it is, if the provider's.
    pub(super) life: Option<Life>,
    /// Where requests wait that arrive late; none come late without.
    pub(super) late: Option<Late>,
    pub(super) sabotage: Option<Sabotage>,
}

/// Door, method, host and path, ids left out: what a draw is named by.
fn operation(door: &str, request: &http::Request<Bytes>) -> String {
    let is_id = |part: &str| part.len() > 12 && (part.contains('_') || part.contains('.')) && !part.contains('-');
    let path = request.uri().path().split('/').map(|part| if is_id(part) { "*" } else { part });
    let path: Vec<&str> = path.collect();
    format!("{door} {} {}{}", request.method(), request.uri().host().unwrap_or_default(), path.join("/"))
}

fn answer(status: StatusCode, retry_after: bool) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    if retry_after {
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    }
    response
}

impl Network {
    /// Whether the other side is down altogether.
    fn is_down(&self, request: &http::Request<Bytes>) -> bool {
        let weather = self.fate.weather();
        let to_vercel = request.uri().host().is_some_and(|host| VERCEL.ends_with(host));
        self.life.is_some() && if to_vercel { weather.vercel_is_down } else { weather.provisioner_is_down }
    }

    /// A call that nobody answers costs its caller the time that it waits.
    fn waited(&self, timeout: Duration) {
        if let Some(lease) = &self.lease {
            lease.pass(timeout.min(Duration::from_secs(10)));
        }
    }

    fn no_answer(&self, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        self.waited(timeout);
        Err(HttpError::NoAnswer("timed out".to_owned()))
    }

    async fn meet(
        &self,
        operation: &str,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, HttpError> {
        if self.is_down(&request) {
            self.fate.fault(operation, "down");
            return Err(HttpError::NotSent("connection refused".to_owned()));
        }
        let rate = self.fate.weather().network;
        let drawn = if rate == 0 { RATE } else { self.fate.draw(operation) };
        if drawn % RATE >= rate {
            return self.carry(request, timeout).await;
        }
        let fault = |what: &str| self.fate.fault(operation, what);
        match (drawn >> 32) % 9 {
            0 => {
                fault("drop");
                Err(HttpError::NotSent("connection refused".to_owned()))
            }
            1 | 2 => {
                fault("lost answer");
                let _ = self.carry(request, timeout).await;
                self.no_answer(timeout)
            }
            3 => {
                fault("duplicate");
                let first = self.carry(request.clone(), timeout).await;
                let _ = self.carry(request, timeout).await;
                first
            }
            4 if self.late.is_some() => {
                fault("delay");
                if let Some(late) = &self.late {
                    late.put(&self.inner, &request);
                }
                self.no_answer(timeout)
            }
            5 => {
                fault("429");
                Ok(answer(StatusCode::TOO_MANY_REQUESTS, true))
            }
            6 => {
                fault("500");
                Ok(answer(StatusCode::INTERNAL_SERVER_ERROR, false))
            }
            7 => {
                fault("503");
                Ok(answer(StatusCode::SERVICE_UNAVAILABLE, false))
            }
            _ => {
                fault("502 after");
                let _ = self.carry(request, timeout).await;
                Ok(answer(StatusCode::BAD_GATEWAY, false))
            }
        }
    }

    async fn carry(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, HttpError> {
        match self.sabotage {
            Some(sabotage) => sabotage.carry(&self.inner, request, timeout).await,
            None => self.inner.send(request, timeout).await,
        }
    }
}

#[async_trait]
impl Http for Network {
    async fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let operation = operation(self.name, &request);
        let call = self.meet(&operation, request, timeout);
        match &self.life {
            None => call.await,
            Some(life) => {
                let_others(&self.fate, &operation).await;
                life.pass(death(&self.fate, &operation), call).await
            }
        }
    }
}

/// Entries that an index has shown, by the part of it that was asked.
pub(super) type Ghosts = Arc<Mutex<Vec<(String, Item)>>>;

/// The door to the store.
pub(super) struct Table {
    pub(super) inner: Arc<dyn Backend>,
    pub(super) fate: Fate,
    pub(super) lease: Arc<Lease>,
    pub(super) life: Life,
    /// What an index has shown and does not any more, with the part of it where it was.
    pub(super) ghosts: Ghosts,
    pub(super) sabotage: Option<Sabotage>,
}

impl Table {
    /// A call, or how it fails. The fault's place is drawn once for all its kinds.
    async fn meet<T: Send>(
        &self,
        operation: &str,
        writes: bool,
        call: impl Future<Output = Result<T, BackendError>> + Send,
    ) -> Result<T, BackendError> {
        let_others(&self.fate, operation).await;
        let faulty = async {
            let rate = self.fate.weather().store;
            let drawn = if rate == 0 { RATE } else { self.fate.draw(operation) };
            if drawn % RATE >= rate {
                return call.await;
            }
            let fault = |what: &str| self.fate.fault(operation, what);
            match ((drawn >> 32) % 4, writes) {
                (0, _) => {
                    fault("throttled");
                    Err(BackendError::Throttled)
                }
                (1, true) => {
                    fault("conflict");
                    Err(BackendError::Conflict)
                }
                (2, true) => {
                    fault("timeout after");
                    // A refusal has no answer to lose.
                    call.await?;
                    self.lease.pass(Duration::from_secs(5));
                    Err(BackendError::Timeout { maybe_done: true })
                }
                _ => {
                    fault("timeout before");
                    self.lease.pass(Duration::from_secs(5));
                    Err(BackendError::Timeout { maybe_done: writes })
                }
            }
        };
        self.life.pass(death(&self.fate, operation), faulty).await
    }

    /// An index that has not caught up: it hides some entries, or still shows some that are gone.
    fn stale(&self, range: &IndexRange, mut page: Page) -> Page {
        let part = match range {
            IndexRange::Due { work, .. } => work,
            IndexRange::Shard { shard, .. } => shard,
        };
        let rate = self.fate.weather().store;
        let mut ghosts = lock(&self.ghosts);
        let gone = ghosts.iter().filter(|(at, ghost)| at == part && !page.items.contains(ghost));
        let gone: Vec<Item> = gone.map(|(_, ghost)| ghost.clone()).collect();
        ghosts.extend(page.items.iter().map(|item| (part.clone(), item.clone())));
        let excess = ghosts.len().saturating_sub(GHOSTS_MAX);
        ghosts.drain(..excess);
        let drawn = if rate == 0 { RATE } else { self.fate.draw("store stale index") };
        if drawn % RATE >= rate * 2 {
            return page;
        }
        let hidden = usize::try_from(drawn >> 40).unwrap_or(0);
        let shows = page.items.len();
        if shows > 0 && (drawn >> 33).is_multiple_of(2) {
            page.items.remove(hidden % shows);
            self.fate.fault("store index", "hides");
        } else if page.next.is_none()
            && let Some(ghost) = gone.get(hidden % gone.len().max(1))
        {
            page.items.push(ghost.clone());
            self.fate.fault("store index", "still shows");
        }
        page
    }
}

#[async_trait]
impl Backend for Table {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        self.meet("store get", false, self.inner.get(key)).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        self.meet("store query", false, self.inner.query(query)).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        let page = self.meet("store index", false, self.inner.query_index(query)).await?;
        let page = self.stale(&query.range, page);
        Ok(self.sabotage.map_or(page.clone(), |sabotage| sabotage.index(page)))
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        if self.sabotage.is_some_and(|sabotage| sabotage.loses(std::slice::from_ref(write))) {
            return Ok(());
        }
        self.meet("store write", true, self.inner.write(write)).await
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        if self.sabotage.is_some_and(|sabotage| sabotage.loses(writes)) {
            return Ok(());
        }
        self.meet("store transact", true, self.inner.transact(writes, token)).await
    }
}
