//! The demo provisioner keeps the contract that a real one has: over a real socket, and after it was killed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tradepost_marketplace::doors::{BusinessClock, Clock};
use tradepost_marketplace::http_door::{Http as _, Network};
use tradepost_marketplace::ids::ResourceId;
use tradepost_provider::signing::{SigningSecret, sign};
use tradepost_rehearsal::canaries::Canaries;
use tradepost_rehearsal::development::{CLIENT_SECRET, PARTNER_SECRET, PROVISIONER_SECRET};
use tradepost_rehearsal::provisioner::DemoProvisioner;

const NOW: i64 = 1_798_761_600;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }
}

struct Bench {
    provisioner: DemoProvisioner,
    url: String,
    network: Network,
}

impl Bench {
    async fn open(journal: Option<&Path>) -> Self {
        let clock = BusinessClock(Arc::new(Still));
        let provisioner = DemoProvisioner::open(journal, 7, clock, PROVISIONER_SECRET, Canaries::default()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = provisioner.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { provisioner, url, network: Network::new("test").unwrap() }
    }

    async fn send(&self, secret: &str, second: i64, body: &str) -> (StatusCode, Value) {
        let secret = SigningSecret::parse("test", &SecretString::from(secret)).unwrap();
        let at = Timestamp::from_second(second).unwrap();
        let request = Request::post(&self.url)
            .header("webhook-id", "op")
            .header("webhook-timestamp", second.to_string())
            .header("webhook-signature", sign(&secret, "op", at, body.as_bytes()))
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        let response = self.network.send(request, Duration::from_secs(10)).await.unwrap();
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    async fn order(&self, operation: &str, fence: u64, kind: &str, version: u64) -> (StatusCode, Value) {
        self.send(PROVISIONER_SECRET, NOW, &order(operation, fence, kind, version)).await
    }

    fn live(&self) -> BTreeSet<u64> {
        self.provisioner.live_versions(&resource())
    }
}

fn resource() -> ResourceId {
    ResourceId::new("icfg_1.r1").unwrap()
}

fn order(operation: &str, fence: u64, kind: &str, version: u64) -> String {
    json!({
        "operationId": operation, "fence": fence, "kind": kind, "installationId": "icfg_1", "resourceId": "icfg_1.r1",
        "productId": "p", "planId": null, "name": "db", "metadata": {}, "secretsVersion": version,
    })
    .to_string()
}

fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn secrets_live_from_their_rotation_to_their_revocation() {
    let bench = Bench::open(None).await;
    let (status, created) = bench.order("op1", 1, "create", 1).await;
    assert_eq!((status, created["status"].as_str()), (StatusCode::OK, Some("ready")));
    let (_, rotated) = bench.order("op2", 2, "rotate", 2).await;
    assert_ne!(created["secrets"], rotated["secrets"]);
    assert_eq!(bench.live(), BTreeSet::from([1, 2]));
    // A revocation comes with the fence as it stands.
    assert_eq!(bench.order("op3", 2, "revoke", 2).await.0, StatusCode::OK);
    assert_eq!(bench.live(), BTreeSet::from([2]));
    assert_eq!(bench.order("op4", 3, "delete", 2).await.0, StatusCode::OK);
    assert_eq!((bench.provisioner.resources(), bench.live()), (0, BTreeSet::new()));
    assert_eq!(code(&bench.order("op5", 4, "rotate", 3).await), (422, "unknown_resource"));
}

#[tokio::test]
async fn a_repeat_has_the_same_answer_and_a_lower_fence_is_refused() {
    let bench = Bench::open(None).await;
    let first = bench.order("op1", 5, "create", 1).await;
    bench.order("op2", 6, "rotate", 2).await;
    assert_eq!(bench.order("op1", 5, "create", 1).await, first);
    assert_eq!(code(&bench.order("op3", 5, "delete", 2).await), (409, "stale_fence"));
    assert_eq!(code(&bench.order("op1", 7, "delete", 1).await), (409, "operation_reused"));
    assert_eq!((bench.live(), bench.provisioner.fence(&resource())), (BTreeSet::from([1, 2]), 6));
}

#[tokio::test]
async fn what_is_not_signed_right_changes_nothing() {
    let bench = Bench::open(None).await;
    let body = order("op1", 1, "create", 1);
    for (secret, second) in [(PARTNER_SECRET, NOW), (PROVISIONER_SECRET, NOW - 301), (PROVISIONER_SECRET, NOW + 301)] {
        assert_eq!(code(&bench.send(secret, second, &body).await), (401, "invalid_signature"));
    }
    assert_eq!(code(&bench.send(PROVISIONER_SECRET, NOW, "{}").await), (400, "invalid_order"));
    assert_eq!(bench.provisioner.resources(), 0);
}

#[tokio::test]
async fn the_journal_brings_everything_back_and_holds_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("store.provisioner");
    let first = Bench::open(Some(&journal)).await;
    let created = first.order("op1", 1, "create", 1).await;
    first.order("op2", 2, "rotate", 2).await;
    drop(first);
    // Killed while it wrote the third order: that one was never answered.
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(br#"{"order":{"operationId":"op3","fen"#);
    fs::write(&journal, &bytes).unwrap();

    let second = Bench::open(Some(&journal)).await;
    assert_eq!((second.provisioner.starts(), second.live()), (2, BTreeSet::from([1, 2])));
    assert_eq!(second.order("op1", 1, "create", 1).await, created);
    assert_eq!(code(&second.order("op4", 1, "delete", 2).await), (409, "stale_fence"));
    assert_eq!(second.order("op3", 3, "revoke", 2).await.0, StatusCode::OK);
    let third = Bench::open(Some(&journal)).await;
    assert_eq!((third.provisioner.starts(), third.live()), (3, BTreeSet::from([2])));

    let text = fs::read_to_string(&journal).unwrap();
    let secrets = (1..=2).flat_map(|version| third.provisioner.secrets(&resource(), version));
    for secret in secrets.map(|(_, value)| value).chain([PROVISIONER_SECRET.to_owned(), CLIENT_SECRET.to_owned()]) {
        assert!(!text.contains(&secret));
    }
}

#[tokio::test]
async fn a_damaged_journal_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("store.provisioner");
    fs::write(&journal, "{\"start\":1}\n{\"nonsense\":1}\n{\"start\":2}\n").unwrap();
    let clock = BusinessClock(Arc::new(Still));
    let refused = DemoProvisioner::open(Some(&journal), 7, clock, PROVISIONER_SECRET, Canaries::default());
    let told = format!("{:#}", refused.err().unwrap());
    assert!(told.contains("line 2 is damaged"), "{told}");
}
