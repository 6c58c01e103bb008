//! The provisioner in front of the demo's: writes down every order, and fails on demand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

/// What the next order meets.
#[derive(Debug, Clone)]
pub enum Mood {
    /// It is down: nothing happens, 503.
    Down,
    /// It carries the order out, and nobody hears of it: 502.
    AnswerLost,
    /// It refuses for good: 422 with this body.
    Refuses(Value),
    /// It carries the order out, but answers this.
    Says(Value),
    /// It does nothing and answers this, with this status.
    Answers(u16, Value),
    /// It carries the order out once [`StandIn::let_go`] is called.
    Holds,
}

struct Inner {
    demo: Router,
    moods: Mutex<VecDeque<Mood>>,
    orders: Mutex<Vec<Value>>,
    held: watch::Sender<usize>,
    go: Semaphore,
    answered: AtomicUsize,
}

/// A handle on it.
#[derive(Clone)]
pub struct StandIn(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StandIn {
    pub fn before(demo: Router) -> Self {
        let (moods, orders) = (Mutex::default(), Mutex::default());
        let (held, go, answered) = (watch::Sender::new(0), Semaphore::new(0), AtomicUsize::new(0));
        Self(Arc::new(Inner { demo, moods, orders, held, go, answered }))
    }

    pub fn router(&self) -> Router {
        Router::new().fallback(take).with_state(self.clone())
    }

    /// Arms the next order's mood, behind those armed before.
    pub fn next(&self, mood: Mood) {
        lock(&self.0.moods).push_back(mood);
    }

    /// Every order that came, as it came.
    pub fn orders(&self) -> Vec<Value> {
        lock(&self.0.orders).clone()
    }

    /// How many orders of a kind came.
    pub fn count(&self, kind: &str) -> usize {
        self.orders().iter().filter(|order| order["kind"] == kind).count()
    }

    /// Comes back once `n` orders in all have been held.
    pub async fn holds(&self, n: usize) {
        self.0.held.subscribe().wait_for(|held| *held >= n).await.unwrap();
    }

    /// Lets one held order through.
    pub fn let_go(&self) {
        self.0.go.add_permits(1);
    }

    /// Fails if a mood was armed that no order met, or an order is still being carried out.
    #[track_caller]
    pub fn is_spent(&self) {
        let left = lock(&self.0.moods);
        assert!(left.is_empty(), "moods of the provisioner that no order met: {left:?}");
        assert_eq!(self.0.answered.load(Ordering::SeqCst), lock(&self.0.orders).len(), "orders, and those answered");
    }

    async fn carry_out(&self, request: Request) -> Response {
        self.0.demo.clone().oneshot(request).await.unwrap()
    }
}

fn json(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn take(State(stand_in): State<StandIn>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let order = serde_json::from_slice(&body).unwrap_or_default();
    lock(&stand_in.0.orders).push(order);
    let mood = lock(&stand_in.0.moods).pop_front();
    let request = Request::from_parts(parts, Body::from(body));
    let response = answer(&stand_in, mood, request).await;
    stand_in.0.answered.fetch_add(1, Ordering::SeqCst);
    response
}

async fn answer(stand_in: &StandIn, mood: Option<Mood>, request: Request) -> Response {
    match mood {
        None => stand_in.carry_out(request).await,
        Some(Mood::Down) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Mood::Answers(status, body)) => json(StatusCode::from_u16(status).unwrap(), &body),
        Some(Mood::Refuses(body)) => json(StatusCode::UNPROCESSABLE_ENTITY, &body),
        Some(Mood::AnswerLost) => {
            stand_in.carry_out(request).await;
            StatusCode::BAD_GATEWAY.into_response()
        }
        Some(Mood::Says(body)) => {
            stand_in.carry_out(request).await;
            json(StatusCode::OK, &body)
        }
        Some(Mood::Holds) => {
            stand_in.0.held.send_modify(|held| *held += 1);
            stand_in.0.go.acquire().await.unwrap().forget();
            stand_in.carry_out(request).await
        }
    }
}
