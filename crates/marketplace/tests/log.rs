//! What the client logs. Alone in its binary: a subscriber for one test cannot be had beside other threads.

#![allow(clippy::unwrap_used, reason = "this binary is a test, doors included")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use jiff::SignedDuration;
use tradepost_marketplace::client::{Call, Client};
use tradepost_marketplace::doors::{LeaseClock, Sleeper, SystemClock, SystemEntropy};
use tradepost_marketplace::endpoint::checked;
use tradepost_marketplace::http_door::{Http, HttpError};
use tradepost_marketplace::ids::{ClientId, InstallationId, ResourceId};
use tradepost_marketplace::wire::{Secret, SecretsUpdate, SsoExchange};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails the first call of secrets with words, loses the second, takes the third; loses every exchange.
#[derive(Default)]
struct Vercel(Mutex<u32>);

#[async_trait]
impl Http for Vercel {
    async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        if request.uri().path().ends_with("/sso/token") {
            return Err(HttpError::NoAnswer("reset".to_owned()));
        }
        let mut calls = self.0.lock().unwrap();
        *calls += 1;
        let answer = Response::builder().header("x-vercel-id", format!("fra1::{calls}"));
        match *calls {
            1 => Ok(answer.status(503).body(r#"{"error":{"code":"c","message":"some words"}}"#.into()).unwrap()),
            2 => Err(HttpError::NoAnswer("reset".to_owned())),
            _ => Ok(answer.status(201).body(Bytes::new()).unwrap()),
        }
    }
}

struct NoSleep;

impl Sleeper for NoSleep {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[tokio::test]
async fn the_log_has_vercels_ids_and_nothing_of_tokens_or_bodies() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let lease = LeaseClock(Arc::new(SystemClock));
    let base = checked("https://vercel.test").unwrap();
    let vercel = Arc::new(Vercel::default());
    let client = Client::new(vercel, base, lease.clone(), Arc::new(NoSleep), Arc::new(SystemEntropy));
    let deadline = lease.now().after(SignedDuration::from_mins(10));
    let (token, installation) = ("t0ken".into(), InstallationId::new("icfg_1").unwrap());
    let call = Call { token: &token, installation: &installation, deadline };
    let update = SecretsUpdate::all(vec![Secret::new("KEY", "v4lue").unwrap()]);
    client.update_secrets(&call, &ResourceId::new("r1").unwrap(), &update).await.unwrap();
    let exchange = SsoExchange {
        code: "c0de".into(),
        client_id: ClientId::new("oac_1").unwrap(),
        client_secret: "cl1ent".into(),
        state: None,
        redirect_uri: None,
    };
    client.exchange_code(&exchange, deadline).await.unwrap_err();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for wanted in ["fra1::1", "fra1::3", "update_secrets", "exchange_code", "icfg_1", "\"tries\":3", "\"status\":503"] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    for secret in ["t0ken", "v4lue", "c0de", "cl1ent", "some words", "Bearer"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
