//! Keys of the ring that KMS has wrapped, against a KMS that is played on a socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod service;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use service::{Hand, Service, network};
use tradepost_marketplace::doors::{LeaseClock, SystemEntropy};
use tradepost_store::connect::DynamoCredentials;
use tradepost_store::seal::UnwrapError;
use tradepost_store::seal::kms::Kms;
use tradepost_store::{Identity, KeyRing, SealError, Sealed};

const CLEAR: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn credentials() -> DynamoCredentials {
    DynamoCredentials {
        access_key_id: "the-id".to_owned(),
        secret_access_key: "the-secret".to_owned().into(),
        session_token: Some("the-session".to_owned().into()),
    }
}

fn ring(text: &str, service: &Service) -> KeyRing {
    let kms = Kms {
        http: network(),
        identity: Identity::fixed(credentials()),
        region: "eu-central-1".to_owned(),
        endpoint: service.url.clone(),
        clock: LeaseClock(Arc::new(Hand::new())),
    };
    KeyRing::parse(text).unwrap().unwrapped_by(kms)
}

fn decrypted(key: &[u8]) -> (u16, String) {
    (
        200,
        format!(
            r#"{{"KeyId":"arn:k","Plaintext":"{}","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}"#,
            STANDARD.encode(key)
        ),
    )
}

fn refused(kind: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"com.amazonaws.kms#{kind}","message":"the-message"}}"#))
}

async fn sealed(ring: &KeyRing) -> Sealed {
    ring.unlock(None).await.unwrap();
    ring.seal("table", "icfg_1", "token", b"hush", &SystemEntropy).unwrap()
}

#[tokio::test]
async fn a_wrapped_key_is_unwrapped_once_at_its_first_use() {
    let service = Service::start(vec![decrypted(&[7; 32])]).await;
    let ring = ring(&format!("new:kms:{},{CLEAR}", STANDARD.encode(b"wrapped")), &service);
    assert_eq!(service.seen().len(), 0, "asked before it was used");
    let locked = ring.seal("table", "icfg_1", "token", b"hush", &SystemEntropy).unwrap_err();
    assert_eq!(locked, SealError::Wrapped { kid: "new".to_owned() });
    // The clear key needs nobody.
    let old = sealed(&KeyRing::parse(CLEAR).unwrap()).await;
    ring.unlock(Some(&old)).await.unwrap();
    assert_eq!(*ring.open("table", "icfg_1", "token", &old).unwrap(), b"hush");
    assert_eq!(service.seen().len(), 0, "asked for a clear key");

    service.hold();
    let all = join_all((0..10).map(|_| ring.unlock(None)));
    let released = async {
        while service.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        service.permits.add_permits(1_000);
    };
    let (unlocked, ()) = tokio::join!(all, released);
    assert!(unlocked.iter().all(Result::is_ok), "{unlocked:?}");
    let value = sealed(&ring).await;
    assert_eq!((value.kid(), service.seen().len()), ("new", 1));
    // It is the key that was unwrapped, and nothing else.
    let same = KeyRing::parse(&format!("new:{}", STANDARD.encode([7; 32]))).unwrap();
    assert_eq!(*same.open("table", "icfg_1", "token", &value).unwrap(), b"hush");
    assert!(!format!("{ring:?}").contains("wrapped"));
}

#[tokio::test]
async fn the_call_is_signed_and_names_the_keys_id() {
    let service = Service::start(vec![decrypted(&[7; 32])]).await;
    let ring = ring(&format!("k-1:kms:{}", STANDARD.encode(b"wrapped")), &service);
    ring.unlock(None).await.unwrap();
    let seen = &service.seen()[0];
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    let wanted = serde_json::json!({
        "CiphertextBlob": STANDARD.encode(b"wrapped"),
        "EncryptionContext": {"tradepost-kid": "k-1"},
    });
    assert_eq!(body, wanted);
    for header in [
        "post / http/1.1",
        "content-type: application/x-amz-json-1.1",
        "x-amz-target: trentservice.decrypt",
        "x-amz-date: 20261121t080000z",
        "x-amz-security-token: the-session",
        "authorization: aws4-hmac-sha256 credential=the-id/20261121/eu-central-1/kms/aws4_request, \
         signedheaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, signature=",
    ] {
        assert!(seen.head.contains(header), "{header} is not in {}", seen.head);
    }
    assert!(!seen.head.contains("the-secret"));
}

#[tokio::test]
async fn what_kms_does_not_do_is_told_and_tried_again_at_the_next_use() {
    let service = Service::start(vec![
        refused("AccessDeniedException"),
        refused("InvalidCiphertextException"),
        refused("ThrottlingException"),
        (500, String::new()),
        decrypted(&[7; 16]),
        (200, "{}".to_owned()),
        decrypted(&[7; 32]),
    ])
    .await;
    let ring = ring(&format!("new:kms:{}", STANDARD.encode(b"wrapped")), &service);
    let refused = |code: &str| UnwrapError::Refused { code: code.to_owned() };
    for wanted in [
        refused("AccessDeniedException"),
        refused("InvalidCiphertextException"),
        UnwrapError::NoAnswer,
        UnwrapError::NoAnswer,
        UnwrapError::Answer,
        UnwrapError::Answer,
    ] {
        let error = ring.unlock(None).await.unwrap_err();
        assert!(!error.to_string().contains("the-message"), "{error}");
        assert_eq!(error, SealError::Unwrap { kid: "new".to_owned(), error: wanted });
    }
    assert!(UnwrapError::NoAnswer.is_retryable() && !refused("X").is_retryable());
    ring.unlock(None).await.unwrap();
}

#[tokio::test]
async fn without_anybody_to_ask_a_wrapped_key_stays_wrapped() {
    let ring = KeyRing::parse(&format!("new:kms:{}", STANDARD.encode(b"wrapped"))).unwrap();
    assert_eq!(ring.unlock(None).await, Err(SealError::Wrapped { kid: "new".to_owned() }));
    for bad in ["k:kms:", "k:kms:not base64!", &format!("k:kms:{}", "A".repeat(8_196))] {
        let error = KeyRing::parse(bad).unwrap_err().to_string();
        assert!(error.contains("behind kms:") && !error.contains("AAAA"), "{error}");
    }
}
