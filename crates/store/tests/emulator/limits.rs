//! Limits are known before anything is sent, and calls that fail are tried again a bounded number of times.

use tradepost_store::retry::{CONFLICT, Policy, THROTTLED, TIMEOUT};
use tradepost_store::size::{ITEM_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_WRITES_MAX};
use tradepost_store::{CommitError, FaultKind, FaultPlan, StoreError, Write};

use crate::{Bench, Task, at, bench, key, task};

fn sized(sk: &str, bytes: usize) -> Write {
    Write::create(&Task { text: "x".repeat(bytes), ..task("p", sk) }).unwrap()
}

fn too_large(result: Result<(), CommitError>) -> (&'static str, usize) {
    match result {
        Err(CommitError::Store(StoreError::TooLarge { what, size, limit })) => {
            assert!(size > limit);
            (what, limit)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_dynamodb_would_refuse_is_never_sent() {
    let bench = bench().await;
    let many = |count| (0..count).map(|n| sized(&format!("{n:03}"), 1)).collect::<Vec<_>>();
    let refused = too_large(bench.store.commit(many(TRANSACTION_WRITES_MAX + 1)).await);
    assert_eq!(refused, ("writes in a transaction", TRANSACTION_WRITES_MAX));
    let refused = too_large(bench.store.commit(vec![sized("s", ITEM_BYTES_MAX)]).await);
    assert_eq!(refused, ("bytes of an item", ITEM_BYTES_MAX));
    let eleven = (0..11).map(|n| sized(&n.to_string(), 390_000)).collect();
    assert_eq!(too_large(bench.store.commit(eleven).await), ("bytes of a transaction", TRANSACTION_BYTES_MAX));

    let twice = bench.store.commit(vec![sized("s", 1), Write::check(key("p", "s"), 1)]).await.unwrap_err();
    assert!(
        matches!(&twice, CommitError::Store(StoreError::Invalid { why }) if why.contains("p / s twice")),
        "{twice}"
    );
    let long = bench.store.commit(vec![Write::delete_any(key("p", &"s".repeat(1025)))]).await;
    assert_eq!(too_large(long), ("bytes of a sort key", 1024));
    assert!(matches!(Write::create(&task("", "s")), Err(StoreError::Invalid { .. })));
    assert!(matches!(bench.store.get::<Task>(&key("p", "")).await, Err(StoreError::Invalid { .. })));
    let unbounded = bench.store.due("deliver", at("2027-01-01T00:00:00Z"), 1_001).await;
    assert!(matches!(unbounded, Err(StoreError::Invalid { .. })));
    assert_eq!(bench.faulty.calls(), 0);
}

#[tokio::test]
async fn what_is_within_the_limits_is_taken() {
    let bench = bench().await;
    let hundred = (0..TRANSACTION_WRITES_MAX).map(|n| sized(&format!("{n:03}"), 1)).collect();
    bench.store.commit(hundred).await.unwrap();
    // The names and the other fields take less than 200 bytes.
    bench.store.commit(vec![sized("large", ITEM_BYTES_MAX - 200)]).await.unwrap();
    let ten = (0..10).map(|n| sized(&format!("ten{n}"), ITEM_BYTES_MAX - 200)).collect();
    bench.store.commit(ten).await.unwrap();
}

/// Every call of the kind fails: how many tries, how long the waits.
async fn exhausted(bench: &Bench, kind: FaultKind, policy: Policy) -> [StoreError; 3] {
    bench.faulty.set_plan(FaultPlan { kind, every: 1 });
    let mut errors = Vec::new();
    for name in ["get", "query", "due"] {
        let error = match name {
            "get" => bench.store.get::<Task>(&key("p", "s")).await.err(),
            "query" => bench.store.query("p", "", 1).await.err(),
            _ => bench.store.due("deliver", at("2027-01-01T00:00:00Z"), 1).await.err(),
        };
        let waits = bench.waits.taken();
        assert_eq!(waits.len(), policy.retries_max as usize, "{name}");
        for (n, wait) in waits.iter().enumerate() {
            let n = u32::try_from(n).unwrap();
            assert!(*wait >= policy.delay(n, 0) && *wait <= policy.delay(n, 0) * 2, "{name} {n} {wait:?}");
        }
        errors.push(error.unwrap());
    }
    errors.try_into().unwrap()
}

#[tokio::test]
async fn a_failing_read_is_tried_again_a_bounded_number_of_times() {
    let bench = bench().await;
    let errors = exhausted(&bench, FaultKind::Throttled, THROTTLED).await;
    assert!(errors.iter().all(|error| *error == StoreError::Throttled && error.is_retryable()), "{errors:?}");
    let errors = exhausted(&bench, FaultKind::TimeoutBefore, TIMEOUT).await;
    assert!(errors.iter().all(|error| *error == StoreError::Timeout { maybe_done: false }), "{errors:?}");
}

#[tokio::test]
async fn a_failing_write_is_tried_again_a_bounded_number_of_times() {
    let bench = bench().await;
    let one = || vec![sized("1", 1)];
    let two = || vec![sized("1", 1), sized("2", 1)];
    for (kind, policy, expected) in [
        (FaultKind::Conflict, CONFLICT, StoreError::Conflict),
        (FaultKind::Throttled, THROTTLED, StoreError::Throttled),
        (FaultKind::TimeoutBefore, TIMEOUT, StoreError::Timeout { maybe_done: true }),
    ] {
        for writes in [one(), two()] {
            bench.faulty.set_plan(FaultPlan { kind, every: 1 });
            let error = bench.store.commit(writes).await.unwrap_err();
            assert_eq!(error, CommitError::Store(expected.clone()));
            assert!(error.is_retryable());
            assert_eq!(bench.waits.taken().len(), policy.retries_max as usize, "{kind:?}");
        }
    }
    assert_eq!(bench.faulty.committed(), 0);
}

#[tokio::test]
async fn every_third_call_failing_is_not_noticed() {
    let bench = bench().await;
    for kind in [FaultKind::Conflict, FaultKind::Throttled, FaultKind::TimeoutBefore, FaultKind::TimeoutAfter] {
        let injected = bench.faulty.injected();
        let committed = bench.faulty.committed();
        bench.faulty.set_plan(FaultPlan { kind, every: 3 });
        for n in 0..12 {
            let sk = format!("{kind:?}{n}");
            bench.store.commit(vec![sized(&sk, 1), sized(&format!("{sk}b"), 1)]).await.unwrap();
            let seen = bench.store.get::<Task>(&key("p", &sk)).await.unwrap().unwrap();
            bench.store.commit(vec![Write::replace(&seen.item, seen.version).unwrap()]).await.unwrap();
            bench.store.commit(vec![Write::delete(key("p", &sk), 2)]).await.unwrap();
        }
        assert!(bench.faulty.injected() > injected + 10, "{kind:?}");
        assert_eq!(bench.faulty.committed(), committed + 36, "{kind:?}");
    }
    assert_eq!(bench.store.query("p", "", 1).await.unwrap().len(), 48);
}

#[tokio::test]
async fn after_the_halt_nothing_comes_through() {
    let bench = bench().await;
    bench.faulty.halt_after(Some(2));
    bench.store.commit(vec![sized("1", 1)]).await.unwrap();
    bench.store.commit(vec![sized("2", 1)]).await.unwrap();
    let dead = bench.store.commit(vec![sized("3", 1)]).await.unwrap_err();
    assert_eq!(dead, CommitError::Store(StoreError::Backend("halted by the test".to_owned())));
    assert!(bench.store.get::<Task>(&key("p", "1")).await.is_err());
    bench.faulty.halt_after(None);
    assert_eq!(bench.store.query("p", "", 1).await.unwrap().len(), 2);
}
