//! The one command in progress on a resource, from reservation to answer.
//!
//! Commands that need the provisioner (create, update, rotate, delete) first *reserve*: one transaction
//! takes the resource's operation and writes the running idempotency record. Then the provisioner is
//! called, with an operation id derived from the request, so that a repeat is the same operation to it.
//! Then one transaction commits the new state, the effects and the answer, on the fence.
//!
//! What fails, and what then:
//! - The caller dies after the reservation: its own retry takes the operation over once the lease has
//!   passed, with the same id and a higher fence. If it never retries, the sweeper finishes it
//!   ([`finish_abandoned`]); the intent is stored in the operation. A create is taken back instead: Vercel
//!   does not know the resource, and nobody may pay for it.
//! - The provisioner does not answer: the lease is given back at once and the caller gets 503; a retry goes
//!   on where this one stopped.
//! - The provisioner refuses for good: the operation ends, the refusal is the remembered answer.
//! - Two commands: the second finds a live operation and gets 409 with Retry-After. Two callers of the same
//!   request: the second waits for the first one's answer.

mod apply;
mod rotate;

pub use apply::{GRACE_SECONDS, resource_body};
pub(crate) use rotate::Rotate;

use async_trait::async_trait;
use jiff::SignedDuration;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_store::{Key, Record, Stored, Write};

use crate::answer::Answer;
use crate::command::{Committed, Waiting};
use crate::commit::{Attempt, Tried, committed, until_won};
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::edge::error::Code;
use crate::edge::wide::{Field, note};
use crate::effects;
use crate::idempotency::{self, Identity, Known, Remembered};
use crate::provider::Provider;
use crate::provisioner::{Done, Kind, Order, ProvisionerError};
use crate::state::{Credentials, Installation, Intent, Operation, Origin, Resource, keys};

/// When to come back to a resource that has a command in progress, in seconds.
pub(crate) const OPERATION_SECONDS: u32 = 5;
/// When to come back after another command overtook this one: at the provisioner, or here.
const OVERTAKEN_THERE_SECONDS: u32 = 2;
const OVERTAKEN_SECONDS: u32 = 1;
/// How long a command holds its resource, in lease time (formats: "Leases").
pub const OPERATION_LEASE_SECONDS: i64 = 120;
/// How long a create waits for its caller's repeat before it is taken back, in business time.
pub const CREATE_GIVEN_UP_SECONDS: i64 = 900;
/// What is kept back from the provisioner for the commit and the answer.
const COMMIT_SECONDS: i64 = 4;

/// A command, before it has its operation.
pub struct Target<'a> {
    /// What the request is recognised by.
    pub identity: &'a Identity,
    /// On which installation's resource.
    pub installation: &'a InstallationId,
    /// Which.
    pub resource: &'a ResourceId,
    /// Until when.
    pub deadline: Deadline,
}

/// How the reservation finds the resource: for a create it makes it.
pub trait Plan: Send + Sync {
    /// What to do with the resource as it is (none: there is none), or why not.
    fn plan(&self, installation: &Installation, resource: Option<&Resource>) -> Result<Planned, ApiError>;
}

/// What a [`Plan`] decided.
pub enum Planned {
    /// Nothing to do: this is the answer already.
    Answer(Answer),
    /// Do this to the resource as given: for a create, the one to be made.
    Go(Box<Resource>, Intent),
}

/// Runs a command to its answer.
pub async fn run(provider: &Provider, target: &Target<'_>, plan: &dyn Plan) -> Result<Answer, ApiError> {
    note(Field::ResourceId, target.resource);
    match reserve(provider, target, plan).await? {
        Reserved::Answer(answer) => Ok(answer),
        Reserved::Operation(resource) => execute(provider, *resource, target.deadline).await,
    }
}

enum Reserved {
    Answer(Answer),
    Operation(Box<Stored<Resource>>),
}

/// Takes the resource's operation, or finds the answer.
async fn reserve(provider: &Provider, target: &Target<'_>, plan: &dyn Plan) -> Result<Reserved, ApiError> {
    let id = keys::derive_operation(target.installation, "", &target.identity.seed);
    let key = Resource::key_of(target.installation, target.resource);
    until_won(provider, target.deadline, &mut Reserve { target, plan, id, key }).await
}

struct Reserve<'a> {
    target: &'a Target<'a>,
    plan: &'a dyn Plan,
    id: String,
    key: Key,
}

