//! Everything that a history plays on, in one thread and without a socket.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use tradepost_marketplace::doors::{BusinessClock, Clock};
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError};
use tradepost_provider::catalog::Catalog;
use tradepost_provider::signing::{ID_HEADER, KEY_ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};
use tradepost_simulator::{ClockMode, Options, Simulator};
use tradepost_store::{InProcess, Store};

use super::dice::{Dice, Drawn};
use super::doors::{Late, Network};
use super::fate::Fate;
use super::fleet::{Fleet, Recipe, Routed};
use super::sabotage::Sabotage;
use super::time::{Lease, Waits};
use super::{PROVIDER, PROVISIONER, VERCEL, unknowns};
use crate::canaries::Canaries;
use crate::development;
use crate::provisioner::DemoProvisioner;

/// How long anybody waits for the provider.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Status and body of an answer; no status if there was none.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) status: Option<u16>,
    pub(super) body: Value,
}

impl Got {
    fn of(result: Result<http::Response<Bytes>, HttpError>) -> Self {
        match result {
            Ok(response) => Self {
                status: Some(response.status().as_u16()),
                body: serde_json::from_slice(response.body()).unwrap_or_default(),
            },
            Err(_) => Self { status: None, body: Value::Null },
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the same request later may go better.
    pub(super) fn is_passing(&self) -> bool {
        self.status.is_none_or(crate::control::is_passing)
    }

    /// For the trace.
    pub(super) fn shown(&self) -> String {
        self.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
    }
}

/// The network without faults: three hosts. It does not keep them, since they all keep it; the stage does.
#[derive(Default)]
struct Switch {
    vercel: OnceLock<Weak<dyn Http>>,
    provisioner: OnceLock<Weak<dyn Http>>,
    provider: OnceLock<Weak<dyn Http>>,
}

#[async_trait]
impl Http for Switch {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let host = request.uri().host().unwrap_or_default();
        let hosts = [(VERCEL, &self.vercel), (PROVISIONER, &self.provisioner), (PROVIDER, &self.provider)];
        let door =
            hosts.iter().find(|(url, _)| url.ends_with(host)).and_then(|(_, door)| door.get()).and_then(Weak::upgrade);
        match door {
            Some(door) => door.send(request, timeout).await,
            None => Err(HttpError::NotSent(format!("nobody is called {host}"))),
        }
    }
}

/// The stage.
pub(super) struct Stage {
    pub(super) fate: Fate,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lease: Arc<Lease>,
    pub(super) table: InProcess,
    pub(super) bare: Store,
    pub(super) provisioner: DemoProvisioner,
    /// Which reading of what nobody knows is played.
    switches: Value,
    control: HttpDoor,
    /// Kept for the switch.
    #[expect(dead_code, reason = "only kept")]
    others: [HttpDoor; 2],
    partner: HttpDoor,
    scheduler: HttpDoor,
    late: Late,
    secret: SigningSecret,
}

impl Stage {
    pub(super) async fn open(seed: u64, start: Timestamp, sabotage: Option<Sabotage>) -> anyhow::Result<Self> {
        let dice = Dice::new(seed);
        let fate = Fate::new(dice);
        let table = InProcess::open().await?;
        let switch = Arc::new(Switch::default());
        let late = Late::default();
        let network: HttpDoor = switch.clone();
        let door = |name: &'static str, late: Option<&Late>| -> HttpDoor {
            Arc::new(Network {
                name,
                inner: network.clone(),
                fate: fate.clone(),
                lease: None,
                life: None,
                late: late.cloned(),
                sabotage: None,
            })
        };
        let mode = ClockMode::Frozen { start };
        let simulator = Simulator::open_with(Options { seed, store: None, clock: mode }, door("vercel", Some(&late)))?;
        let clock = simulator.clock();
        let lease = Lease::new(clock.clone());
        let provisioner = DemoProvisioner::open(
            None,
            seed,
            BusinessClock(clock.clone()),
            development::PROVISIONER_SECRET,
            Canaries::default(),
        )?;
        let control = simulator.port(VERCEL);
        let routed: HttpDoor = Arc::new(Routed(provisioner.router()));
        let _ = switch.vercel.set(Arc::downgrade(&control));
        let _ = switch.provisioner.set(Arc::downgrade(&routed));
        let fleet: HttpDoor = Arc::new(Fleet::start(Recipe {
            dice,
            fate: fate.clone(),
            catalog: Catalog::parse(development::CATALOG).context("the catalog")?,
            clock: clock.clone(),
            lease: lease.clone(),
            network: network.clone(),
            table: Arc::new(table.backend()),
            late: late.clone(),
            sabotage,
        })?);
        let _ = switch.provider.set(Arc::downgrade(&fleet));
        let entropy = Arc::new(Drawn::new(dice, "bare"));
        let bare = Store::new(Arc::new(table.backend()), Arc::new(Waits(lease.clone())), entropy).without_ttl();
        let secret = SigningSecret::parse("the partner's", &SecretString::from(development::PARTNER_SECRET))?;
        let (partner, scheduler) = (door("partner", Some(&late)), door("scheduler", None));
        let others = [routed, fleet];
        let switches = unknowns::draw(dice, &fate).unwrap_or_else(|| json!({}));
        let stage = Self {
            fate,
            clock,
            lease,
            table,
            bare,
            provisioner,
            switches,
            control,
            others,
            partner,
            scheduler,
            late,
            secret,
        };
        stage.register().await?;
        stage.gone(None).await?;
        Ok(stage)
    }

