//! A write that happened and whose answer was lost; and one that did not happen, beside a rival.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;
use tradepost_store::backend::{IndexQuery, Page, SliceQuery};
use tradepost_store::{
    Backend, BackendError, CommitError, DynamoBackend, DynamoConfig, FaultKind, FaultPlan, Faulty, Item, Key, Store,
    StoreError, Write,
};

use crate::{Bench, Task, bench, key, listener, store_on, task};

const EVERY_ANSWER_LOST: FaultPlan = FaultPlan { kind: FaultKind::TimeoutAfter, every: 1 };
const EVERY_SECOND_ANSWER_LOST: FaultPlan = FaultPlan { kind: FaultKind::TimeoutAfter, every: 2 };

fn failed(indexes: &[usize]) -> Result<(), CommitError> {
    Err(CommitError::Condition { failed: indexes.to_vec() })
}

#[tokio::test]
async fn a_lost_put_and_a_lost_delete_are_recognised_by_the_item() {
    let bench = bench().await;
    bench.faulty.set_plan(EVERY_ANSWER_LOST);
    let store = &bench.store;
    store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await.unwrap();
    store.commit(vec![Write::replace(&task("p", "s"), 1).unwrap()]).await.unwrap();
    assert_eq!(store.get::<Task>(&key("p", "s")).await.unwrap().unwrap().version, 2);
    // A guard that never held is not taken for a lost answer.
    assert_eq!(store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await, failed(&[0]));
    assert_eq!(store.commit(vec![Write::delete(key("p", "s"), 1)]).await, failed(&[0]));
    store.commit(vec![Write::delete(key("p", "s"), 2)]).await.unwrap();
    assert_eq!(store.get::<Task>(&key("p", "s")).await.unwrap(), None);
    assert_eq!((bench.faulty.committed(), bench.faulty.injected()), (3, 3));
}

#[tokio::test]
async fn a_lost_transaction_is_recognised_by_its_token() {
    let bench = bench().await;
    bench.faulty.set_plan(EVERY_SECOND_ANSWER_LOST);
    for pair in 0..3 {
        let writes = (0..2).map(|n| Write::create(&task("p", &format!("{pair}{n}"))).unwrap()).collect();
        bench.store.commit(writes).await.unwrap();
    }
    assert_eq!((bench.faulty.committed(), bench.faulty.injected()), (3, 2));
    let raced = vec![Write::create(&task("p", "00")).unwrap(), Write::create(&task("p", "new")).unwrap()];
    assert_eq!(bench.store.commit(raced).await, failed(&[0]));
}

#[tokio::test]
async fn when_every_answer_is_lost_the_caller_learns_that_it_may_have_happened() {
    let bench = bench().await;
    bench.faulty.set_plan(EVERY_ANSWER_LOST);
    let writes = vec![Write::create(&task("p", "1")).unwrap(), Write::create(&task("p", "2")).unwrap()];
    let error = bench.store.commit(writes).await.unwrap_err();
    assert_eq!(error, CommitError::Store(StoreError::Timeout { maybe_done: true }));
    assert_eq!((bench.store.query("p", "", 1).await.unwrap().len(), bench.faulty.committed()), (2, 1));
}

/// Once: lets the write through or not, loses the answer, and lets a rival commit before the retry.
struct Rival {
    inner: Arc<dyn Backend>,
    other: Store,
    writes: Vec<Write>,
    ours_happens: bool,
    then: Option<BackendError>,
    done: AtomicBool,
}

#[async_trait]
impl Backend for Rival {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        self.inner.get(key).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        self.inner.query(query).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        self.inner.query_index(query).await
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        if self.done.swap(true, Ordering::SeqCst) {
            return match &self.then {
                Some(error) => Err(error.clone()),
                None => self.inner.write(write).await,
            };
        }
        if self.ours_happens {
            self.inner.write(write).await?;
        }
        for write in &self.writes {
            self.other.commit(vec![write.clone()]).await.unwrap();
        }
        Err(BackendError::Timeout { maybe_done: true })
    }

    async fn transact(&self, _: &[Write], _: &str) -> Result<(), BackendError> {
        Err(BackendError::TokenMismatch)
    }
}