#[async_trait]
impl Attempt for Reserve<'_> {
    type Output = Reserved;

    async fn attempt(&mut self, provider: &Provider) -> Result<Tried<Reserved>, ApiError> {
        let Self { target, plan, id, key } = self;
        let Seen { resource, record } = match look(provider, target, key, id).await? {
            Look::Answer(answer) => return Ok(Tried::Through(Reserved::Answer(answer))),
            Look::Seen(seen) => *seen,
        };
        match resource.as_ref().and_then(|resource| Some((resource, resource.operation.as_ref()?))) {
            Some((_, operation)) if operation.lease_until > provider.lease.now() => {
                Err(ApiError::busy(OPERATION_SECONDS))
            }
            Some((resource, operation)) if operation.id == *id && !operation.given_up => {
                let taken = take_over(provider, resource, false).await?;
                Ok(Tried::or_lost(taken.map(|taken| Reserved::Operation(Box::new(taken)))))
            }
            Some(_) => {
                finish_abandoned(provider, key, target.deadline).await?;
                Ok(Tried::Step)
            }
            None => Ok(Tried::or_lost(first_reservation(provider, target, *plan, record, resource, id).await?)),
        }
    }
}

/// What is there when a command comes.
enum Look {
    /// The answer that was given.
    Answer(Answer),
    /// No answer yet.
    Seen(Box<Seen>),
}

struct Seen {
    resource: Option<Stored<Resource>>,
    record: Option<Stored<Remembered>>,
}

/// Looks, once nobody works on this very request: until then its answer, or the end of its lease, is waited for.
async fn look(provider: &Provider, target: &Target<'_>, key: &Key, id: &str) -> Result<Look, ApiError> {
    loop {
        // The state first, then the record: they are written together, so new state means that the answer of
        // whoever made it is there.
        let resource = provider.store.get::<Resource>(key).await?;
        let record = match idempotency::look_up(provider, target.identity).await? {
            Known::Answered(answer) => return Ok(Look::Answer(answer)),
            Known::Running(record) => Some(record),
            Known::No => None,
        };
        let operation = resource.as_ref().and_then(|resource| resource.operation.as_ref());
        if operation.is_none_or(|at_work| at_work.id != id || at_work.lease_until <= provider.lease.now()) {
            return Ok(Look::Seen(Box::new(Seen { resource, record })));
        }
        idempotency::pause(provider, target.deadline).await?;
    }
}

/// One try at the transaction that takes a free resource. `None`: it lost a race.
async fn first_reservation(
    provider: &Provider,
    target: &Target<'_>,
    plan: &dyn Plan,
    record: Option<Stored<Remembered>>,
    stored: Option<Stored<Resource>>,
    id: &str,
) -> Result<Option<Reserved>, ApiError> {
    let key = Installation::key_of(target.installation);
    let Some(mut installation) = provider.store.get::<Installation>(&key).await? else {
        return Err(ApiError::not_found("installation"));
    };
    let live = stored.as_ref().map(|resource| &resource.item);
    let (mut resource, intent) = match plan.plan(&installation, live)? {
        Planned::Go(resource, intent) => (*resource, intent),
        Planned::Answer(answer) => {
            let now = provider.clock.now();
            let writes: Vec<Write> = match (&record, target.identity.finished(&answer, now)) {
                (Some(record), Some(finished)) => vec![Write::replace(&finished, record.version)?],
                (None, Some(finished)) => vec![Write::create(&finished)?],
                (_, None) => Vec::new(),
            };
            let done = committed(provider, writes).await?;
            return Ok(done.then_some(Reserved::Answer(answer)));
        }
    };
    let held = provider.store.get::<Credentials>(&Credentials::key_of(&resource.installation, &resource.id)).await?;
    let held = held.map_or(0, |held| held.secrets_version);
    if intent.origin == Origin::Vercel {
        // Whatever comes of it: who names a resource knows it.
        resource.life = resource.life.known();
    }
    resource.fence += 1;
    resource.operation = Some(Operation {
        secrets_version: if matches!(intent.kind, Kind::Create | Kind::Rotate) { held + 1 } else { held },
        answers: target.identity.key.clone(),
        ..operation(provider, id, resource.fence, intent)
    });
    let version = stored.as_ref().map(|resource| resource.version);
    let mut writes = if let Some(version) = version {
        vec![Write::replace(&resource, version)?, Write::check(key, installation.version)]
    } else {
        installation.item.resources_live += 1;
        installation.item.resources_kept += 1;
        // Vercel calls about it, so it has it.
        installation.item.gone_since = None;
        vec![Write::create(&resource)?, Write::replace(&installation.item, installation.version)?]
    };
    match (&record, &target.identity.key) {
        (Some(record), _) => writes.push(Write::check(record.item.key(), record.version)),
        (None, Some(_)) => {
            let running = target.identity.running(id, provider.clock.now());
            writes.extend(running.map(|record| Write::create(&record)).transpose()?);
        }
        (None, None) => {}
    }
    if committed(provider, writes).await? {
        let version = version.map_or(1, |version| version + 1);
        return Ok(Some(Reserved::Operation(Box::new(Stored { item: resource, version }))));
    }
    Ok(None)
}

