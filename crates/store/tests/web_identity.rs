//! DynamoDB by web identity: a role taken with the token of a request, against a Security Token Service and a
//! DynamoDB that are played on sockets, and against the embedded one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, poll_immediate};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use service::{Hand, Service, network};
use tokio::net::TcpListener;
use tradepost_marketplace::doors::{LeaseClock, SystemEntropy, SystemSleeper};
use tradepost_store::connect::identity::{OUTAGE_PAUSE, with_request_token};
use tradepost_store::connect::{Role, Source};
use tradepost_store::embedded::TABLE_NAME;
use tradepost_store::{
    Backend as _, DynamoBackend, Embedded, Identity, IdentityError, Key, Store, StoreError, StoreSettings, Where,
};

const ROLE: &str = "arn:aws:iam::111122223333:role/tradepost";

/// Credentials named `name` for an hour from `minute` past eight on.
fn granted(name: &str, minute: u32) -> (u16, String) {
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>{name}</AccessKeyId><SecretAccessKey>secret-{name}</SecretAccessKey>\
         <SessionToken>session-{name}</SessionToken><Expiration>2026-11-21T09:{minute:02}:00Z</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    (200, body)
}

fn refused() -> (u16, String) {
    (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".to_owned())
}

struct Bench {
    sts: Service,
    clock: Hand,
    identity: Identity,
}

impl Bench {
    async fn new(script: Vec<(u16, String)>) -> Self {
        let (sts, clock) = (Service::start(script).await, Hand::new());
        let role = Role { arn: ROLE.to_owned(), sts: sts.url.clone() };
        let identity = Identity::by_request(role, network(), LeaseClock(Arc::new(clock.clone())));
        Self { sts, clock, identity }
    }

    /// The name of the credentials that a request with this token gets.
    async fn ask(&self, token: Option<&str>) -> Result<String, IdentityError> {
        let credentials = with_request_token(token.map(SecretString::from), self.identity.credentials()).await?;
        assert_eq!(
            (
                credentials.secret_access_key.expose_secret(),
                credentials.session_token.as_ref().unwrap().expose_secret()
            ),
            (
                format!("secret-{}", credentials.access_key_id).as_str(),
                format!("session-{}", credentials.access_key_id).as_str()
            )
        );
        Ok(credentials.access_key_id.clone())
    }

    fn exchanges(&self) -> usize {
        self.sts.seen().len()
    }
}

#[tokio::test]
async fn a_requests_token_is_exchanged_once_and_kept_until_shortly_before_the_end() {
    let bench = Bench::new(vec![granted("first", 0), granted("second", 56)]).await;
    assert_eq!(bench.ask(Some("a&b=c")).await.unwrap(), "first");
    let seen = &bench.sts.seen()[0];
    assert!(seen.head.starts_with("post / http/1.1"), "{seen:?}");
    assert!(seen.head.contains("content-type: application/x-www-form-urlencoded"), "{seen:?}");
    assert!(!seen.head.contains("authorization"), "{seen:?}");
    let wanted = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3A\
                  role%2Ftradepost&RoleSessionName=tradepost&DurationSeconds=3600&WebIdentityToken=a%26b%3Dc";
    assert_eq!(seen.body, wanted);

    bench.clock.advance(SignedDuration::from_mins(54));
    // Another request, and one without a token: they are the role's, not the request's.
    assert_eq!(bench.ask(Some("another")).await.unwrap(), "first");
    assert_eq!(bench.ask(None).await.unwrap(), "first");
    assert_eq!(bench.exchanges(), 1);
    bench.clock.advance(SignedDuration::from_mins(2));
    assert_eq!(bench.ask(Some("another")).await.unwrap(), "second");
    assert_eq!(bench.exchanges(), 2);
    assert!(bench.sts.seen()[1].body.ends_with("WebIdentityToken=another"));
    assert!(!format!("{:?}", bench.identity).contains("second"));
}

#[tokio::test]
async fn requests_that_come_together_make_one_exchange() {
    let bench = Bench::new(vec![granted("first", 0)]).await;
    bench.sts.hold();
    let tokens: Vec<String> = (0..20).map(|n| format!("token-{n}")).collect();
    let asked = join_all(tokens.iter().map(|token| bench.ask(Some(token))));
    let released = async {
        while bench.exchanges() == 0 {
            tokio::task::yield_now().await;
        }
        bench.sts.permits.add_permits(1_000);
    };
    let (answers, ()) = tokio::join!(asked, released);
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok("first")), "{answers:?}");
    assert_eq!(bench.exchanges(), 1);
}

#[tokio::test]
async fn one_that_gives_up_waiting_leaves_the_exchange_to_the_next() {
    let bench = Bench::new(vec![granted("first", 0)]).await;
    bench.sts.hold();
    {
        let mut gives_up = Box::pin(bench.ask(Some("one")));
        while bench.exchanges() == 0 {
            assert!(poll_immediate(&mut gives_up).await.is_none());
            tokio::task::yield_now().await;
        }
    }
    bench.sts.permits.add_permits(1_000);
    let answer = tokio::time::timeout(Duration::from_secs(30), bench.ask(Some("two"))).await;
    assert_eq!(answer.unwrap().unwrap(), "first");
    assert_eq!(bench.exchanges(), 2);
}

