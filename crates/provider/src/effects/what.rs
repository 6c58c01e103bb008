//! What can be owed: every kind of effect, by name.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::ResourceId;
use tradepost_store::Key;

use crate::invoice::Hint;
use crate::outbox::{self, Class, Owed};
use crate::state::{InvoicePhase, Origin, Resource, keys};

/// An effect, waiting.
pub type Effect = outbox::Effect<What>;
/// An effect that may be settled.
pub type Stuck = outbox::Stuck<What>;

/// How long what an answer may have told waits to be told anew: until the answer has had time to arrive.
const ANSWER_WAIT: SignedDuration = SignedDuration::from_mins(2);
/// How long Vercel has to repeat a delete whose answer it did not get, before it is told.
const REMOVAL_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// How long Vercel has to repeat a create whose answer it did not get, before it is asked whether it knows the resource.
const CONFIRM_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How long the webhook of a refund that we asked for has, before the invoice is read for it.
const REFUND_WAIT: SignedDuration = SignedDuration::from_hours(2);
/// How long Vercel has to take our answer to its own request, before what it asked for is carried on: it may hold the
/// resource until it has the answer, and a call about it in that time would wait, or be refused (spec, doubtful
/// readings).
const ANSWERED_WAIT: SignedDuration = SignedDuration::from_secs(5);

/// When something is owed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Now.
    #[default]
    Now,
    /// Once Vercel has had the answer to the request that made it owed.
    AnswerTaken,
}

impl When {
    /// Of what this side asked for.
    pub const fn asked_by(origin: Origin) -> Self {
        match origin {
            Origin::Vercel => Self::AnswerTaken,
            Origin::Partner => Self::Now,
        }
    }
}

/// Why Vercel is to read a resource again. Each has a slot of its own: one that is due now is not put off by one that
/// is due later, nor the other way round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Something changed on our side.
    #[default]
    Change,
    /// Vercel asked for a change, and the answer may have been lost.
    Answer,
    /// A plan begins, at an instant that was in the future when it was chosen.
    PlanBegins(Timestamp),
}

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Tell Vercel to read the resource again (A.7).
    ResourceUpdated {
        /// Which.
        resource: ResourceId,
        /// Why.
        #[serde(default)]
        news: News,
    },
    /// Ask Vercel whether it knows a resource that it had made (A.9), and take it back if not.
    ConfirmResource {
        /// Which.
        resource: ResourceId,
        /// The key of the idempotency record of its create.
        #[serde(default, with = "keys::pair")]
        answers: Option<Key>,
    },
    /// Have Vercel forget a resource that it asked to delete (A.12), should the answer have been lost.
    RemoveResource {
        /// Which.
        resource: ResourceId,
    },
    /// Tell Vercel to read the installation again (A.7).
    InstallationUpdated,
    /// Read an invoice (A.15) and book what it says.
    ReadInvoice {
        /// Ours.
        number: u32,
        /// What the webhook said.
        hint: Option<Hint>,
        /// Whether it is read for a refund that we asked for, until that is over: its webhook may never come.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follows_refund: bool,
    },
    /// Hand the current secrets to Vercel (A.18).
    PutSecrets {
        /// Of which resource.
        resource: ResourceId,
        /// From when on.
        #[serde(default)]
        when: When,
    },
    /// Have the provisioner kill the secrets below a version.
    RevokeSecrets {
        /// Of which resource.
        resource: ResourceId,
        /// What stays.
        keep_version: u64,
    },
    /// Submit an invoice (A.14).
    SubmitInvoice {
        /// Ours.
        number: u32,
    },
    /// Refund an invoice (A.16).
    RefundInvoice {
        /// Ours.
        number: u32,
    },
    /// Declare that no more invoices will come (A.2).
    FinalizeInstallation,
    /// Delete every resource of an uninstalled installation at the provisioner.
    ReleaseResources,
}

