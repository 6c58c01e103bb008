//! Events that Vercel delivers by webhook (spec E): at least once, in any order, retried for 24 hours.
//!
//! Check the signature over the raw bytes first ([`crate::webhook_signature`]), then [`Event::parse`], then
//! drop repeats by [`Event::id`]. An event is a hint: read the invoice before money is moved. What is not
//! understood is [`EventPayload::Other`] and must be acknowledged all the same.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::billing::Period;
use super::open_enum::open_enum;
use super::time;
use crate::ids::{ExternalInvoiceId, InstallationId, InvoiceId, UserId, WebhookId};
use crate::money::Money;

/// The most bytes of a delivery that are parsed.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;

/// One delivery.
#[derive(Debug, Clone)]
pub struct Event {
    /// What repeats are recognised by: the scheme has no timestamp and no nonce.
    pub id: WebhookId,
    /// The type, such as `marketplace.invoice.paid`.
    pub kind: String,
    /// When it was made, by Vercel's clock.
    pub created_at: Timestamp,
    /// What happened.
    pub payload: EventPayload,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventPayload {
    /// `marketplace.invoice.created`: made and sent; says which Vercel id our own id got.
    InvoiceCreated(InvoiceEvent),
    /// `marketplace.invoice.paid`.
    InvoicePaid(InvoiceEvent),
    /// `marketplace.invoice.notpaid`: each failed try, up to nine.
    InvoiceNotPaid(InvoiceEvent),
    /// `marketplace.invoice.overdue`: 15 days have passed.
    InvoiceOverdue(InvoiceEvent),
    /// `marketplace.invoice.refunded`.
    InvoiceRefunded(RefundEvent),
    /// `integration-configuration.removed`: the same news as Delete Installation (B.4).
    InstallationRemoved(InstallationRemoved),
    /// `marketplace.member.changed`.
    MemberChanged(MemberChanged),
    /// Anything else, and any of the above that names no installation: acknowledge it.
    Other(Box<RawValue>),
}

/// An event about an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceEvent {
    /// Whose.
    pub installation_id: InstallationId,
    /// Vercel's id.
    pub invoice_id: InvoiceId,
    /// Our id, if it has one.
    pub external_invoice_id: Option<ExternalInvoiceId>,
    /// What it is for.
    pub period: Period,
    /// Its date.
    pub invoice_date: Timestamp,
    /// Its amount.
    pub invoice_total: Money,
}

/// An invoice was refunded, in full or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundEvent {
    /// Whose.
    pub installation_id: InstallationId,
    /// Vercel's id.
    pub invoice_id: InvoiceId,
    /// Our id, if it has one.
    pub external_invoice_id: Option<ExternalInvoiceId>,
    /// What the invoice was for.
    pub period: Period,
    /// How much was refunded.
    pub amount: Money,
    /// Why.
    pub reason: String,
}

/// The integration was removed from a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationRemoved {
    /// Which installation.
    pub installation_id: InstallationId,
    /// By whom, in Vercel's own ids.
    pub user_id: Option<String>,
}

/// A member's role changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberChanged {
    /// In which installation.
    pub installation_id: InstallationId,
    /// Who: the `user_id` claim.
    pub member_id: UserId,
    /// Their role now.
    pub role: MemberRole,
}

open_enum! {
    /// A member's role after a change.
    MemberRole {
        /// May install and change.
        Admin = "ADMIN",
        /// May look.
        User = "USER",
        /// Is no longer a member: end their sessions.
        None = "NONE",
    }
}

