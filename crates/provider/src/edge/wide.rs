//! The wide event: the one line of the log that says everything about a request, whatever came of it.
//!
//! [`Field`] lists all that can stand in it; `docs/logging.md` says what each means, and a test compares the two.
//! A flow says what it knows with [`note`], or [`count`] for what adds up; a field that nobody noted is not there.
//! What may be noted is what converts into a [`Noted`]: numbers, flags, constants and ids, so that no body and no
//! secret gets in. Some numbers are metrics as well ([`Field::metric`]); how they reach a cloud's alarms is the
//! business of whoever writes the lines.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Value;
use tradepost_marketplace::ids::{InstallationId, ResourceId};

use super::trace::{Call, Trace};

/// The longest text of a field, in characters; what is longer is cut.
const TEXT_CHARS_MAX: usize = 256;

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What can stand in the wide event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field {
            $($(#[$doc])* $variant,)+
        }

        impl Field {
            /// All of them, for whoever documents or measures them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        fn emit(values: &Values) {
            tracing::info!({ $($name = values.get(Field::$variant)),+ }, "request");
        }
    };
}

fields! {
    /// The method.
    HttpMethod = "http.method",
    /// The route, never the path: a path may carry what a log must not.
    HttpRoute = "http.route",
    /// The status answered; none if the caller went away before.
    HttpStatus = "http.status",
    /// How long it took.
    DurationMs = "duration_ms",
    /// What was left of the request's time when it was answered; negative if it took longer.
    DeadlineLeftMs = "deadline.left_ms",
    /// That the caller went away before the answer.
    RequestCancelled = "request.cancelled",
    /// The code of the error answered, as in `docs/errors.md`.
    ErrorCode = "error.code",
    /// Why, for us.
    ErrorCause = "error.cause",
    /// Who was let in: see [`CallerKind`].
    CallerKind = "caller.kind",
    /// Whose installation it is about.
    InstallationId = "installation.id",
    /// Which resource it is about.
    ResourceId = "resource.id",
    /// The key that a partner system signed with.
    PartnerKeyId = "partner.key_id",
    /// What a partner system asked for: the `type` of its body.
    PartnerType = "partner.type",
    /// The type of Vercel's webhook.
    WebhookType = "webhook.type",
    /// That it was answered before, and got the same answer.
    RequestRepeated = "request.repeated",
    /// Tries of calls to DynamoDB.
    StoreCalls = "store.calls",
    /// Tries of calls to Vercel: its API, its issuer.
    VercelCalls = "vercel.calls",
    /// Calls to the provisioner.
    ProvisionerCalls = "provisioner.calls",
    /// Effects that were delivered.
    EffectsDelivered = "effects.delivered",
    /// Effects that were tried and wait for another try.
    EffectsWaiting = "effects.waiting",
    /// Effects that were refused for good.
    DeadLetters = "effects.dead_letters",
    /// Readings taken.
    ReadingsAccepted = "readings.accepted",
    /// Readings refused.
    ReadingsRefused = "readings.refused",
    /// Shards that were due.
    PushShardsDue = "push.shards_due",
    /// Shards that another run was serving.
    PushShardsBusy = "push.shards_busy",
    /// Shards served to their end.
    PushShardsServed = "push.shards_served",
    /// Installations pushed.
    PushInstallations = "push.installations",
    /// Installations whose push failed.
    PushFailed = "push.failed",
    /// How old the figures are that Vercel has of the installation furthest behind; 0 if none is late.
    PushLagSeconds = "push.lag_seconds",
    /// Days whose last figures Vercel does not take any more, or refused.
    PushDaysLost = "push.days_lost",
    /// What was stopped or held because of a doubtful answer of Vercel's, and waits for a person.
    Held = "held",
    /// Lanes that were due.
    SweepLanesDue = "sweep.lanes_due",
    /// Lanes that somebody else was delivering.
    SweepLanesBusy = "sweep.lanes_busy",
    /// Lanes that could not be taken up for a reason of ours.
    SweepLanesFailed = "sweep.lanes_failed",
    /// Lanes left for the next sweep, for want of time.
    SweepLanesLeft = "sweep.lanes_left",
    /// For how long the oldest effect has been due that the sweep found and did not get rid of; 0 if there is none.
    OutboxAgeSeconds = "outbox.age_seconds",
    /// Operations that were finished for callers who never came back.
    OperationsFinished = "operations.finished",
    /// Operations left behind that still do not go through.
    OperationsFailed = "operations.failed",
    /// Periods closed.
    PeriodsClosed = "periods.closed",
    /// Periods that could not be closed.
    PeriodsFailed = "periods.failed",
    /// Periods left for the next run, for want of time.
    PeriodsLeft = "periods.left",
    /// Rotations whose old secrets are being revoked.
    RotationsExpired = "rotations.expired",
    /// Rotations that Vercel has not confirmed.
    RotationsUnconfirmed = "rotations.unconfirmed",
    /// Rotations that could not be looked at.
    RotationsFailed = "rotations.failed",
    /// Rotations left for the next run, for want of time.
    RotationsLeft = "rotations.left",
}

