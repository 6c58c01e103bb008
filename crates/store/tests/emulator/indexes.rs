//! The due index and the shard index, fresh and stale.

use tradepost_store::{FaultKind, FaultPlan, Key, Write};

use crate::{Bench, Task, at, bench, key, task};

const NEVER_LATER: &str = "2099-01-01T00:00:00Z";

fn due(pk: &str, sk: &str, when: &str) -> Task {
    Task { due: Some(at(when)), ..task(pk, sk) }
}

fn member(pk: &str, shard: u8) -> Task {
    Task { shard: Some(shard), ..task(pk, "installation") }
}

async fn create(bench: &Bench, item: &Task) {
    bench.store.commit(vec![Write::create(item).unwrap()]).await.unwrap();
}

#[tokio::test]
async fn due_work_is_found_oldest_first_up_to_the_instant() {
    let bench = bench().await;
    create(&bench, &due("p3", "s", "2027-01-01T00:00:02Z")).await;
    create(&bench, &due("p1", "s", "2027-01-01T00:00:01.500Z")).await;
    create(&bench, &due("p2", "z", "2027-01-01T00:00:01Z")).await;
    create(&bench, &due("p2", "a", "2027-01-01T00:00:01Z")).await;
    create(&bench, &task("p4", "never")).await;
    create(&bench, &Task { kind: "other".to_owned(), ..due("p5", "s", "2026-01-01T00:00:00Z") }).await;

    let find = async |until: &str, limit| bench.store.due("deliver", at(until), limit).await.unwrap();
    let all = [key("p2", "a"), key("p2", "z"), key("p1", "s"), key("p3", "s")];
    assert_eq!(find("2027-01-01T00:00:00.999Z", 10).await, []);
    assert_eq!(find("2027-01-01T00:00:01Z", 10).await, all[..2]);
    assert_eq!(find("2027-01-01T00:00:01.5Z", 10).await, all[..3]);
    assert_eq!(find("2027-01-01T00:00:02Z", 10).await, all);
    assert_eq!(find(NEVER_LATER, 1).await, all[..1]);

    // Rescheduled, and done.
    bench.store.commit(vec![Write::replace(&due("p2", "a", "2027-01-02T00:00:00Z"), 1).unwrap()]).await.unwrap();
    bench.store.commit(vec![Write::replace(&task("p2", "z"), 1).unwrap()]).await.unwrap();
    assert_eq!(find(NEVER_LATER, 10).await, [key("p1", "s"), key("p3", "s"), key("p2", "a")]);
}

#[tokio::test]
async fn members_of_a_shard_come_in_order_and_go_on_after_one() {
    let bench = bench().await;
    for (pk, shard) in [("i#3", 7), ("i#1", 7), ("i#2", 7), ("i#4", 255), ("i#5", 0)] {
        create(&bench, &member(pk, shard)).await;
    }
    create(&bench, &task("i#0", "installation")).await;
    let members = |pks: &[&str]| pks.iter().map(|pk| key(pk, "installation")).collect::<Vec<Key>>();
    let find = async |shard, after, limit| bench.store.shard_members(shard, after, limit).await.unwrap();
    assert_eq!(find(7, None, 10).await, members(&["i#1", "i#2", "i#3"]));
    assert_eq!(find(7, None, 2).await, members(&["i#1", "i#2"]));
    assert_eq!(find(7, Some("i#2"), 2).await, members(&["i#3"]));
    assert_eq!(find(255, None, 10).await, members(&["i#4"]));
    assert_eq!(find(0, None, 10).await, members(&["i#5"]));
    assert_eq!(find(1, None, 10).await, []);
}

#[tokio::test]
async fn a_stale_index_shows_the_last_writes_as_they_were_before() {
    let bench = bench().await;
    create(&bench, &due("old", "s", "2027-01-01T00:00:01Z")).await;
    create(&bench, &due("gone", "s", "2027-01-01T00:00:02Z")).await;
    create(&bench, &due("later", "s", "2027-01-01T00:00:03Z")).await;
    create(&bench, &member("m#1", 9)).await;
    bench.faulty.set_plan(FaultPlan { kind: FaultKind::StaleIndex, every: 2 });
    create(&bench, &due("new", "s", "2027-01-01T00:00:00Z")).await;
    create(&bench, &member("m#2", 9)).await;
    bench.store.commit(vec![Write::delete(key("gone", "s"), 1)]).await.unwrap();
    let moved = vec![
        Write::replace(&due("later", "s", "2028-01-01T00:00:00Z"), 1).unwrap(),
        Write::delete_any(key("m#1", "installation")),
    ];
    bench.store.commit(moved).await.unwrap();

    let find = async || bench.store.due("deliver", at("2027-06-01T00:00:00Z"), 10).await.unwrap();
    assert_eq!(find().await, [key("new", "s"), key("old", "s")]);
    assert_eq!(find().await, [key("old", "s"), key("gone", "s"), key("later", "s")], "every second query is stale");
    let members = async || bench.store.shard_members(9, None, 10).await.unwrap();
    assert_eq!(members().await, [key("m#2", "installation")]);
    assert_eq!(members().await, [key("m#1", "installation")]);
    assert_eq!(bench.faulty.injected(), 2);
}