/// Why a delivery cannot be read. None of them goes away by a retry.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Longer than [`WEBHOOK_BYTES_MAX`].
    #[error("the delivery is longer than {WEBHOOK_BYTES_MAX} bytes")]
    TooLarge,
    /// Not the envelope of spec E.
    #[error("the delivery is not an event")]
    Envelope(#[source] serde_json::Error),
    /// A type we know with a payload we cannot read.
    #[error("the payload of {kind} cannot be read")]
    Payload {
        /// The type.
        kind: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: WebhookId,
    #[serde(rename = "type")]
    kind: String,
    #[serde(with = "time::milliseconds")]
    created_at: Timestamp,
    #[serde(default, skip_deserializing)]
    region: Option<String>,
    payload: Box<RawValue>,
}

/// Which installation a payload is about: `configuration.id`, as examples show an integration's id in
/// `installationId` (spec E).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    configuration: Option<ConfigurationRef>,
    installation_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ConfigurationRef {
    id: Option<InstallationId>,
}

impl Address {
    fn installation(self) -> Option<InstallationId> {
        let named = self.configuration.and_then(|configuration| configuration.id);
        let fallback = || self.installation_id.filter(|id| id.starts_with("icfg_"));
        named.or_else(|| fallback().and_then(|id| InstallationId::new(id).ok()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvoiceBody {
    invoice_id: InvoiceId,
    external_invoice_id: Option<ExternalInvoiceId>,
    period: Period,
    #[serde(with = "time")]
    invoice_date: Timestamp,
    invoice_total: Money,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefundBody {
    invoice_id: InvoiceId,
    external_invoice_id: Option<ExternalInvoiceId>,
    period: Period,
    amount: Money,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct RemovedBody {
    user: Option<UserRef>,
}

#[derive(Deserialize)]
struct UserRef {
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberBody {
    member_id: UserId,
    role: MemberRole,
}

impl Event {
    /// Reads a delivery whose signature has been checked.
    pub fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        if body.len() > WEBHOOK_BYTES_MAX {
            return Err(WebhookError::TooLarge);
        }
        let Envelope { id, kind, created_at, payload, .. } =
            serde_json::from_slice(body).map_err(WebhookError::Envelope)?;
        match read_payload(&kind, payload) {
            Ok(payload) => Ok(Self { id, kind, created_at, payload }),
            Err(source) => Err(WebhookError::Payload { kind, source }),
        }
    }

    /// The bytes of a delivery, for tests and simulations of Vercel.
    pub fn compose(
        id: WebhookId,
        kind: impl Into<String>,
        created_at: Timestamp,
        payload: Box<RawValue>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Envelope { id, kind: kind.into(), created_at, region: None, payload })
    }
}

fn read_payload(kind: &str, payload: Box<RawValue>) -> Result<EventPayload, serde_json::Error> {
    type Wrap = fn(InvoiceEvent) -> EventPayload;
    let invoice: Option<Wrap> = match kind {
        "marketplace.invoice.created" => Some(EventPayload::InvoiceCreated),
        "marketplace.invoice.paid" => Some(EventPayload::InvoicePaid),
        "marketplace.invoice.notpaid" => Some(EventPayload::InvoiceNotPaid),
        "marketplace.invoice.overdue" => Some(EventPayload::InvoiceOverdue),
        "marketplace.invoice.refunded" | "integration-configuration.removed" | "marketplace.member.changed" => None,
        _ => return Ok(EventPayload::Other(payload)),
    };
    let json = payload.get();
    let Some(installation_id) = serde_json::from_str::<Address>(json)?.installation() else {
        return Ok(EventPayload::Other(payload));
    };
    if let Some(wrap) = invoice {
        let body: InvoiceBody = serde_json::from_str(json)?;
        return Ok(wrap(InvoiceEvent {
            installation_id,
            invoice_id: body.invoice_id,
            external_invoice_id: body.external_invoice_id,
            period: body.period,
            invoice_date: body.invoice_date,
            invoice_total: body.invoice_total,
        }));
    }
    Ok(match kind {
        "marketplace.invoice.refunded" => {
            let RefundBody { invoice_id, external_invoice_id, period, amount, reason } = serde_json::from_str(json)?;
            let refund = RefundEvent { installation_id, invoice_id, external_invoice_id, period, amount, reason };
            EventPayload::InvoiceRefunded(refund)
        }
        "integration-configuration.removed" => {
            let body: RemovedBody = serde_json::from_str(json)?;
            let user_id = body.user.and_then(|user| user.id);
            EventPayload::InstallationRemoved(InstallationRemoved { installation_id, user_id })
        }
        _ => {
            let MemberBody { member_id, role } = serde_json::from_str(json)?;
            EventPayload::MemberChanged(MemberChanged { installation_id, member_id, role })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(kind: &str, payload: &str) -> Result<Event, WebhookError> {
        Event::parse(format!(r#"{{"id":"wh_1","type":"{kind}","createdAt":1801461600000,"region":null,"payload":{payload},"teamId":"t"}}"#).as_bytes())
    }

    const INVOICE: &str = r#"{"configuration":{"id":"icfg_1"},"installationId":"oac_9","invoiceId":"mi_1","externalInvoiceId":"inv-1","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"invoiceDate":"2027-01-31T23:59:59.999Z","invoiceTotal":"13.00"}"#;

    #[test]
    fn the_four_events_of_an_invoice_are_read() {
        for kind in ["created", "paid", "notpaid", "overdue"] {
            let event = delivery(&format!("marketplace.invoice.{kind}"), INVOICE).unwrap();
            let invoice = match (kind, event.payload) {
                ("created", EventPayload::InvoiceCreated(invoice))
                | ("paid", EventPayload::InvoicePaid(invoice))
                | ("notpaid", EventPayload::InvoiceNotPaid(invoice))
                | ("overdue", EventPayload::InvoiceOverdue(invoice)) => invoice,
                other => panic!("{other:?}"),
            };
            assert_eq!(invoice.installation_id.as_str(), "icfg_1");
            assert_eq!(invoice.external_invoice_id.unwrap().as_str(), "inv-1");
            assert_eq!(invoice.invoice_total, Money::from_cents(1300));
        }
        let none = INVOICE.replace("\"inv-1\"", "null");
        let event = delivery("marketplace.invoice.paid", &none).unwrap();
        assert!(matches!(event.payload, EventPayload::InvoicePaid(InvoiceEvent { external_invoice_id: None, .. })));
    }

    #[test]
    fn the_other_known_events_are_read() {
        let refund = INVOICE.replace("\"invoiceTotal\":\"13.00\"", "\"amount\":\"2.50\",\"reason\":\"late\"");
        let event = delivery("marketplace.invoice.refunded", &refund).unwrap();
        assert!(matches!(event.payload, EventPayload::InvoiceRefunded(refund) if refund.amount.cents() == 250));
        let removed = r#"{"team":{"id":null},"user":{"id":"u1"},"configuration":{"id":"icfg_1","projectSelection":"all","projects":[]}}"#;
        let event = delivery("integration-configuration.removed", removed).unwrap();
        assert!(matches!(event.payload, EventPayload::InstallationRemoved(it) if it.user_id.as_deref() == Some("u1")));
        let member = r#"{"configuration":{"id":"icfg_1"},"installationId":"icfg_1","memberId":"m1","role":"NONE","userEmail":"a@example.com"}"#;
        let event = delivery("marketplace.member.changed", member).unwrap();
        assert!(matches!(event.payload, EventPayload::MemberChanged(it) if it.role == MemberRole::None));
    }

    #[test]
    fn what_is_unknown_or_addressed_to_nobody_is_kept_to_be_acknowledged() {
        let event = delivery("deployment.created", r#"{"n":0.10}"#).unwrap();
        assert!(matches!(event.payload, EventPayload::Other(raw) if raw.get() == r#"{"n":0.10}"#));
        let nobody = INVOICE.replace("\"configuration\":{\"id\":\"icfg_1\"},", "");
        assert!(matches!(delivery("marketplace.invoice.paid", &nobody).unwrap().payload, EventPayload::Other(_)));
        let fallback = nobody.replace("oac_9", "icfg_9");
        let event = delivery("marketplace.invoice.paid", &fallback).unwrap();
        assert!(matches!(event.payload, EventPayload::InvoicePaid(it) if it.installation_id.as_str() == "icfg_9"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_reason() {
        assert!(matches!(Event::parse(b"{}"), Err(WebhookError::Envelope(_))));
        assert!(matches!(Event::parse(&vec![b' '; WEBHOOK_BYTES_MAX + 1]), Err(WebhookError::TooLarge)));
        let broken = INVOICE.replace("13.00", "1e3");
        assert!(matches!(delivery("marketplace.invoice.paid", &broken), Err(WebhookError::Payload { .. })));
    }

    #[test]
    fn a_time_may_be_a_number_or_a_text_and_a_composed_delivery_is_read_back() {
        let payload = RawValue::from_string(INVOICE.to_owned()).unwrap();
        let at = "2027-02-01T06:00:00.123Z".parse().unwrap();
        let body = Event::compose(WebhookId::new("wh_1").unwrap(), "marketplace.invoice.paid", at, payload).unwrap();
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains(r#""createdAt":1801461600123,"region":null"#), "{text}");
        assert_eq!(Event::parse(text.as_bytes()).unwrap().created_at, at);
        let iso = text.replace("1801461600123", "\"2027-02-01T07:00:00.123+01:00\"");
        assert_eq!(Event::parse(iso.as_bytes()).unwrap().created_at, at);
    }
}