/// A number of the wide event that alarms look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name where metrics are kept.
    pub name: &'static str,
    /// Its unit, in `CloudWatch`'s words.
    pub unit: &'static str,
}

impl Field {
    /// What the field is as a metric, if it is one.
    pub const fn metric(self) -> Option<Metric> {
        match self {
            Self::PushLagSeconds => Some(Metric { name: "PushLagSeconds", unit: "Seconds" }),
            Self::PushDaysLost => Some(Metric { name: "PushDaysLost", unit: "Count" }),
            Self::OutboxAgeSeconds => Some(Metric { name: "OutboxAgeSeconds", unit: "Seconds" }),
            Self::DeadLetters => Some(Metric { name: "DeadLetters", unit: "Count" }),
            Self::Held => Some(Metric { name: "Held", unit: "Count" }),
            _ => None,
        }
    }
}

/// Who was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// Vercel, on behalf of a person.
    VercelUser,
    /// Vercel by itself.
    VercelSystem,
    /// Vercel's webhooks.
    VercelWebhook,
    /// A partner system.
    Partner,
    /// The scheduler.
    Scheduler,
    /// A person's browser.
    Browser,
}

impl CallerKind {
    /// All of them, for the documentation.
    pub const ALL: [Self; 6] =
        [Self::VercelUser, Self::VercelSystem, Self::VercelWebhook, Self::Partner, Self::Scheduler, Self::Browser];

    /// As it stands in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VercelUser => "vercel_user",
            Self::VercelSystem => "vercel_system",
            Self::VercelWebhook => "vercel_webhook",
            Self::Partner => "partner",
            Self::Scheduler => "scheduler",
            Self::Browser => "browser",
        }
    }
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// A short text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl Noted {
    /// A text, cut where it is too long.
    pub fn text(text: impl Display) -> Self {
        let mut text = text.to_string();
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
        }
        Self::Text(text)
    }

    fn as_value(&self) -> &dyn Value {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number,
            Self::Flag(flag) => flag,
        }
    }
}

macro_rules! noted {
    ($($from:ty: $value:pat => $into:expr,)+) => {
        $(impl From<$from> for Noted {
            fn from($value: $from) -> Self {
                $into
            }
        })+
    };
}

noted! {
    &str: text => Self::text(text),
    &InstallationId: id => Self::text(id),
    &ResourceId: id => Self::text(id),
    CallerKind: kind => Self::text(kind.as_str()),
    bool: flag => Self::Flag(flag),
    u16: number => Self::Number(number.into()),
    u32: number => Self::Number(number.into()),
    i64: number => Self::Number(number),
    usize: number => Self::Number(i64::try_from(number).unwrap_or(i64::MAX)),
}

struct Values([Option<Noted>; Field::ALL.len()]);

impl Values {
    fn get(&self, field: Field) -> Option<&dyn Value> {
        self.0[field as usize].as_ref().map(Noted::as_value)
    }
}

/// The wide event of one request, while it is being served.
#[derive(Clone)]
pub(crate) struct Wide(Arc<Inner>);

struct Inner {
    trace: Option<Trace>,
    values: Mutex<Values>,
}