impl What {
    /// The number of the invoice that it is to submit.
    pub const fn submits(&self) -> Option<u32> {
        match self {
            Self::SubmitInvoice { number } => Some(*number),
            _ => None,
        }
    }

    /// An invoice is read for a refund that we asked for, until that is over.
    pub const fn follow_refund(number: u32) -> Self {
        Self::ReadInvoice { number, hint: None, follows_refund: true }
    }

    /// A plan that begins later is told to Vercel when it begins: until then Vercel reads the one before.
    pub fn plan_begins(resource: &Resource, at: Timestamp, now: Timestamp) -> Option<Self> {
        (at > now).then(|| Self::ResourceUpdated { resource: resource.id.clone(), news: News::PlanBegins(at) })
    }
}

impl Owed for What {
    fn class(&self) -> Class {
        match self {
            Self::ResourceUpdated { .. }
            | Self::ConfirmResource { .. }
            | Self::RemoveResource { .. }
            | Self::InstallationUpdated
            | Self::ReadInvoice { .. } => Class::State,
            Self::PutSecrets { .. } | Self::RevokeSecrets { .. } => Class::Secrets,
            Self::SubmitInvoice { .. } | Self::RefundInvoice { .. } | Self::FinalizeInstallation => Class::Money,
            Self::ReleaseResources => Class::Deliveries,
        }
    }

    fn resource(&self) -> Option<&ResourceId> {
        match self {
            Self::ResourceUpdated { resource, .. }
            | Self::ConfirmResource { resource, .. }
            | Self::RemoveResource { resource }
            | Self::PutSecrets { resource, .. }
            | Self::RevokeSecrets { resource, .. } => Some(resource),
            _ => None,
        }
    }

    fn slot(&self) -> String {
        match self {
            // By what the webhook said: no fact may replace another, the invoice might not be readable any more.
            Self::ReadInvoice { number, follows_refund: true, .. } => format!("read_invoice.{number}.refund"),
            Self::ReadInvoice { number, hint, .. } => {
                let fact = match hint.as_ref().map(|hint| (hint.phase, hint.event.as_ref())) {
                    Some((InvoicePhase::Paid, _)) => "paid".to_owned(),
                    // Each tells of an amount of its own.
                    Some((InvoicePhase::Refunded, Some(event))) => format!("refunded.{event}"),
                    Some((InvoicePhase::Refunded, None)) => "refunded".to_owned(),
                    _ => "state".to_owned(),
                };
                format!("read_invoice.{number}.{fact}")
            }
            Self::ResourceUpdated { news: News::Answer, .. } => format!("{}.answer", self.name()),
            Self::ResourceUpdated { news: News::PlanBegins(at), .. } => {
                format!("{}.{:015}", self.name(), at.as_millisecond())
            }
            // One each: a lower version that waits kills less than a higher one does.
            Self::RevokeSecrets { keep_version, .. } => format!("revoke_secrets.{keep_version:016}"),
            other => other.name().to_owned(),
        }
    }

