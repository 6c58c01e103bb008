//! An item that a newer release wrote is neither read nor replaced, and whoever tries is told so.

use aws_sdk_dynamodb::types::AttributeValue;
use tradepost_store::backend::Item;
use tradepost_store::embedded::TABLE_NAME;
use tradepost_store::{CommitError, StoreError, Write};

use crate::{Bench, Task, at, bench, key, task};

/// The item as it lies in the table.
async fn stored(bench: &Bench, pk: &str, sk: &str) -> Option<Item> {
    let call = bench.embedded.client().get_item().table_name(TABLE_NAME).consistent_read(true);
    let call = call.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
    call.send().await.unwrap().item
}

/// Gives a stored item another format, or none.
async fn reformat(bench: &Bench, pk: &str, sk: &str, format: Option<AttributeValue>) -> Item {
    let mut item = stored(bench, pk, sk).await.unwrap();
    item.remove("fmt");
    item.extend(format.map(|format| ("fmt".to_owned(), format)));
    bench.embedded.client().put_item().table_name(TABLE_NAME).set_item(Some(item.clone())).send().await.unwrap();
    item
}

fn number(format: u64) -> AttributeValue {
    AttributeValue::N(format.to_string())
}

/// A store with an item of a newer release (`new`), and one of ours (`own`).
async fn mixed() -> (Bench, Item) {
    let bench = bench().await;
    let new = Task { due: Some(at("2027-01-01T00:00:00Z")), shard: Some(3), ..task("p", "new") };
    bench.store.commit(vec![Write::create(&new).unwrap()]).await.unwrap();
    bench.store.commit(vec![Write::create(&task("p", "own")).unwrap()]).await.unwrap();
    let newer = reformat(&bench, "p", "new", Some(number(2))).await;
    (bench, newer)
}

fn refusal(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Format(_)) && !error.is_retryable(), "{error:?}");
    error.to_string()
}

const REFUSAL: &str = "the item p / new (task) has format 2, this release reads formats 0 to 1: a newer release wrote \
                       it; deploy that one here too";

#[tokio::test]
async fn every_item_says_its_format_and_one_that_says_none_is_read_and_gets_one() {
    let bench = bench().await;
    bench.store.commit(vec![Write::create(&task("p", "s")).unwrap()]).await.unwrap();
    assert_eq!(stored(&bench, "p", "s").await.unwrap()["fmt"], number(1));
    for old in [None, Some(number(0))] {
        reformat(&bench, "p", "s", old).await;
        let read = bench.store.get::<Task>(&key("p", "s")).await.unwrap().unwrap();
        bench.store.commit(vec![Write::replace(&read.item, read.version).unwrap()]).await.unwrap();
        assert_eq!(stored(&bench, "p", "s").await.unwrap()["fmt"], number(1));
    }
    reformat(&bench, "p", "s", None).await;
    bench.store.commit(vec![Write::overwrite(&task("p", "s"), 9).unwrap()]).await.unwrap();
    reformat(&bench, "p", "s", None).await;
    bench.store.commit(vec![Write::delete_any(key("p", "s"))]).await.unwrap();
    assert_eq!(stored(&bench, "p", "s").await, None);
}

#[tokio::test]
async fn no_read_takes_a_newer_item() {
    let (bench, _) = mixed().await;
    let store = &bench.store;
    assert_eq!(refusal(&store.get::<Task>(&key("p", "new")).await.unwrap_err()), REFUSAL);
    assert_eq!(refusal(&store.get_raw(&key("p", "new")).await.unwrap_err()), REFUSAL);
    assert_eq!(refusal(&store.query("p", "", 1).await.unwrap_err()), REFUSAL);
    assert_eq!(refusal(&store.query_after("p", "", None, 9).await.unwrap_err()), REFUSAL);
    // An index finds it: whoever takes it up is told, and what lies beside it is read.
    let new = [key("p", "new")];
    assert_eq!(store.due("deliver", at("2027-01-01T00:00:00Z"), 9).await.unwrap(), new);
    assert_eq!(store.shard_members(3, None, 9).await.unwrap(), new);
    assert!(store.get::<Task>(&key("p", "own")).await.unwrap().is_some());
    assert_eq!(store.query("p", "own", 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_format_that_is_no_number_is_corrupt() {
    let (bench, _) = mixed().await;
    reformat(&bench, "p", "new", Some(AttributeValue::S("2".to_owned()))).await;
    let error = bench.store.get::<Task>(&key("p", "new")).await.unwrap_err();
    assert_eq!(error.to_string(), "the item p / new is corrupt: attribute fmt is no number");
}

/// With every guard, also one that would hold, and one that was never read.
#[tokio::test]
async fn no_write_replaces_a_newer_item_alone_or_with_others() {
    let (bench, newer) = mixed().await;
    let item = task("p", "new");
    let writes = || {
        [
            Write::create(&item).unwrap(),
            Write::replace(&item, 1).unwrap(),
            Write::replace(&item, 7).unwrap(),
            Write::overwrite(&item, 7).unwrap(),
            Write::delete(key("p", "new"), 1),
            Write::delete(key("p", "new"), 7),
            Write::delete_any(key("p", "new")),
            Write::check(key("p", "new"), 1),
            Write::check_absent(key("p", "new")),
        ]
    };
    for (n, write) in writes().into_iter().enumerate() {
        let with = vec![Write::overwrite(&task("p", "own"), 2).unwrap(), write.clone()];
        for commit in [vec![write], with] {
            let CommitError::Store(error) = bench.store.commit(commit).await.unwrap_err() else { panic!("{n}") };
            assert_eq!(refusal(&error), REFUSAL, "{n}");
        }
    }
    assert_eq!(stored(&bench, "p", "new").await.unwrap(), newer);
    assert_eq!(bench.store.get::<Task>(&key("p", "own")).await.unwrap().unwrap().version, 1);
    assert!(bench.waits.taken().is_empty(), "nothing is tried again");
}
