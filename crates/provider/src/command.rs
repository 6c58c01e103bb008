//! The one driver of commands: read, look up, judge, commit, deliver, answer.
//!
//! A flow that writes says what is particular about it in a [`Command`]: what it reads, and what it makes of it. The
//! driver does the rest, always in this order:
//!
//! 1. **Read** the state. An error of that is kept until after the look-up: a repeat of what was answered gets its
//!    answer, whatever became of the state since.
//! 2. **Look up** the record of the request ([`Remembers`]). After the state, never before: both are written together,
//!    so whoever sees new state finds the answer of the request that made it.
//! 3. **Judge**: what to write, what is owed, what to answer ([`Change`]).
//! 4. **Commit** state, effects and record in one transaction. If something moved, all over again ([`until_won`]).
//! 5. **Deliver** the lanes that the commit took, inside what the deadline leaves, and answer.
//!
//! Commands that need the provisioner reserve first and are driven by [`crate::operation`], which shares 4 and 5, as do
//! the scheduled close and the expiry of secrets.

use async_trait::async_trait;
use axum::response::Response;
use http::StatusCode;
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::{Key, Write};

use crate::answer::{Answer, respond};
use crate::caller::{PartnerCall, VercelCall};
use crate::commit::{Attempt, Tried, committed, until_won};
use crate::deadline::Deadline;
use crate::delivery::{self, Deliver};
use crate::edge::ApiError;
use crate::effects::What;
use crate::idempotency::{self, Identity, Known, Remembered};
use crate::outbox::{self, Enqueued, Hold, Owed};
use crate::provider::Provider;

/// What a command reads, and what it makes of it.
#[async_trait]
pub(crate) trait Command: Send + Sync {
    /// What it judges by.
    type State: Send;

    /// What it may owe: [`What`], or [`delivery::Nothing`], so that a function whose
    /// commands owe nothing is not linked with every effect.
    type Owes: Deliver;

    /// Reads the state.
    async fn read(&self, provider: &Provider) -> Result<Self::State, ApiError>;

    /// Decides, given the state. May read more; writes nothing that a repeat would have to know of.
    async fn judge(&self, provider: &Provider, state: Self::State) -> Result<Judged<Self::Owes>, ApiError>;

    /// After the commit and before delivering: tidying up that may as well be done later.
    async fn committed(&self, _: &Provider) {}
}

/// What a command decided.
pub(crate) enum Judged<W = What> {
    /// To be committed.
    Change(Change<W>),
    /// This is the answer; nothing is written, and nothing remembered.
    Answer(Answer),
    /// A step on the way was committed: read again.
    Again,
}

/// What is remembered of a request, so that its repeat is answered and changes nothing.
#[async_trait]
pub(crate) trait Remembers: Send + Sync {
    /// The answer that was given.
    async fn answered(&self, provider: &Provider) -> Result<Option<Answer>, ApiError>;

    /// The writes that remember this answer.
    async fn remember(&self, provider: &Provider, answer: &Answer) -> Result<Vec<Write>, ApiError>;

    /// The key of the record, if it is one of [`Remembered`].
    fn key(&self) -> Option<&Key> {
        None
    }
}

/// A request that is known by its idempotency key or its `webhook-id`.
#[async_trait]
impl Remembers for Identity {
    async fn answered(&self, provider: &Provider) -> Result<Option<Answer>, ApiError> {
        Ok(match idempotency::look_up(provider, self).await? {
            Known::Answered(answer) => Some(answer),
            Known::Running(_) | Known::No => None,
        })
    }

    async fn remember(&self, provider: &Provider, answer: &Answer) -> Result<Vec<Write>, ApiError> {
        Ok(Identity::remember(self, answer, provider.clock.now())?.into_iter().collect())
    }

    fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }
}

/// A request that left a record when it began, and waits for whoever finishes it.
pub(crate) struct Waiting<'a>(pub(crate) Option<&'a Key>);

#[async_trait]
impl Remembers for Waiting<'_> {
    async fn answered(&self, _: &Provider) -> Result<Option<Answer>, ApiError> {
        Ok(None)
    }

    async fn remember(&self, provider: &Provider, answer: &Answer) -> Result<Vec<Write>, ApiError> {
        let Some(key) = self.0 else { return Ok(Vec::new()) };
        let Some(mut record) = provider.store.get::<Remembered>(key).await? else { return Ok(Vec::new()) };
        record.item.answer = Some(answer.clone());
        Ok(vec![Write::replace(&record.item, record.version)?])
    }

    fn key(&self) -> Option<&Key> {
        self.0
    }
}

/// Nobody waits for an answer.
pub(crate) const NOBODY: Waiting<'static> = Waiting(None);

/// Makes an answer of the ids of the effects.
pub(crate) type MakeAnswer = Box<dyn FnOnce(&[String]) -> Result<Answer, ApiError> + Send>;

/// An answer, before the effects have their ids.
pub(crate) enum Reply {
    /// As it stands.
    Ready(Answer),
    /// 202 with the ids of the effects: what a partner system gets.
    Accepted,
    /// Made of the ids.
    Of(MakeAnswer),
}