    fn due(&self, now: Timestamp) -> Timestamp {
        let later = |wait| now.saturating_add(wait).unwrap_or(now);
        match self {
            Self::ResourceUpdated { news: News::Answer, .. } => later(ANSWER_WAIT),
            Self::ResourceUpdated { news: News::PlanBegins(at), .. } => (*at).max(now),
            Self::ConfirmResource { .. } => later(CONFIRM_WAIT),
            Self::RemoveResource { .. } => later(REMOVAL_WAIT),
            Self::ReadInvoice { follows_refund: true, .. } => later(REFUND_WAIT),
            Self::PutSecrets { when: When::AnswerTaken, .. } | Self::ReleaseResources => later(ANSWERED_WAIT),
            _ => now,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::ResourceUpdated { .. } => "resource_updated",
            Self::ConfirmResource { .. } => "confirm_resource",
            Self::RemoveResource { .. } => "remove_resource",
            Self::InstallationUpdated => "installation_updated",
            Self::ReadInvoice { .. } => "read_invoice",
            Self::PutSecrets { .. } => "put_secrets",
            Self::RevokeSecrets { .. } => "revoke_secrets",
            Self::SubmitInvoice { .. } => "submit_invoice",
            Self::RefundInvoice { .. } => "refund_invoice",
            Self::FinalizeInstallation => "finalize_installation",
            Self::ReleaseResources => "release_resources",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{LaneName, parse_effect_id};
    use tradepost_marketplace::ids::{InstallationId, InvoiceId};
    use tradepost_store::Record;

    type Effect = crate::outbox::Effect<What>;

    #[test]
    fn an_effect_is_found_again_by_its_id() {
        let installation = InstallationId::new("icfg_1").unwrap();
        let resource = ResourceId::new("icfg_1.r1").unwrap();
        let lane = LaneName { installation, class: Class::State, resource: Some(resource.clone()) };
        let effect =
            Effect::new(&lane, 7, What::ResourceUpdated { resource, news: News::Change }, Timestamp::UNIX_EPOCH);
        assert_eq!(parse_effect_id(&effect.id()), Some((lane, "resource_updated".to_owned(), 7)));
        assert_eq!(parse_effect_id("a/b"), None);
    }

    #[test]
    fn no_fact_of_an_invoice_replaces_another() {
        let vercel_id = InvoiceId::new("mi_1").unwrap();
        let slot = |phase: Option<InvoicePhase>| {
            let event = Some("e1".to_owned());
            let hint = phase.map(|phase| Hint { phase, refunded: None, vercel_id: vercel_id.clone(), event });
            What::ReadInvoice { number: 7, hint, follows_refund: false }.slot()
        };
        assert_eq!(What::follow_refund(7).slot(), "read_invoice.7.refund");
        assert_eq!(slot(Some(InvoicePhase::Paid)), "read_invoice.7.paid");
        assert_eq!(slot(Some(InvoicePhase::Refunded)), "read_invoice.7.refunded.e1");
        for other in [None, Some(InvoicePhase::Invoiced), Some(InvoicePhase::NotPaid), Some(InvoicePhase::Overdue)] {
            assert_eq!(slot(other), "read_invoice.7.state");
        }
    }

    #[test]
    fn an_effect_is_owed_since_it_was_made_unless_it_says_otherwise() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let installation = InstallationId::new("icfg_1").unwrap();
        let lane = LaneName { installation, class: Class::State, resource: None };
        let mut effect = Effect::new(&lane, 1, What::InstallationUpdated, at(5));
        assert_eq!(effect.owed_since(), at(5));
        effect.owed_since = Some(at(9));
        assert_eq!(effect.owed_since(), at(9));
    }

    /// One in the money lane stays until it is settled: what is behind it waits for it.
    #[test]
    fn what_lies_apart_is_forgotten_after_a_while() {
        let installation = InstallationId::new("icfg_1").unwrap();
        let dead = |what: What| {
            let lane = LaneName { installation: installation.clone(), class: what.class(), resource: None };
            let effect = Effect::new(&lane, 7, what, Timestamp::UNIX_EPOCH);
            Effect { dead: true, ended_at: Some(Timestamp::UNIX_EPOCH), ..effect }
        };
        let (news, money) = (dead(What::InstallationUpdated), dead(What::SubmitInvoice { number: 1 }));
        let ninety_days = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(90 * 24);
        assert_eq!((news.key().sk.as_str(), news.expires_at()), ("Q#state#-#installation_updated", Some(ninety_days)));
        assert_eq!((money.key().sk.as_str(), money.expires_at()), ("E#money#-#0000000000000007", None));
        let given_up = Effect { abandoned: true, ..money };
        assert_eq!((&given_up.key().sk[..8], given_up.expires_at()), ("Q#money#", Some(ninety_days)));
        let waiting = Effect { dead: false, ended_at: None, ..news };
        assert_eq!(waiting.expires_at(), None);
    }
}
