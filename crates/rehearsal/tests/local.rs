//! Everything in one process: a first day in a few calls, and the watch over repeats.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use serde_json::{Value, json};
use tradepost_rehearsal::demo::Fault;
use tradepost_rehearsal::demo::repeats::{Counts, Repeats, differing};
use tradepost_rehearsal::local::{Local, Options};
use tradepost_simulator::ClockMode;

async fn open(options: Options) -> Local {
    let local = Local::open(options).await.unwrap();
    local.register(1).await.unwrap();
    local
}

async fn install(local: &Local) -> String {
    let answer = local.control.act("POST", "/_sim/installations", Some("install"), &json!({})).await.unwrap();
    answer.read::<Value>().unwrap()["installationId"].as_str().unwrap().to_owned()
}

async fn state(local: &Local, section: &str) -> Vec<Value> {
    let state: Value = local.control.get("/_sim/state").await.unwrap().read().unwrap();
    state[section].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_provisions_and_an_hour_is_pushed() {
    let local = open(Options::new(1, ClockMode::default())).await;
    let installation = install(&local).await;
    let body = json!({ "productId": "ledgerbase", "planId": "ledgerbase-scale-1", "name": "db" });
    let path = format!("/_sim/installations/{installation}/resources");
    let provision = || local.control.act("POST", &path, Some("provision"), &body);
    let first: Value = provision().await.unwrap().read().unwrap();
    let again: Value = provision().await.unwrap().read().unwrap();
    assert_eq!(first, again);
    assert_eq!(local.provisioner.resources(), 1);
    local.control.act("POST", "/_sim/clock", None, &json!({ "advance": "2h" })).await.unwrap();
    let interim = state(&local, "interim").await;
    assert_eq!(interim.len(), 1);
    assert_eq!(interim[0]["items"][0]["total"], "5.00");
    local.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_file_goes_on_where_it_was_with_leases_over() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { store: Some(directory.path().join("store")), ..Options::new(1, ClockMode::default()) };
    let local = open(options()).await;
    let installation = install(&local).await;
    let lease = local.provider.lease.now();
    // A second process on the same file is told so.
    let second = Local::open(options()).await.err().unwrap();
    assert!(format!("{second:#}").contains("in use by another process"), "{second:#}");
    local.close().await;

    let local = open(options()).await;
    assert_eq!(install(&local).await, installation);
    assert_eq!(state(&local, "installations").await.len(), 1);
    assert!(local.provider.lease.now().since(lease).as_mins() >= 60);
    local.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_writes_is_noticed() {
    let local = open(Options::new(1, ClockMode::default())).await;
    let repeats = Repeats::new(local.faulty.clone());
    repeats.before();
    repeats.after("GET", "/nothing", differing(Some(200), Some(200)));
    assert_eq!(repeats.counts(), Counts { changed: 0, differing: 0, sent: 1 });
    repeats.before();
    install(&local).await;
    repeats.after("PUT", "/v1/installations/icfg_1?code=secret", None);
    assert_eq!(repeats.counts(), Counts { changed: 1, differing: 0, sent: 2 });
    assert!(repeats.named()[0].starts_with("PUT /v1/installations/icfg_1 sent again made"));
    for again in [Some(500), None] {
        repeats.before();
        repeats.after("POST", "/partner/events", differing(Some(202), again));
    }
    assert_eq!(repeats.counts(), Counts { changed: 1, differing: 2, sent: 4 });
    assert_eq!(repeats.named()[1], "POST /partner/events sent again was answered 500, not 202");
    assert_eq!(repeats.named()[2], "POST /partner/events sent again was answered nothing, not 202");
    local.close().await;
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused() {
    let open = "0.0.0.0:0".parse().unwrap();
    for options in [
        Options { provider: open, ..Options::new(1, ClockMode::default()) },
        Options { simulator: open, ..Options::new(1, ClockMode::default()) },
        Options { dynamodb: open, ..Options::new(1, ClockMode::default()) },
    ] {
        let refused = Local::open(options).await.err().unwrap();
        assert!(refused.to_string().contains("not a loopback address"), "{refused}");
    }
}

#[test]
fn faults_are_read() {
    for good in ["vercel:reset_after/10", "vercel:status/3", "store:conflict/10", "store:stale_index/1"] {
        assert!(good.parse::<Fault>().is_ok(), "{good}");
    }
    for bad in ["", "vercel", "vercel:reset_after", "vercel:reset_after/0", "store:reset_after/10", "x:conflict/10"] {
        assert!(bad.parse::<Fault>().is_err(), "{bad}");
    }
}
