//! The control face of the simulator, from the side of whoever plays the customer and the clock.
//!
//! An act carries an `Idempotency-Key`, so it can be repeated: after a lost answer, after a passing failure of the
//! provider (5xx, 409, 429, no answer), after the process was killed. Refused for good, it is an error that
//! says what the simulator said. Numbers in answers stay text: [`Answer::read`] parses the bytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tradepost_marketplace::doors::{Sleeper, SystemSleeper};
use tradepost_marketplace::http_door::HttpDoor;

use crate::development;

/// What Vercel's scheduler is told to call (formats.md, "Schedules").
pub const CRONS: [(&str, &str); 4] = [
    ("/cron/billing", "0 * * * *"),
    ("/cron/outbox", "0 * * * *"),
    ("/cron/invoices", "5 * * * *"),
    ("/cron/secrets", "5 * * * *"),
];

/// How long one call may take: moving the clock waits for every cron on the way.
const TIMEOUT: Duration = Duration::from_mins(10);
/// How often a call that fails in passing is made. The pauses add up to more than an operation's lease of 120 s.
const TRIES_MAX: u32 = 100;
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How much of a refusal is shown.
const SHOWN_BYTES: usize = 600;

/// The pause before try number `made + 1`.
pub(crate) fn pause(made: u32) -> Duration {
    PAUSE_FIRST.saturating_mul(1_u32.checked_shl(made.saturating_sub(1).min(16)).unwrap_or(u32::MAX)).min(PAUSE_MAX)
}

/// Whether the same request later may go better.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 409 | 429 | 500..)
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Answer {
    body: Bytes,
}

impl Answer {
    /// Reads the body.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context("the simulator's answer is not what its contract says")
    }
}

#[derive(Deserialize)]
struct WithPartner {
    partner: Option<PartnerReply>,
}

#[derive(Deserialize)]
struct PartnerReply {
    status: Option<u16>,
}

#[derive(Deserialize)]
struct Now {
    now: Timestamp,
}

/// The control face of one simulator.
#[derive(Clone)]
pub struct Control {
    http: HttpDoor,
    base: String,
    sleeper: Arc<dyn Sleeper>,
}

impl Control {
    /// Of the simulator at `base`.
    pub fn new(http: HttpDoor, base: &str) -> Self {
        Self { http, base: base.to_owned(), sleeper: Arc::new(SystemSleeper) }
    }

