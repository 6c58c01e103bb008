//! Guards, versions, transactions.

use std::sync::Arc;

use tradepost_store::{CommitError, Guard, Write};

use crate::{Task, bench, key, task};

fn failed(indexes: &[usize]) -> Result<(), CommitError> {
    Err(CommitError::Condition { failed: indexes.to_vec() })
}

#[tokio::test]
async fn versions_go_up_by_one_and_guard_every_write() {
    let bench = bench().await;
    let store = &bench.store;
    let mut item = task("p", "s");
    store.commit(vec![Write::create(&item).unwrap()]).await.unwrap();
    assert_eq!(store.commit(vec![Write::create(&item).unwrap()]).await, failed(&[0]));

    item.text = "second".to_owned();
    assert_eq!(store.commit(vec![Write::replace(&item, 2).unwrap()]).await, failed(&[0]));
    store.commit(vec![Write::replace(&item, 1).unwrap()]).await.unwrap();
    assert_eq!(store.commit(vec![Write::replace(&item, 1).unwrap()]).await, failed(&[0]));
    let stored = store.get::<Task>(&key("p", "s")).await.unwrap().unwrap();
    assert_eq!((stored.version, &stored.item, stored.text.as_str()), (2, &item, "second"));

    store.commit(vec![Write::overwrite(&item, 9).unwrap()]).await.unwrap();
    assert_eq!(store.get::<Task>(&key("p", "s")).await.unwrap().unwrap().version, 9);

    assert_eq!(store.commit(vec![Write::delete(key("p", "s"), 8)]).await, failed(&[0]));
    store.commit(vec![Write::delete(key("p", "s"), 9)]).await.unwrap();
    assert_eq!(store.commit(vec![Write::delete(key("p", "s"), 9)]).await, failed(&[0]));
    store.commit(vec![Write::delete_any(key("p", "s"))]).await.unwrap();
    assert_eq!(store.get::<Task>(&key("p", "s")).await.unwrap(), None);
    assert_eq!(store.commit(vec![Write::replace(&item, 0).unwrap()]).await, failed(&[0]), "a replace never creates");
}

#[tokio::test]
async fn checks_write_nothing_and_stand_alone_too() {
    let bench = bench().await;
    let store = &bench.store;
    store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await.unwrap();
    let committed = bench.faulty.committed();
    store.commit(vec![Write::check(key("p", "s"), 1)]).await.unwrap();
    store.commit(vec![Write::check_absent(key("p", "none"))]).await.unwrap();
    assert_eq!(store.commit(vec![Write::check(key("p", "s"), 2)]).await, failed(&[0]));
    assert_eq!(store.commit(vec![Write::check(key("p", "none"), 1)]).await, failed(&[0]));
    assert_eq!(store.commit(vec![Write::check_absent(key("p", "s"))]).await, failed(&[0]));
    store.commit(Vec::new()).await.unwrap();
    assert_eq!(bench.faulty.committed(), committed);
}

#[tokio::test]
async fn a_transaction_names_every_guard_that_failed_and_writes_nothing() {
    let bench = bench().await;
    let store = &bench.store;
    store.commit(vec![Write::create(&task("p", "1")).unwrap(), Write::create(&task("q", "2")).unwrap()]).await.unwrap();
    assert_eq!(bench.faulty.committed(), 1);
    let writes = vec![
        Write::create(&task("p", "new")).unwrap(),
        Write::create(&task("p", "1")).unwrap(),
        Write::replace(&task("q", "2"), 1).unwrap(),
        Write::delete(key("p", "none"), 1),
        Write::check(key("p", "absent"), 1),
        Write::check_absent(key("r", "absent")),
    ];
    assert_eq!(store.commit(writes).await, failed(&[1, 3, 4]));
    assert_eq!(store.get::<Task>(&key("p", "new")).await.unwrap(), None);
    assert_eq!(store.get::<Task>(&key("q", "2")).await.unwrap().unwrap().version, 1);

    let writes = vec![
        Write::create(&task("p", "new")).unwrap(),
        Write::replace(&task("q", "2"), 1).unwrap(),
        Write::delete(key("p", "1"), 1),
        Write::check_absent(key("r", "absent")),
    ];
    store.commit(writes).await.unwrap();
    assert_eq!(store.get::<Task>(&key("p", "1")).await.unwrap(), None);
    assert_eq!(store.get::<Task>(&key("q", "2")).await.unwrap().unwrap().version, 2);
    assert_eq!(bench.faulty.committed(), 2);
}

#[tokio::test]
async fn the_same_transaction_after_a_delete_happens_again() {
    // With a request token of the content alone, DynamoDB would answer the second create from memory.
    let bench = bench().await;
    let pair = || vec![Write::create(&task("p", "1")).unwrap(), Write::create(&task("p", "2")).unwrap()];
    bench.store.commit(pair()).await.unwrap();
    assert_eq!(bench.store.commit(pair()).await, failed(&[0, 1]));
    bench.store.commit(vec![Write::delete(key("p", "1"), 1), Write::delete(key("p", "2"), 1)]).await.unwrap();
    bench.store.commit(pair()).await.unwrap();
    assert!(bench.store.get::<Task>(&key("p", "2")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_under_contention() {
    const WORKERS: u64 = 4;
    const ROUNDS: u64 = 15;
    let bench = bench().await;
    let store = Arc::new(bench.store.clone());
    store.commit(vec![Write::create(&task("p", "counter")).unwrap()]).await.unwrap();
    let work = |store: Arc<tradepost_store::Store>, worker: u64| async move {
        for round in 0..ROUNDS {
            loop {
                let mut counter = store.get::<Task>(&key("p", "counter")).await.unwrap().unwrap();
                counter.item.v += 1;
                let mut writes = vec![Write::replace(&counter.item, counter.version).unwrap()];
                if worker.is_multiple_of(2) {
                    writes.push(Write::create(&task("p", &format!("{worker}-{round}"))).unwrap());
                }
                match store.commit(writes).await {
                    Ok(()) => break,
                    Err(CommitError::Condition { failed }) => assert_eq!(failed, [0]),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    let workers: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(work(store.clone(), worker))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let counter = store.get::<Task>(&key("p", "counter")).await.unwrap().unwrap();
    assert_eq!((counter.v, counter.version), (WORKERS * ROUNDS, WORKERS * ROUNDS + 1));
    assert_eq!(bench.faulty.committed(), 1 + WORKERS * ROUNDS);
}

#[test]
fn a_write_shows_no_data() {
    let mut secretive = task("p", "s");
    secretive.text = "hush".to_owned();
    let write = Write::replace(&secretive, 3).unwrap();
    assert_eq!(format!("{write:?}"), "Write(put p / s, Version(3))");
    assert_eq!((write.guard(), write.key(), write.is_change()), (Guard::Version(3), &key("p", "s"), true));
}