async fn against(
    bench: &Bench,
    ours: Write,
    ours_happens: bool,
    rival: Vec<Write>,
    then: Option<BackendError>,
) -> Result<(), CommitError> {
    let inner: Arc<dyn Backend> = Arc::new(Faulty::counting(Arc::new(DynamoBackend::new(bench.embedded.config()))));
    let rival = Rival { inner, other: bench.store.clone(), writes: rival, ours_happens, then, done: false.into() };
    // Its own entropy, or two equal creates would have equal ids.
    let store = Store::new(Arc::new(rival), bench.waits.clone(), Arc::new(tradepost_marketplace::doors::SystemEntropy));
    store.commit(vec![ours]).await
}

#[tokio::test]
async fn an_equal_create_of_a_rival_is_not_ours() {
    let bench = bench().await;
    let create = || Write::create(&task("p", "s")).unwrap();
    assert_eq!(against(&bench, create(), false, vec![create()], None).await, failed(&[0]));
}

#[tokio::test]
async fn ours_replaced_since_is_reported_as_a_failed_guard() {
    let bench = bench().await;
    let rival = vec![Write::replace(&task("p", "s"), 1).unwrap()];
    assert_eq!(against(&bench, Write::create(&task("p", "s")).unwrap(), true, rival, None).await, failed(&[0]));
    assert_eq!(bench.store.get::<Task>(&key("p", "s")).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_delete_that_a_rival_did_first_is_done() {
    let bench = bench().await;
    bench.store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await.unwrap();
    let delete = || Write::delete(key("p", "s"), 1);
    against(&bench, delete(), false, vec![delete()], None).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_outweighs_what_the_last_try_says() {
    let bench = bench().await;
    for then in [BackendError::Throttled, BackendError::Conflict, BackendError::Other("no".to_owned())] {
        let write = Write::overwrite(&task("p", "s"), 1).unwrap();
        let error = against(&bench, write, true, Vec::new(), Some(then)).await.unwrap_err();
        assert_eq!(error, CommitError::Store(StoreError::Timeout { maybe_done: true }));
    }
}

#[tokio::test]
async fn a_token_mismatch_names_every_write() {
    let bench = bench().await;
    let inner: Arc<dyn Backend> = Arc::new(bench.faulty.clone());
    let other = bench.store.clone();
    let refusing = Rival { inner, other, writes: vec![], ours_happens: true, then: None, done: false.into() };
    let (store, _) = store_on(Arc::new(refusing));
    let writes = vec![Write::check(key("p", "1"), 1), Write::check(key("p", "2"), 1)];
    assert_eq!(store.commit(writes).await, failed(&[0, 1]));
}

/// A store on a port where nothing of ours answers.
fn lonely(port: u16, config: &DynamoConfig) -> Store {
    let endpoint = Some(format!("http://127.0.0.1:{port}"));
    store_on(Arc::new(DynamoBackend::new(DynamoConfig { endpoint, ..config.clone() }))).0
}

#[tokio::test]
async fn a_refused_connection_did_nothing_and_a_broken_one_may_have() {
    let bench = bench().await;
    let config = bench.embedded.config();
    let write = || vec![Write::create(&task("p", "s")).unwrap()];

    let closed = listener().await;
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let error = lonely(port, &config).commit(write()).await.unwrap_err();
    assert_eq!(error, CommitError::Store(StoreError::Timeout { maybe_done: false }));

    let hanging_up = listener().await;
    let port = hanging_up.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = hanging_up.accept().await.unwrap();
            let mut some = [0; 64];
            let _ = socket.read(&mut some).await;
        }
    });
    let error = lonely(port, &config).commit(write()).await.unwrap_err();
    assert_eq!(error, CommitError::Store(StoreError::Timeout { maybe_done: true }));
    server.abort();
}

#[tokio::test]
async fn an_error_of_dynamodbs_own_is_told_with_its_code() {
    let bench = bench().await;
    let elsewhere = DynamoConfig { table: "elsewhere".to_owned(), ..bench.embedded.config() };
    let (store, _) = store_on(Arc::new(DynamoBackend::new(elsewhere)));
    let error = store.get::<Task>(&key("p", "s")).await.unwrap_err();
    assert!(error.to_string().starts_with("DynamoDB: ResourceNotFoundException: "), "{error}");
    assert!(!error.is_retryable());
}