    /// Waits until it serves.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.get("/_sim/health").await.map(|_| ())
    }

    /// Registers the provider at `provider_url`, with the keys of development and the hourly crons; Vercel sends it every
    /// request `repeat` times.
    pub async fn register(&self, provider_url: &str, repeat: u32) -> anyhow::Result<()> {
        let crons = CRONS.map(|(path, schedule)| serde_json::json!({ "path": path, "schedule": schedule }));
        let body = serde_json::json!({
            "baseUrl": provider_url,
            "redirectLoginUrl": format!("{provider_url}/callback"),
            "webhookUrl": format!("{provider_url}/webhooks/vercel"),
            "clientId": development::CLIENT_ID,
            "clientSecret": development::CLIENT_SECRET,
            "cronSecret": development::CRON_SECRET,
            "crons": crons,
            "repeat": repeat,
        });
        self.act("POST", "/_sim/partner", None, &body).await.map(|_| ())
    }

    /// What time it is there.
    pub async fn now(&self) -> anyhow::Result<Timestamp> {
        let Now { now } = self.get("/_sim/clock").await?.read()?;
        Ok(now)
    }

    /// Moves the clock. Does nothing if it is there already.
    pub async fn advance_to(&self, to: Timestamp) -> anyhow::Result<()> {
        self.act("POST", "/_sim/clock", None, &serde_json::json!({ "to": to.to_string() })).await.map(|_| ())
    }

    /// Looks.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.settled(Method::GET, path, None, Bytes::new()).await
    }

    /// Acts. `key` makes it repeatable; without one only what is harmless to repeat may be asked.
    pub async fn act(&self, method: &str, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Answer> {
        let method = Method::from_bytes(method.as_bytes()).context("a method")?;
        self.settled(method, path, key, Bytes::from(body.to_string())).await
    }

    /// Repeats until the answer is final.
    async fn settled(&self, method: Method, path: &str, key: Option<&str>, body: Bytes) -> anyhow::Result<Answer> {
        let mut last = String::new();
        for made in 1..=TRIES_MAX {
            match self.once(&method, path, key, body.clone()).await? {
                Outcome::Good(answer) => return Ok(answer),
                Outcome::Passing(why) => last = why,
            }
            self.sleeper.sleep(pause(made)).await;
        }
        bail!("{method} {path} did not go through in {TRIES_MAX} tries; the last one: {last}")
    }

    async fn once(&self, method: &Method, path: &str, key: Option<&str>, body: Bytes) -> anyhow::Result<Outcome> {
        let mut request = Request::builder().method(method.clone()).uri(format!("{}{path}", self.base));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = match self.http.send(request.body(body)?, TIMEOUT).await {
            Ok(response) => response,
            Err(error) => return Ok(Outcome::Passing(error.to_string())),
        };
        let kept = response.headers().contains_key("idempotent-replay");
        let (status, body) = (response.status(), response.into_body());
        let shown = || String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(&body)).into_owned();
        if status.is_success() {
            return match partner_of(&body).map(|partner| partner.status) {
                // What the simulator keeps it will say again: it is final.
                Some(Some(status)) if status >= 400 && (kept || !is_passing(status)) => {
                    bail!("{method} {path}: the provider refused: {}", shown())
                }
                Some(Some(status)) if status >= 400 => Ok(Outcome::Passing(format!("the provider answered {status}"))),
                Some(None) => Ok(Outcome::Passing("the provider did not answer".to_owned())),
                None | Some(Some(_)) => Ok(Outcome::Good(Answer { body })),
            };
        }
        if is_passing(status.as_u16()) && !kept && is_worth_repeating(status, &body) {
            return Ok(Outcome::Passing(format!("{status}: {}", shown())));
        }
        bail!("{method} {path}: {status}: {}", shown())
    }
}

enum Outcome {
    Good(Answer),
    /// Why the same call later may go better.
    Passing(String),
}

/// What an answer says about the provider, if it says it. An array would read as a struct, too.
fn partner_of(body: &[u8]) -> Option<PartnerReply> {
    if body.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice::<WithPartner>(body).ok()?.partner
}

/// A 502 stands for the provider's refusal; if that is final, so is the 502.
fn is_worth_repeating(status: StatusCode, body: &[u8]) -> bool {
    if status != StatusCode::BAD_GATEWAY {
        return true;
    }
    partner_of(body).is_none_or(|partner| partner.status.is_none_or(|status| is_passing(status) || status < 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_outlast_an_operations_lease() {
        assert_eq!(pause(1), Duration::from_millis(20));
        assert_eq!(pause(2), Duration::from_millis(40));
        assert_eq!(pause(50), PAUSE_MAX);
        let all: Duration = (1..TRIES_MAX).map(pause).sum();
        assert!(all > Duration::from_secs(130), "{all:?}");
    }

    #[test]
    fn a_final_refusal_is_not_repeated() {
        let refused = |status: u16| format!(r#"{{"error":{{}},"partner":{{"status":{status},"body":null}}}}"#);
        assert!(is_worth_repeating(StatusCode::BAD_GATEWAY, refused(503).as_bytes()));
        assert!(!is_worth_repeating(StatusCode::BAD_GATEWAY, refused(400).as_bytes()));
        assert!(is_worth_repeating(StatusCode::CONFLICT, b"{}"));
    }

    #[test]
    fn a_list_says_nothing_about_the_provider() {
        assert!(partner_of(br#"[{"fired":0}]"#).is_none());
        assert!(partner_of(br#"{"partner":{"status":null}}"#).is_some_and(|partner| partner.status.is_none()));
    }
}