    async fn register(&self) -> anyhow::Result<()> {
        let body = json!({
            "baseUrl": PROVIDER,
            "clientId": development::CLIENT_ID,
            "clientSecret": development::CLIENT_SECRET,
            "cronSecret": development::CRON_SECRET,
        });
        let got = self.control("POST", "/_sim/partner", None, &body).await?;
        anyhow::ensure!(got.is_good(), "the provider cannot be registered: {got:?}");
        Ok(())
    }

    /// Has Vercel say of this installation that it is gone, or of none.
    pub(super) async fn gone(&self, installation: Option<&str>) -> anyhow::Result<()> {
        let mut switches = self.switches.clone();
        switches["gone"] = json!(Vec::from_iter(installation));
        let got = self.control("PUT", "/_sim/switches", None, &switches).await?;
        anyhow::ensure!(got.is_good(), "the switches cannot be set: {got:?}");
        Ok(())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Calls the simulator's control face. There are no faults on this way; on the calls it makes there are.
    pub(super) async fn control(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Got> {
        let method = Method::from_bytes(method.as_bytes())?;
        let mut request = Request::builder().method(method).uri(format!("{VERCEL}{path}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        Ok(Got::of(self.control.send(request.body(body)?, TIMEOUT).await))
    }

    /// Moves business time, doing all that falls due on Vercel's side. What is late arrives before.
    pub(super) async fn advance(&self, by: SignedDuration) -> anyhow::Result<()> {
        self.late.arrive(&self.fate).await;
        let to = self.now().checked_add(by)?;
        let got = self.control("POST", "/_sim/clock", None, &json!({ "to": to.to_string() })).await?;
        anyhow::ensure!(got.is_good(), "time does not move: {got:?}");
        self.late.arrive(&self.fate).await;
        Ok(())
    }

    /// What is late arrives.
    pub(super) async fn arrive(&self) {
        self.late.arrive(&self.fate).await;
    }

    /// One call of a partner system, signed now; its clock is `off` milliseconds off.
    pub(super) async fn partner(&self, id: &str, path: &str, body: &str, off: i64) -> anyhow::Result<Got> {
        let at = self.now().checked_add(SignedDuration::from_millis(off))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{PROVIDER}{path}"))
            .header("content-type", "application/json")
            .header(KEY_ID_HEADER, development::PARTNER_KEY_ID)
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, at.as_second().to_string())
            .header(SIGNATURE_HEADER, sign(&self.secret, id, at, body.as_bytes()))
            .body(Bytes::copy_from_slice(body.as_bytes()))?;
        Ok(Got::of(self.partner.send(request, TIMEOUT).await))
    }

    /// One call of the scheduler's.
    pub(super) async fn cron(&self, path: &str) -> anyhow::Result<Got> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("{PROVIDER}{path}"))
            .header("authorization", format!("Bearer {}", development::CRON_SECRET))
            .body(Bytes::new())?;
        Ok(Got::of(self.scheduler.send(request, TIMEOUT).await))
    }
}