/// What is to be committed together.
pub(crate) struct Change<W = What> {
    writes: Vec<Write>,
    owed: Vec<W>,
    enqueued: Enqueued,
    reply: Reply,
    waits: Option<Key>,
}

impl<W: Owed> Change<W> {
    /// Nothing but an answer that is to be remembered.
    pub(crate) fn of(reply: Reply) -> Self {
        Self { writes: Vec::new(), owed: Vec::new(), enqueued: Enqueued::default(), reply, waits: None }
    }

    /// Nothing but this answer.
    pub(crate) fn answered(answer: Answer) -> Self {
        Self::of(Reply::Ready(answer))
    }

    /// Nothing yet; 202 with the ids of the effects.
    pub(crate) fn accepted() -> Self {
        Self::of(Reply::Accepted)
    }

    /// With these writes, too.
    pub(crate) fn writing(mut self, writes: impl IntoIterator<Item = Write>) -> Self {
        self.writes.extend(writes);
        self
    }

    /// With these effects, too.
    pub(crate) fn owing(mut self, owed: impl IntoIterator<Item = W>) -> Self {
        self.owed.extend(owed);
        self
    }

    /// With effects that are put into their lanes already.
    pub(crate) fn enqueued(mut self, enqueued: Enqueued) -> Self {
        self.enqueued = enqueued;
        self
    }

    /// Another request waits for the same, under the record of this key: it gets the same answer.
    pub(crate) fn awaited(mut self, by: Option<Key>) -> Self {
        self.waits = by;
        self
    }

    /// Commits state, effects and record. `None`: something moved.
    pub(crate) async fn commit(
        self,
        provider: &Provider,
        installation: &InstallationId,
        record: &dyn Remembers,
    ) -> Result<Option<Committed>, ApiError> {
        let Enqueued { writes: lanes, mut holds, mut ids } = self.enqueued;
        let owed = outbox::enqueue(provider, installation, self.owed).await?;
        holds.extend(owed.holds);
        ids.extend(owed.ids);
        let answer = match self.reply {
            Reply::Ready(answer) => answer,
            Reply::Accepted => Answer::json(StatusCode::ACCEPTED, &serde_json::json!({ "effects": ids }))?,
            Reply::Of(make) => make(&ids)?,
        };
        let mut writes = self.writes;
        writes.extend(lanes);
        writes.extend(owed.writes);
        if self.waits.as_ref() != record.key() || self.waits.is_none() {
            writes.extend(record.remember(provider, &answer).await?);
        }
        writes.extend(Waiting(self.waits.as_ref()).remember(provider, &answer).await?);
        Ok(committed(provider, writes).await?.then_some(Committed { answer, holds }))
    }
}

/// What was committed.
pub(crate) struct Committed {
    /// The answer that is remembered.
    pub(crate) answer: Answer,
    /// Lanes to deliver.
    pub(crate) holds: Vec<Hold>,
}

/// Who asks, until when, and what a repeat is recognised by.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// On which installation.
    pub(crate) installation: &'a InstallationId,
    /// What is remembered of it.
    pub(crate) record: &'a dyn Remembers,
    /// Until when to answer.
    pub(crate) deadline: Deadline,
}

impl<'a> Call<'a> {
    /// A call of Vercel's.
    pub(crate) fn of_vercel(call: &'a VercelCall) -> Result<Self, ApiError> {
        Ok(Self { installation: call.installation()?, record: &call.identity, deadline: call.deadline })
    }

    /// A call of a partner system.
    pub(crate) fn of_partner(call: &'a PartnerCall) -> Self {
        Self { installation: &call.installation, record: &call.identity, deadline: call.deadline }
    }
}

/// Runs a command to its answer.
pub(crate) async fn run<C: Command>(provider: &Provider, call: Call<'_>, command: &C) -> Result<Answer, ApiError> {
    let committed = until_won(provider, call.deadline, &mut Run { call, command }).await?;
    delivery::deliver_all::<C::Owes>(provider, committed.holds, call.deadline).await;
    Ok(committed.answer)
}

/// Runs a command, and gives its answer.
pub(crate) async fn answer<C: Command>(provider: &Provider, call: Call<'_>, command: &C) -> Result<Response, ApiError> {
    let answer = run(provider, call, command).await?;
    respond(provider, call.installation, answer).await
}

struct Run<'a, C> {
    call: Call<'a>,
    command: &'a C,
}

#[async_trait]
impl<C: Command> Attempt for Run<'_, C> {
    type Output = Committed;

    async fn attempt(&mut self, provider: &Provider) -> Result<Tried<Committed>, ApiError> {
        let done = |answer| Tried::Through(Committed { answer, holds: Vec::new() });
        let state = self.command.read(provider).await;
        if let Some(answer) = self.call.record.answered(provider).await? {
            return Ok(done(answer));
        }
        Ok(match self.command.judge(provider, state?).await? {
            Judged::Change(change) => {
                let committed = change.commit(provider, self.call.installation, self.call.record).await?;
                if committed.is_some() {
                    self.command.committed(provider).await;
                }
                Tried::or_lost(committed)
            }
            Judged::Answer(answer) => done(answer),
            Judged::Again => Tried::Step,
        })
    }
}