tokio::task_local! {
    static WIDE: Wide;
}

impl Wide {
    /// An event that says nothing yet, but that nothing was called.
    pub(crate) fn new(trace: Option<Trace>) -> Self {
        let values = Mutex::new(Values([const { None }; Field::ALL.len()]));
        let wide = Self(Arc::new(Inner { trace, values }));
        for field in [Field::StoreCalls, Field::VercelCalls, Field::ProvisionerCalls] {
            wide.note(field, 0_u32);
        }
        wide
    }

    /// Runs what serves the request, so that [`note`] finds its event.
    pub(crate) async fn scope<F: Future>(&self, serving: F) -> F::Output {
        WIDE.scope(self.clone(), serving).await
    }

    pub(crate) fn note(&self, field: Field, value: impl Into<Noted>) {
        self.values().0[field as usize] = Some(value.into());
    }

    /// Writes the line.
    pub(crate) fn emit(&self) {
        emit(&self.values());
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says something of the request being served. The last word counts. Never a secret, a body or an e-mail.
pub fn note(field: Field, value: impl Into<Noted>) {
    let _ = WIDE.try_with(|wide| wide.note(field, value));
}

/// Adds to a number of the request being served.
pub fn count(field: Field, more: u32) {
    let _ = WIDE.try_with(|wide| {
        let mut values = wide.values();
        let before = if let Some(Noted::Number(number)) = values.0[field as usize] { number } else { 0 };
        values.0[field as usize] = Some(Noted::Number(before.saturating_add(more.into())));
    });
}

/// The next call out of the request being served, if the request belongs to a trace.
pub(crate) fn call() -> Option<Call> {
    WIDE.try_with(|wide| wide.0.trace.as_ref().map(Trace::call)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/logging.md");

    /// The first column of the table under a heading.
    fn documented(heading: &str) -> Vec<&'static str> {
        let (_, section) = PAGE.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split('`').next()).collect()
    }

    #[test]
    fn every_field_is_documented_and_nothing_else() {
        let names: Vec<&str> = Field::ALL.map(Field::as_str).to_vec();
        assert_eq!(
            documented("\n## The wide event\n"),
            names,
            "docs/logging.md lists other fields, or in another order"
        );
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name twice");
        let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
        assert_eq!(names.iter().find(|name| !plain(name)), None);
        for kind in CallerKind::ALL {
            assert!(PAGE.contains(&format!("`{}`", kind.as_str())), "docs/logging.md lacks {}", kind.as_str());
        }
    }

    #[test]
    fn every_metric_is_documented_with_its_unit() {
        let metrics: Vec<(&str, Metric)> =
            Field::ALL.iter().filter_map(|field| Some((field.as_str(), field.metric()?))).collect();
        for (field, metric) in &metrics {
            let row = format!("| `{}` | `{field}` | {} |", metric.name, metric.unit);
            assert!(PAGE.contains(&row), "docs/logging.md lacks the row {row}");
        }
        assert_eq!(documented("\n## Metrics\n").len(), metrics.len());
    }

    #[tokio::test]
    async fn a_field_has_its_last_word_and_a_count_its_sum() {
        let wide = Wide::new(None);
        wide.scope(async {
            note(Field::InstallationId, "icfg_1");
            note(Field::InstallationId, "x".repeat(TEXT_CHARS_MAX + 9).as_str());
            count(Field::DeadLetters, 1);
            count(Field::DeadLetters, 2);
        })
        .await;
        note(Field::PartnerType, "outside of every request");
        let values = wide.values();
        let noted = Field::ALL.into_iter().filter_map(|field| Some((field, values.0[field as usize].clone()?)));
        let wanted = [
            (Field::InstallationId, Noted::Text("x".repeat(TEXT_CHARS_MAX))),
            (Field::StoreCalls, Noted::Number(0)),
            (Field::VercelCalls, Noted::Number(0)),
            (Field::ProvisionerCalls, Noted::Number(0)),
            (Field::DeadLetters, Noted::Number(3)),
        ];
        assert_eq!(noted.collect::<Vec<_>>(), wanted);
    }
}
