//! What comes back: types, kinds, slices, pages, the table itself.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, BillingMode, ProjectionType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_store::{Key, Record, StoreError, Write, table};

use crate::{Task, at, bench, key, task};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Closed { at: Timestamp, by: Option<String> },
    Moved(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    nothing: Option<String>,
    empty: String,
    large: u64,
    small: i64,
    flag: bool,
    states: Vec<State>,
    days: BTreeMap<String, Vec<i64>>,
    amount: String,
    #[serde(default)]
    added_later: u8,
}

impl Record for Everything {
    const KIND: &'static str = "everything";

    fn key(&self) -> Key {
        Key::new("e", "1")
    }
}

fn everything() -> Everything {
    Everything {
        nothing: None,
        empty: String::new(),
        large: u64::MAX,
        small: i64::MIN,
        flag: true,
        states: vec![
            State::Open,
            State::Closed { at: at("2027-01-31T23:59:59.999999999Z"), by: None },
            State::Moved("x".to_owned()),
        ],
        days: BTreeMap::from([("2027-01-01".to_owned(), vec![1, -2]), ("2027-01-02".to_owned(), vec![])]),
        amount: "1.500000000".to_owned(),
        added_later: 0,
    }
}

#[tokio::test]
async fn a_record_comes_back_as_it_went() {
    let bench = bench().await;
    bench.store.commit(vec![Write::create(&everything()).unwrap()]).await.unwrap();
    let stored = bench.store.get::<Everything>(&key("e", "1")).await.unwrap().unwrap();
    assert_eq!(stored.item, everything());
}

#[tokio::test]
async fn another_kind_and_a_broken_item_are_corrupt() {
    let bench = bench().await;
    bench.store.commit(vec![Write::create(&everything()).unwrap()]).await.unwrap();
    let wrong = bench.store.get::<Task>(&key("e", "1")).await.unwrap_err();
    let why = "expected kind task, found everything".to_owned();
    assert_eq!(wrong, StoreError::Corrupt { key: key("e", "1"), why });

    let client = bench.embedded.client();
    let put = |name: &str, value: AttributeValue| {
        let (name, value) = (name.to_owned(), value);
        let update = client.update_item().table_name("tradepost");
        let update = update.key("pk", AttributeValue::S("e".into())).key("sk", AttributeValue::S("1".into()));
        let update = update.update_expression("SET #n = :v").expression_attribute_names("#n", name);
        update.expression_attribute_values(":v", value).send()
    };
    put("data", AttributeValue::M([("flag".to_owned(), AttributeValue::S("hush".into()))].into())).await.unwrap();
    let broken = bench.store.get::<Everything>(&key("e", "1")).await.unwrap_err();
    assert!(matches!(broken, StoreError::Corrupt { .. }) && !broken.to_string().contains("hush"), "{broken}");
    put("v", AttributeValue::S("one".into())).await.unwrap();
    let broken = bench.store.get_raw(&key("e", "1")).await.unwrap_err();
    assert_eq!(broken, StoreError::Corrupt { key: key("e", "1"), why: "attribute v is missing".to_owned() });
}

