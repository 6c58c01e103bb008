//! The store against the embedded emulator, over a real socket.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that cannot go on fails")]

mod commits;
mod formats;
mod indexes;
mod limits;
mod lost_answers;
mod on_a_file;
mod reads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tradepost_marketplace::doors::{Entropy, Sleeper};
use tradepost_store::{Backend, Due, DynamoBackend, Embedded, FaultPlan, Faulty, Key, Record, Shard, Store, Where};

/// A record that has every feature, and fields named as our own attributes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Task {
    pk: String,
    sk: String,
    kind: String,
    text: String,
    v: u64,
    due: Option<Timestamp>,
    shard: Option<u8>,
    ttl: Option<Timestamp>,
}

impl Record for Task {
    const KIND: &'static str = "task";

    fn key(&self) -> Key {
        Key::new(&self.pk, &self.sk)
    }

    fn due(&self) -> Option<Due> {
        self.due.map(|at| Due { work: self.kind.clone(), at })
    }

    fn shard(&self) -> Option<Shard> {
        self.shard.map(Shard)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.ttl
    }
}

fn task(pk: &str, sk: &str) -> Task {
    Task { pk: pk.to_owned(), sk: sk.to_owned(), kind: "deliver".to_owned(), ..Task::default() }
}

fn key(pk: &str, sk: &str) -> Key {
    Key::new(pk, sk)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Waits no time and writes down how long it was asked to.
#[derive(Default)]
struct NoWait(Mutex<Vec<Duration>>);

impl NoWait {
    fn taken(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Sleeper for NoWait {
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(delay);
        Box::pin(async {})
    }
}

/// Counts up: the same every time.
#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for (index, byte) in buffer.iter_mut().enumerate() {
            let drawn = self.0.fetch_add(1, Ordering::SeqCst);
            *byte = u8::try_from((drawn + index as u64) % 251).unwrap();
        }
    }
}

struct Bench {
    embedded: Embedded,
    store: Store,
    faulty: Faulty,
    waits: Arc<NoWait>,
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn store_on(backend: Arc<dyn Backend>) -> (Store, Arc<NoWait>) {
    let waits = Arc::<NoWait>::default();
    (Store::new(backend, waits.clone(), Arc::<Counter>::default()), waits)
}

async fn bench() -> Bench {
    bench_at(Where::Memory).await
}

async fn bench_at(place: Where) -> Bench {
    let embedded = Embedded::start(place, listener().await).await.unwrap();
    let faulty = Faulty::new(Arc::new(DynamoBackend::new(embedded.config())), FaultPlan::default());
    let (store, waits) = store_on(Arc::new(faulty.clone()));
    Bench { embedded, store, faulty, waits }
}
