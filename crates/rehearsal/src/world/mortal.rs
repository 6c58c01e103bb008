//! A provider that can die at any of its calls: before it is made, or after it was carried out and before the answer
//! is seen. What it was doing is dropped, as when a function is killed or frozen for good; what is left is the
//! table, Vercel and the provisioner.
//!
//! Every door to the outside leads through `Mortal::pass`, which counts. [`Mortal::arm`] chooses where to die,
//! [`Mortal::arm`] with nothing lives on. Calls that come after the death never end: the request they belong to is
//! dropped by `cut`, which answers 502 as a platform does for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::watch;
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError};
use tradepost_store::{Backend, BackendError, IndexQuery, Item, Key, Page, SliceQuery, Write};

/// On which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The call is not made.
    Before,
    /// It is carried out, and its answer not seen.
    After,
}

/// Where to die: at the n-th call from the arming on, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub call: u64,
    pub side: Side,
}

#[derive(Debug, Default)]
struct Life {
    calls: u64,
    dies_at: Option<Point>,
    is_dead: bool,
}

/// The life of the provider. Clones share it.
#[derive(Clone)]
pub struct Mortal(watch::Sender<Life>);

impl Default for Mortal {
    fn default() -> Self {
        Self(watch::Sender::new(Life::default()))
    }
}

impl Mortal {
    /// Counts from here on, alive, and dies at `point`.
    pub fn arm(&self, point: Option<Point>) {
        self.0.send_replace(Life { dies_at: point, ..Life::default() });
    }

    /// How many calls were made since the arming.
    pub fn calls(&self) -> u64 {
        self.0.borrow().calls
    }

    /// Whether it came to the point at which it was to die.
    pub fn is_dead(&self) -> bool {
        self.0.borrow().is_dead
    }

    /// Comes back when it dies.
    pub async fn died(&self) {
        let _ = self.0.subscribe().wait_for(|life| life.is_dead).await;
    }

    /// A call to the outside.
    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        let number = self.begin();
        self.come_to(number, Side::Before).await;
        let answer = call.await;
        self.come_to(number, Side::After).await;
        answer
    }

    fn begin(&self) -> u64 {
        let mut number = 0;
        self.0.send_modify(|life| {
            number = life.calls;
            life.calls += 1;
        });
        number
    }

    async fn come_to(&self, call: u64, side: Side) {
        self.0.send_if_modified(|life| {
            let dies = !life.is_dead && life.dies_at == Some(Point { call, side });
            life.is_dead |= dies;
            dies
        });
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// The network as the provider has it.
    pub fn http(&self, door: HttpDoor) -> HttpDoor {
        Arc::new(MortalHttp { door, mortal: self.clone() })
    }

    /// The store as the provider has it.
    pub fn backend(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        Arc::new(MortalBackend { backend, mortal: self.clone() })
    }

    /// Drops the requests that are being served when it dies.
    pub fn cut(&self, router: Router) -> Router {
        let mortal = self.clone();
        router.layer(middleware::from_fn(move |request: Request<Body>, next: Next| {
            let mortal = mortal.clone();
            async move {
                tokio::select! {
                    response = next.run(request) => response,
                    () = mortal.died() => StatusCode::BAD_GATEWAY.into_response(),
                }
            }
        }))
    }
}

struct MortalHttp {
    door: HttpDoor,
    mortal: Mortal,
}

#[async_trait]
impl Http for MortalHttp {
    async fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        self.mortal.pass(self.door.send(request, timeout)).await
    }
}

struct MortalBackend {
    backend: Arc<dyn Backend>,
    mortal: Mortal,
}

#[async_trait]
impl Backend for MortalBackend {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        self.mortal.pass(self.backend.get(key)).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        self.mortal.pass(self.backend.query(query)).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        self.mortal.pass(self.backend.query_index(query)).await
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        self.mortal.pass(self.backend.write(write)).await
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        self.mortal.pass(self.backend.transact(writes, token)).await
    }
}
