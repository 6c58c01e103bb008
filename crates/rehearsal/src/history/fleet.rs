//! The provider: some processes on one table, each with a clock, chance and memory of its own. One that dies is
//! replaced at the next request it would have got.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use jiff::SignedDuration;
use tower::ServiceExt as _;
use tradepost_host::guarded;
use tradepost_marketplace::doors::{BusinessClock, Clock, Entropy, LeaseClock, Sleeper};
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError, RESPONSE_BYTES_MAX};
use tradepost_provider::catalog::Catalog;
use tradepost_provider::{Doors, flows};
use tradepost_store::{Backend, Store};

use super::dice::{Dice, Drawn, Stream};
use super::doors::{Ghosts, Late, Network, Table};
use super::fate::Fate;
use super::life::Life;
use super::sabotage::Sabotage;
use super::time::{Lease, SKEW_MAX_MS, Skewed, Waits};
use super::{PROVISIONER, VERCEL, lock};
use crate::whole::{REQUEST_DEADLINE, configured};

/// How many processes serve.
const PROCESSES: usize = 2;

/// What every process is made of.
pub(super) struct Recipe {
    pub(super) dice: Dice,
    pub(super) fate: Fate,
    pub(super) catalog: Catalog,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lease: Arc<Lease>,
    /// The network, without faults.
    pub(super) network: HttpDoor,
    /// The table, likewise.
    pub(super) table: Arc<dyn Backend>,
    pub(super) late: Late,
    pub(super) sabotage: Option<Sabotage>,
}

struct Process {
    life: Life,
    router: Router,
}

/// The provider as its callers reach it.
pub(super) struct Fleet {
    recipe: Recipe,
    ghosts: Ghosts,
    processes: Mutex<Vec<Process>>,
    started: Mutex<u64>,
}

impl Fleet {
    pub(super) fn start(recipe: Recipe) -> anyhow::Result<Self> {
        let fleet = Self { recipe, ghosts: Ghosts::default(), processes: Mutex::default(), started: Mutex::new(0) };
        for _ in 0..PROCESSES {
            let process = fleet.process()?;
            lock(&fleet.processes).push(process);
        }
        Ok(fleet)
    }

    /// A new process, with nothing in its memory.
    fn process(&self) -> anyhow::Result<Process> {
        let number = {
            let mut started = lock(&self.started);
            *started += 1;
            *started
        };
        let Recipe { dice, fate, catalog, clock, lease, network, table, late, sabotage } = &self.recipe;
        let life = Life::new();
        let mut drawn = Stream::new(*dice, &format!("process/{number}"));
        let by = SignedDuration::from_millis(drawn.between(-SKEW_MAX_MS, SKEW_MAX_MS));
        fate.tell(&format!("      process {number} starts, its clock {} ms off", by.as_millis()));
        let clock = BusinessClock(Arc::new(Skewed { clock: clock.clone(), by }));
        let sleeper: Arc<dyn Sleeper> = Arc::new(Waits(lease.clone()));
        let entropy: Arc<dyn Entropy> = Arc::new(Drawn::new(*dice, &format!("entropy/{number}")));
        let http: HttpDoor = Arc::new(Network {
            name: "provider",
            inner: network.clone(),
            fate: fate.clone(),
            lease: Some(lease.clone()),
            life: Some(life.clone()),
            late: Some(late.clone()),
            sabotage: *sabotage,
        });
        let table = Arc::new(Table {
            inner: table.clone(),
            fate: fate.clone(),
            lease: lease.clone(),
            life: life.clone(),
            ghosts: self.ghosts.clone(),
            sabotage: *sabotage,
        });
        let lease = LeaseClock(lease.clone());
        let store = Store::new(table, sleeper.clone(), entropy.clone()).without_ttl();
        let doors = Doors { store, deadline: REQUEST_DEADLINE, clock, lease, sleeper, entropy };
        let provider = configured(VERCEL, PROVISIONER, catalog.clone())?.provider(&http, doors);
        Ok(Process { life, router: guarded("tradepost", flows::all(&provider)) })
    }

    /// The process that gets a request: alive when it gets it.
    fn route(&self) -> anyhow::Result<(Life, Router)> {
        let drawn = usize::try_from(self.recipe.fate.draw("route")).unwrap_or_default() % PROCESSES;
        let is_over = lock(&self.processes).get(drawn).is_none_or(|process| process.life.is_over());
        if is_over {
            let process = self.process()?;
            if let Some(place) = lock(&self.processes).get_mut(drawn) {
                *place = process;
            }
        }
        let processes = lock(&self.processes);
        let process = processes.get(drawn).context("no process serves")?;
        Ok((process.life.clone(), process.router.clone()))
    }
}

#[async_trait]
impl Http for Fleet {
    async fn send(&self, request: http::Request<Bytes>, _: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let (life, router) = self.route().map_err(|error| HttpError::NotSent(format!("{error:#}")))?;
        let response = life.serve(router, request.map(Body::from)).await;
        if response.status() == http::StatusCode::INTERNAL_SERVER_ERROR {
            self.recipe.fate.count("internal errors", 1);
        }
        read(response).await
    }
}

/// A router as a door.
pub(super) struct Routed(pub(super) Router);

#[async_trait]
impl Http for Routed {
    async fn send(&self, request: http::Request<Bytes>, _: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let response = match self.0.clone().oneshot(request.map(Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        read(response).await
    }
}

async fn read(response: axum::response::Response) -> Result<http::Response<Bytes>, HttpError> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, RESPONSE_BYTES_MAX).await.map_err(|_| HttpError::TooLarge)?;
    Ok(http::Response::from_parts(parts, body))
}