#[tokio::test]
async fn a_slice_is_a_prefix_in_order_and_pages_are_bounded() {
    let bench = bench().await;
    let store = &bench.store;
    for sk in ["a#2", "b#1", "a#1", "a#3", "a"] {
        let mut item = task("p", sk);
        // Three of them fill more than one page of 1 MB.
        item.text = "x".repeat(380_000);
        store.commit(vec![Write::create(&item).unwrap()]).await.unwrap();
    }
    store.commit(vec![Write::create(&task("other", "a#9")).unwrap()]).await.unwrap();
    let sks = |found: Vec<tradepost_store::Raw>| found.into_iter().map(|raw| raw.key.sk).collect::<Vec<_>>();

    assert_eq!(sks(store.query("p", "a#", 3).await.unwrap()), ["a#1", "a#2", "a#3"]);
    assert_eq!(sks(store.query("p", "", 5).await.unwrap()), ["a", "a#1", "a#2", "a#3", "b#1"]);
    assert_eq!(sks(store.query("nobody", "", 1).await.unwrap()), [""; 0]);
    let refused = store.query("p", "", 1).await.unwrap_err();
    assert_eq!(refused, StoreError::TooMany { what: "pages of a slice", limit: 1 });

    assert_eq!(sks(store.query_after("p", "", None, 5).await.unwrap()), ["a", "a#1", "a#2", "a#3", "b#1"]);
    // Two to a page, so the third comes with another page.
    assert_eq!(sks(store.query_after("p", "", None, 3).await.unwrap()), ["a", "a#1", "a#2"]);
    assert_eq!(sks(store.query_after("p", "", None, 4).await.unwrap()), ["a", "a#1", "a#2", "a#3"]);
    assert_eq!(sks(store.query_after("p", "a#", None, 2).await.unwrap()), ["a#1", "a#2"]);
    assert_eq!(sks(store.query_after("p", "a#", Some("a#1"), 5).await.unwrap()), ["a#2", "a#3"]);
    assert_eq!(sks(store.query_after("p", "a#", Some("a#25"), 5).await.unwrap()), ["a#3"]);
    assert_eq!(sks(store.query_after("p", "a#", Some("a#3"), 5).await.unwrap()), [""; 0]);
    assert!(matches!(store.query_after("p", "a#", Some("b"), 5).await, Err(StoreError::Invalid { .. })));
    assert!(matches!(store.query_after("p", "a#", None, 0).await, Err(StoreError::Invalid { .. })));

    let raw = store.query("p", "b", 1).await.unwrap().remove(0);
    assert_eq!(format!("{raw:?}"), "Raw(p / b#1, task, version 1)");
    assert_eq!(raw.decode::<Task>().unwrap().text.len(), 380_000);
}

#[tokio::test]
async fn the_ttl_attribute_can_be_left_out() {
    let bench = bench().await;
    let mut item = task("p", "s");
    item.ttl = Some(at("2099-01-01T00:00:00.9Z"));
    bench.store.commit(vec![Write::create(&item).unwrap()]).await.unwrap();
    item.sk = "simulated".to_owned();
    bench.store.clone().without_ttl().commit(vec![Write::create(&item).unwrap()]).await.unwrap();
    let client = bench.embedded.client();
    let ttl = async |sk: &str| {
        let read = client.get_item().table_name("tradepost");
        let read = read.key("pk", AttributeValue::S("p".into())).key("sk", AttributeValue::S(sk.into()));
        read.send().await.unwrap().item.unwrap().remove("ttl")
    };
    assert_eq!(ttl("s").await, Some(AttributeValue::N("4070908800".into())));
    assert_eq!(ttl("simulated").await, None);
}

#[tokio::test]
async fn the_table_is_as_described() {
    let bench = bench().await;
    let client = bench.embedded.client();
    table::create_if_missing(&client, "tradepost").await.unwrap();
    let described = client.describe_table().table_name("tradepost").send().await.unwrap().table.unwrap();
    let keys = |schema: &[aws_sdk_dynamodb::types::KeySchemaElement]| {
        schema.iter().map(|element| element.attribute_name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(described.key_schema()), [table::TABLE.partition, table::TABLE.sort]);
    let billing = described.billing_mode_summary().and_then(|summary| summary.billing_mode());
    assert_eq!((billing, table::TABLE.on_demand), (Some(&BillingMode::PayPerRequest), true));
    assert_eq!(described.global_secondary_indexes().len(), table::TABLE.indexes.len());
    for index in table::TABLE.indexes {
        let found = described.global_secondary_indexes().iter().find(|found| found.index_name() == Some(index.name));
        let found = found.unwrap();
        assert_eq!(keys(found.key_schema()), [index.partition, index.sort]);
        assert_eq!(found.projection().unwrap().projection_type(), Some(&ProjectionType::KeysOnly));
    }
    let ttl = client.describe_time_to_live().table_name("tradepost").send().await.unwrap();
    assert_eq!(ttl.time_to_live_description.unwrap().attribute_name(), Some(table::TABLE.ttl));
}
