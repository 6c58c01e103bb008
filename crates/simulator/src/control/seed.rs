//! `POST /_sim/seed`: many installations at once, for benchmarks, by real calls in parallel.
//!
//! Ids are derived from the call and a number, not from who came first: the state is the same however the
//! calls interleave. Only the order of `/_sim/requests` is not.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Inner;
use crate::control::{Act, Answer, installations, resources};
use crate::refusal::{Refusal, json_response};

/// The most installations of one call.
const INSTALLATIONS_MAX: u32 = 100_000;
/// The most resources of each.
const RESOURCES_EACH_MAX: u32 = 1_000;
/// How many installations are made at once.
const AT_ONCE: usize = 16;
/// How many failures are explained.
const EXPLAINED_MAX: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SeedBody {
    installations: u32,
    resources_each: u32,
    /// What is provisioned; as the first resource there is, if it is not said.
    product_id: Option<String>,
    plan_id: Option<String>,
}

/// What became of one installation.
#[derive(Default)]
struct Made {
    installations: u32,
    resources: u32,
    failures: Vec<String>,
}

impl SeedBody {
    /// The product and plan to provision.
    fn product(&self, simulator: &Inner) -> Result<(String, String), Refusal> {
        let first = simulator.store.read(|world| {
            let plan = |plan: &crate::wire::Plan| plan.id().to_owned();
            world
                .resources
                .iter()
                .find_map(|(_, row)| Some((row.product_id.clone(), row.billing_plan.as_ref().map(plan)?)))
        });
        let (product, plan) = first.unzip();
        let pair = self.product_id.clone().or(product).zip(self.plan_id.clone().or(plan));
        let why = "there is no resource yet to take productId and planId from; say them";
        if self.resources_each == 0 {
            Ok(pair.unwrap_or_default())
        } else {
            pair.ok_or_else(|| Refusal::bad_request(why))
        }
    }
}

/// Installs and provisions; counts what was made and what was not.
pub(crate) async fn seed(act: &Act<'_>, body: SeedBody) -> Answer {
    if body.installations > INSTALLATIONS_MAX || body.resources_each > RESOURCES_EACH_MAX {
        let why = format!("at most {INSTALLATIONS_MAX} installations with {RESOURCES_EACH_MAX} resources each");
        return Err(Refusal::bad_request(why));
    }
    let product = Arc::new(body.product(act.simulator)?);
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for number in 0..body.installations {
        let (simulator, product, slots) = (act.simulator.clone(), product.clone(), slots.clone());
        let (name, resources_each) = (format!("{}/{number:06}", act.name), body.resources_each);
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            make(&simulator, &name, &product, resources_each).await
        });
    }
    let mut all = Made::default();
    while let Some(made) = tasks.join_next().await {
        let made = made.map_err(|_| Refusal::internal("the simulator failed; see its log"))?;
        all.installations += made.installations;
        all.resources += made.resources;
        all.failures.extend(made.failures);
    }
    all.failures.sort();
    let failed = all.failures.len();
    all.failures.truncate(EXPLAINED_MAX);
    let answer = json!({
        "failed": failed, "failures": all.failures, "installations": all.installations, "resources": all.resources,
    });
    Ok(json_response(StatusCode::OK, &answer))
}

/// One installation and its resources, as a customer would make them.
async fn make(simulator: &Arc<Inner>, name: &str, product: &(String, String), resources_each: u32) -> Made {
    let mut made = Made::default();
    let act = |name: String| Act { simulator, name, key: None };
    let install = act(name.to_owned());
    let id = installations::derived_id(&install);
    if !made.took(name, installations::install(&install, installations::InstallBody::default()).await) {
        return made;
    }
    made.installations = 1;
    for number in 0..resources_each {
        let name = format!("{name}/{number:04}");
        let body = resources::ProvisionBody::plain(&product.0, &product.1, &format!("resource-{number}"));
        let is_made = made.took(&name, resources::provision(&act(name.clone()), &id, body).await);
        made.resources += u32::from(is_made);
    }
    made
}

impl Made {
    /// Whether a call made what it should; if not, why.
    fn took(&mut self, name: &str, answer: Answer) -> bool {
        let why = match answer {
            Ok(response) if response.status() == StatusCode::CREATED => return true,
            Ok(response) => String::from_utf8_lossy(response.body()).into_owned(),
            Err(refusal) => refusal.message,
        };
        self.failures.push(format!("{name}: {why}"));
        false
    }
}