#[tokio::test]
async fn without_the_header_nobody_is_asked() {
    let bench = Bench::new(vec![granted("first", 0)]).await;
    let error = bench.ask(None).await.unwrap_err();
    assert!(error.to_string().contains("x-vercel-oidc-token header; turn on OIDC"), "{error}");
    // Nor outside of a request.
    assert_eq!(bench.identity.credentials().await.unwrap_err(), IdentityError::NoToken);
    assert_eq!(bench.exchanges(), 0);
}

#[tokio::test]
async fn a_refusal_is_that_requests_own() {
    let bench = Bench::new(vec![refused(), granted("first", 0), refused()]).await;
    let (bad, good) = tokio::join!(bench.ask(Some("of another project")), bench.ask(Some("good")));
    assert_eq!(bad, Err(IdentityError::Refused { code: "AccessDenied".to_owned() }));
    assert_eq!(good.as_deref(), Ok("first"));
    // Refused while the old ones are good: they serve to their end.
    bench.clock.advance(SignedDuration::from_mins(56));
    assert_eq!(bench.ask(Some("good")).await.unwrap(), "first");
    assert_eq!(bench.exchanges(), 3);
    bench.clock.advance(SignedDuration::from_secs(3 * 60 + 40));
    assert!(matches!(bench.ask(Some("good")).await, Err(IdentityError::Refused { .. })));
    let message = format!("{:?}", bench.ask(Some("good")).await);
    assert!(!message.contains("good"), "{message}");
}

#[tokio::test]
async fn an_outage_is_waited_out_on_the_old_ones_and_asked_about_rarely() {
    let bench = Bench::new(vec![granted("first", 0), (503, String::new())]).await;
    assert_eq!(bench.ask(Some("token")).await.unwrap(), "first");
    bench.clock.advance(SignedDuration::from_mins(56));
    for _ in 0..5 {
        assert_eq!(bench.ask(Some("token")).await.unwrap(), "first");
    }
    assert_eq!(bench.exchanges(), 2, "asked again at once");
    bench.clock.advance(OUTAGE_PAUSE);
    assert_eq!(bench.ask(Some("token")).await.unwrap(), "first");
    assert_eq!(bench.exchanges(), 3);
    bench.clock.advance(SignedDuration::from_mins(4));
    for _ in 0..5 {
        assert_eq!(bench.ask(Some("token")).await, Err(IdentityError::NoAnswer));
    }
    assert_eq!(bench.exchanges(), 4);
}

#[tokio::test]
async fn the_stores_calls_are_signed_with_them() {
    let bench = Bench::new(vec![granted("first", 0), granted("second", 59)]).await;
    let dynamo = Service::start(vec![(200, "{}".to_owned())]).await;
    let settings = StoreSettings {
        table: "the-table".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(dynamo.url.clone()),
        kms: String::new(),
        source: Source::Role(Role { arn: ROLE.to_owned(), sts: bench.sts.url.clone() }),
    };
    let backend = DynamoBackend::new(settings.connect(&network(), &LeaseClock(Arc::new(bench.clock.clone()))));
    let key = Key::new("p", "s");
    let token = || Some(SecretString::from("token"));
    for _ in 0..2 {
        assert_eq!(with_request_token(token(), backend.get(&key)).await, Ok(None));
    }
    bench.clock.advance(SignedDuration::from_mins(58));
    assert_eq!(with_request_token(token(), backend.get(&key)).await, Ok(None));
    assert_eq!(bench.exchanges(), 2);
    let signed: Vec<bool> = ["first", "first", "second"]
        .iter()
        .zip(dynamo.seen())
        .map(|(name, seen)| {
            seen.head.contains(&format!("credential={name}/"))
                && seen.head.contains(&format!("x-amz-security-token: session-{name}"))
                && !seen.head.contains("oidc")
        })
        .collect();
    assert_eq!(signed, [true; 3], "{:?}", dynamo.seen());
    let error = backend.get(&key).await;
    assert_eq!(error, Ok(None), "the credentials are kept");
}

#[tokio::test]
async fn a_store_without_credentials_says_why() {
    let bench = Bench::new(vec![(500, String::new()), granted("first", 0)]).await;
    let embedded = Embedded::start(Where::Memory, TcpListener::bind(("127.0.0.1", 0)).await.unwrap()).await.unwrap();
    let mut config = embedded.config();
    config.identity = bench.identity.clone();
    assert_eq!(config.table, TABLE_NAME);
    let store = Store::new(Arc::new(DynamoBackend::new(config)), Arc::new(SystemSleeper), Arc::new(SystemEntropy));
    let key = Key::new("p", "s");
    let error = store.get_raw(&key).await.unwrap_err();
    assert_eq!(error, StoreError::Identity(IdentityError::NoToken));
    assert!(!error.is_retryable());
    let token = || Some(SecretString::from("token"));
    let error = with_request_token(token(), store.get_raw(&key)).await.unwrap_err();
    assert!(error == StoreError::Identity(IdentityError::NoAnswer) && error.is_retryable(), "{error}");
    bench.clock.advance(OUTAGE_PAUSE);
    assert!(with_request_token(token(), store.get_raw(&key)).await.unwrap().is_none());
    embedded.stop().await;
}