/// An operation that is held from now on.
fn operation(provider: &Provider, id: &str, fence: u64, intent: Intent) -> Operation {
    let lease = SignedDuration::from_secs(OPERATION_LEASE_SECONDS);
    let now = provider.clock.now();
    let sweep = match intent.kind {
        Kind::Create => SignedDuration::from_secs(CREATE_GIVEN_UP_SECONDS),
        _ => lease,
    };
    Operation {
        id: id.to_owned(),
        fence,
        lease_until: provider.lease.now().after(lease),
        intent,
        secrets_version: 0,
        asked_at: now,
        given_up: false,
        answers: None,
        sweep_at: now.saturating_add(sweep).unwrap_or(now),
    }
}

/// Continues an operation whose holder is gone, under a new fence. `give_up` writes down, before anything is
/// done about it, that it is being taken back. `None`: somebody else was faster.
async fn take_over(
    provider: &Provider,
    stored: &Stored<Resource>,
    give_up: bool,
) -> Result<Option<Stored<Resource>>, ApiError> {
    let Some(old) = stored.operation.clone() else { return Ok(None) };
    let mut next = stored.item.clone();
    next.fence += 1;
    next.operation = Some(Operation {
        secrets_version: old.secrets_version,
        asked_at: old.asked_at,
        given_up: old.given_up || give_up,
        answers: old.answers,
        ..operation(provider, &old.id, next.fence, old.intent)
    });
    let version = stored.version + 1;
    let taken = committed(provider, vec![Write::replace(&next, stored.version)?]).await?;
    Ok(taken.then_some(Stored { item: next, version }))
}

/// Finishes an operation whose caller never came back, if its lease has passed. True if there was one.
pub async fn finish_abandoned(provider: &Provider, key: &Key, deadline: Deadline) -> Result<bool, ApiError> {
    let Some(stored) = provider.store.get::<Resource>(key).await? else { return Ok(false) };
    let Some(operation) = &stored.operation else { return Ok(false) };
    if operation.lease_until > provider.lease.now() {
        return Ok(false);
    }
    let creates = operation.intent.kind == Kind::Create;
    let Some(taken) = take_over(provider, &stored, creates).await? else { return Ok(false) };
    if creates {
        give_up(provider, taken, deadline).await?;
    } else {
        execute(provider, taken, deadline).await?;
    }
    Ok(true)
}

/// Takes back a create whose caller never came back: Vercel does not know the resource, so it must be neither
/// kept nor billed. A repeat of the request is told to ask anew.
async fn give_up(provider: &Provider, resource: Stored<Resource>, deadline: Deadline) -> Result<(), ApiError> {
    let Some(operation) = resource.operation.clone() else { return Ok(()) };
    let mut order = order(&resource, &operation)?;
    order.operation_id = keys::derive_operation(&resource.installation, "give_up", &operation.id);
    order.kind = Kind::Delete;
    match provider.provisioner()?.send(&order, deadline.less(COMMIT_SECONDS)).await {
        Ok(_) => {}
        Err(error) => {
            release(provider, &resource).await?;
            return Err(ApiError::unavailable(error));
        }
    }
    let error = ApiError::conflict("this request was given up because nobody repeated it; ask again with a new key");
    finish(provider, resource, &operation, Err(error), deadline).await.map(|_| ())
}

/// Gives the operation's lease back: the next one goes on at once.
async fn release(provider: &Provider, resource: &Stored<Resource>) -> Result<(), ApiError> {
    let mut released = resource.item.clone();
    if let Some(operation) = &mut released.operation {
        operation.lease_until = provider.lease.now();
    }
    committed(provider, vec![Write::replace(&released, resource.version)?]).await.map(|_| ())
}

/// Calls the provisioner and commits what it said.
async fn execute(provider: &Provider, resource: Stored<Resource>, deadline: Deadline) -> Result<Answer, ApiError> {
    let Some(operation) = resource.operation.clone() else {
        return Err(ApiError::internal("an operation is executed that is not there"));
    };
    let order = order(&resource, &operation)?;
    match provider.provisioner()?.send(&order, deadline.less(COMMIT_SECONDS)).await {
        Ok(done) if done.secrets.is_none() && matches!(order.kind, Kind::Create | Kind::Rotate) => {
            // Every repeat would be answered the same: better refused than stuck.
            tracing::error!(resource = %resource.id, "the provisioner's answer to a create or rotate has no secrets");
            if order.kind == Kind::Create {
                give_up(provider, resource, deadline).await?;
                return Err(ApiError::internal("a create without secrets was taken back"));
            }
            let error = ApiError::new(Code::Unprocessable, "the product made no new secrets");
            finish(provider, resource, &operation, Err(error), deadline).await
        }
        Ok(done) => finish(provider, resource, &operation, Ok(&done), deadline).await,
        Err(ProvisionerError::Refused { code, message, user, fields }) => {
            let mut error = ApiError::new(Code::Unprocessable, message).because(format!("provisioner: {code}"));
            if !fields.is_empty() {
                error.code = Code::ValidationError;
            }
            error.user = Some(Box::new(user));
            error.fields = fields;
            finish(provider, resource, &operation, Err(error), deadline).await
        }
        Err(ProvisionerError::StaleFence) => {
            Err(ApiError::busy(OVERTAKEN_THERE_SECONDS).because("overtaken at the provisioner"))
        }
        Err(ProvisionerError::Unavailable(cause)) => {
            release(provider, &resource).await?;
            Err(ApiError::unavailable(cause))
        }
    }
}

fn order(resource: &Resource, operation: &Operation) -> Result<Order, ApiError> {
    let intent = &operation.intent;
    let asked_at = operation.asked_at;
    let metadata = intent.metadata.as_ref().unwrap_or(&resource.metadata).clone();
    Ok(Order {
        operation_id: operation.id.clone(),
        fence: operation.fence,
        kind: intent.kind,
        installation_id: resource.installation.clone(),
        resource_id: resource.id.clone(),
        product_id: resource.product.clone(),
        plan_id: intent.plan.clone().or_else(|| resource.plan_at(asked_at).cloned()),
        effective_at: apply::plan_change_at(resource, intent, asked_at).filter(|at| *at > asked_at),
        name: intent.name.as_ref().unwrap_or(&resource.name).clone(),
        metadata: serde_json::value::RawValue::from_string(metadata).map_err(ApiError::internal)?,
        secrets_version: operation.secrets_version,
    })
}

/// Commits the end of an operation: state, effects and answer, on its fence.
async fn finish(
    provider: &Provider,
    resource: Stored<Resource>,
    operation: &Operation,
    result: Result<&Done, ApiError>,
    deadline: Deadline,
) -> Result<Answer, ApiError> {
    let committed = until_won(provider, deadline, &mut Finish { resource, operation, result }).await?;
    effects::deliver_all(provider, committed.holds, deadline).await;
    Ok(committed.answer)
}

struct Finish<'a> {
    resource: Stored<Resource>,
    operation: &'a Operation,
    result: Result<&'a Done, ApiError>,
}

#[async_trait]
impl Attempt for Finish<'_> {
    type Output = Committed;

    async fn attempt(&mut self, provider: &Provider) -> Result<Tried<Committed>, ApiError> {
        let Self { resource, operation, result } = self;
        let change = match result {
            Ok(done) => apply::done(provider, resource, operation, done).await?,
            Err(error) => apply::refused(provider, resource, operation, error).await?,
        };
        let waiting = Waiting(operation.answers.as_ref());
        if let Some(committed) = change.commit(provider, &resource.installation, &waiting).await? {
            return Ok(Tried::Through(committed));
        }
        let key = Resource::key_of(&resource.installation, &resource.id);
        let Some(again) = provider.store.get::<Resource>(&key).await? else {
            return Err(ApiError::busy(OVERTAKEN_SECONDS).because("the resource went while its operation ran"));
        };
        if again.operation.as_ref().is_none_or(|now| now.fence != operation.fence) {
            return Err(ApiError::busy(OVERTAKEN_SECONDS).because("the operation was overtaken"));
        }
        *resource = again;
        Ok(Tried::Lost)
    }
}
