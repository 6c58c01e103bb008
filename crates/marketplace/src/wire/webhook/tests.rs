//! Every event of spec E, read, written and read again.

use serde_json::{Map, Value, json};

use super::*;
use crate::ids::InstallationId;

/// Every event of Vercel's, and the payloads that are documented. It is the repository's: what is published of this
/// crate alone does not have it.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/protocol/webhooks.json");

fn delivery(kind: &str, payload: &str) -> Result<Event, WebhookError> {
    let body = format!(
        r#"{{"id":"wh_1","type":"{kind}","createdAt":1801461600000,"region":"fra1","payload":{payload},"teamId":"t"}}"#
    );
    Event::parse(body.as_bytes())
}

/// Reads, writes and reads again; gives the payload that was written.
fn round_trip(kind: &str, payload: &Value) -> Value {
    let event = delivery(kind, &payload.to_string()).unwrap_or_else(|error| panic!("{kind}: {error:?}\n{payload}"));
    assert_eq!(event.kind(), kind);
    let typed = !matches!(event.payload, EventPayload::Other(_) | EventPayload::Legacy(_));
    assert!(typed, "{kind} is not typed: {payload}");
    let body = event.compose().unwrap();
    assert_eq!(Event::parse(&body).unwrap(), event, "{kind}");
    let mut envelope: Value = serde_json::from_slice(&body).unwrap();
    envelope["payload"].take()
}

const INVOICE: &str = r#"{"configuration":{"id":"icfg_1"},"installationId":"oac_9","invoiceId":"mi_1","externalInvoiceId":"inv-1","period":{"start":"2027-01-01T00:00:00.000Z","end":"2027-02-01T00:00:00.000Z"},"invoiceDate":"2027-01-31T23:59:59.999Z","invoiceTotal":"13.00"}"#;

#[test]
fn an_invoice_is_about_the_configuration_and_keeps_its_amount() {
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
    }
    for total in [
        "0",
        "13.0",
        "0013.00",
        "13.000000000000000000000000000000000000000000000000001",
        "123456789012345678901234567890",
    ] {
        let payload = INVOICE.replace("13.00", total);
        let event = delivery("marketplace.invoice.paid", &payload).unwrap();
        let text = String::from_utf8(event.compose().unwrap()).unwrap();
        assert!(text.contains(&format!(r#""invoiceTotal":"{total}""#)), "{text}");
        let refund = payload.replace("invoiceTotal", "amount");
        let text = String::from_utf8(delivery("marketplace.invoice.refunded", &refund).unwrap().compose().unwrap());
        assert!(text.unwrap().contains(&format!(r#""amount":"{total}","reason":"""#)));
    }
}

/// The payloads of spec E that `webhooks.json` has not, in full and at the least.
fn deployments() -> Vec<(&'static str, Value)> {
    let deployment = json!({
        "team": {"id": "team_1"}, "user": {"id": "u1"},
        "deployment": {"id": "dpl_1", "meta": {"n": 1}, "url": "x.vercel.app", "name": "x"},
        "links": {"deployment": "https://vercel.com/d", "project": "https://vercel.com/p"},
        "target": "production", "project": {"id": "prj_1"}, "plan": "pro", "regions": ["fra1"],
        "installationIds": ["icfg_1"],
        "integrations": [
            {"installationId": "icfg_1", "resources": [{"externalResourceId": "r1"}]}, {"installationId": "icfg_2"},
        ],
    });
    let least = json!({
        "team": {"id": null}, "user": {"id": null}, "deployment": {"id": "dpl_1"}, "target": null,
        "project": {"id": null}, "regions": [],
    });
    let mut odd = least.clone();
    odd["target"] = json!("moon");
    let mut all = Vec::new();
    for kind in ["created", "ready", "succeeded", "error", "canceled", "promoted"] {
        let kind: &'static str = EVENT_TYPES.iter().find(|known| **known == format!("deployment.{kind}")).unwrap();
        all.extend([(kind, deployment.clone()), (kind, least.clone()), (kind, odd.clone())]);
    }
    let again = json!({
        "team": {"id": "team_1"}, "user": {"id": "u1"}, "deployment": {"id": "dpl_1"}, "check": {"id": "chk_1"},
    });
    all.push(("deployment.check-rerequested", again));
    let run = json!({
        "checkRun": {
            "id": "run_1", "checkId": "chk_1", "deploymentId": "dpl_1", "timeout": 300_000,
            "source": {"kind": "integration", "integrationConfigurationId": "icfg_1", "externalResourceId": "r1"},
        },
        "deployment": {"id": "dpl_1"},
    });
    let foreign = json!({
        "checkRun": {"id": "run_1", "checkId": "chk_1", "deploymentId": "dpl_1", "source": {"kind": "webhook"}},
        "deployment": {"id": "dpl_1"},
    });
    for kind in ["deployment.checkrun.start", "deployment.checkrun.cancel"] {
        all.extend([(kind, run.clone()), (kind, foreign.clone())]);
    }
    all
}

#[test]
fn payloads_about_deployments_are_written_as_they_were_read() {
    for (kind, payload) in deployments() {
        assert_eq!(round_trip(kind, &payload), payload, "{kind}");
    }
}

#[test]
fn what_only_informs_may_lack_almost_everything() {
    let event =
        delivery("deployment.ready", r#"{"deployment":{"id":"dpl_1"},"team":null,"regions":null,"integrations":null}"#);
    let EventPayload::DeploymentReady(ready) = event.unwrap().payload else { panic!() };
    assert_eq!((ready.team_id, ready.regions, ready.integrations.len()), (None, vec![], 0));
    let event = delivery("integration-configuration.removed", r#"{"configuration":{"id":"icfg_1"}}"#);
    let EventPayload::InstallationRemoved(removed) = event.unwrap().payload else { panic!() };
    assert_eq!((removed.installation_id.as_str(), removed.user_id, removed.projects.len()), ("icfg_1", None, 0));
    let event =
        delivery("integration-configuration.removed", r#"{"installationId":"icfg_2","projects":null,"user":{}}"#);
    let payload = event.unwrap().payload;
    assert!(matches!(payload, EventPayload::InstallationRemoved(it) if it.installation_id.as_str() == "icfg_2"));
    let connection = r#"{"installationId":"icfg_1","resourceId":"r1","projectId":"prj_1"}"#;
    let EventPayload::ProjectConnected(it) =
        delivery("integration-resource.project-connected", connection).unwrap().payload
    else {
        panic!()
    };
    assert_eq!((it.project_id.as_str(), it.project_name, it.targets.len()), ("prj_1", None, 0));
}

#[test]
fn what_is_unknown_or_addressed_to_nobody_is_kept_to_be_acknowledged() {
    let other = |kind: &str, payload: &str| match delivery(kind, payload).unwrap().payload {
        EventPayload::Other(event) => assert_eq!((event.kind.as_str(), event.payload.get()), (kind, payload)),
        typed => panic!("{typed:?}"),
    };
    other("budget.reached", r#"{"n":0.10,"n":1e400}"#);
    other("deployment.cancelled", r#"{"deployment":{"id":"dpl_1"}}"#);
    other("", "[]");
    let nobody = INVOICE.replace("\"configuration\":{\"id\":\"icfg_1\"},", "");
    other("marketplace.invoice.paid", &nobody);
    other("marketplace.invoice.paid", "{}");
    other("integration-resource.project-connected", r#"{"installationId":"icfg_1","resourceId":"r1"}"#);
    // These only inform, and cannot be read.
    other("deployment.created", r#"{"n":0.10}"#);
    other("deployment.checkrun.start", "null");
    other("integration-configuration.transferred", "7");
    let fallback = nobody.replace("oac_9", "icfg_9");
    let event = delivery("marketplace.invoice.paid", &fallback).unwrap();
    assert!(matches!(event.payload, EventPayload::InvoicePaid(it) if it.installation_id.as_str() == "icfg_9"));

    let without = br#"{"id":"wh_1","type":"test-webhook","createdAt":"2027-01-01T00:00:00Z"}"#;
    let event = Event::parse(without).unwrap();
    assert!(matches!(&event.payload, EventPayload::Other(other) if other.payload == Raw::default()));
    assert_eq!(Event::parse(&event.compose().unwrap()).unwrap(), event);
}

#[test]
fn the_older_envelope_is_recognised_and_kept() {
    let body = r#"{"id":"wh_1","type":"integration-configuration-removed","createdAt":1801461600000,"clientId":"oac_1","ownerId":"o","teamId":"t","userId":"u","webhookId":"w","payload":{"configuration":{"id":"icfg_1"}}}"#;
    for kind in LEGACY_TYPES {
        let event = Event::parse(body.replace("integration-configuration-removed", kind).as_bytes()).unwrap();
        assert!(matches!(&event.payload, EventPayload::Legacy(event) if event.kind == kind), "{kind}");
        assert_eq!(Event::parse(&event.compose().unwrap()).unwrap(), event);
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_its_reason() {
    assert!(matches!(Event::parse(b"{}"), Err(WebhookError::Envelope(_))));
    assert!(matches!(Event::parse(b"{\"id\":\"a/b\",\"type\":\"x\",\"createdAt\":1}"), Err(WebhookError::Envelope(_))));
    assert!(matches!(Event::parse(br#"{"id":"w","type":"x","createdAt":1,"id":"v"}"#), Err(WebhookError::Envelope(_))));
    assert!(matches!(Event::parse(&vec![b' '; WEBHOOK_BYTES_MAX + 1]), Err(WebhookError::TooLarge)));
    for (kind, payload) in [
        ("marketplace.invoice.paid", INVOICE.replace("13.00", "1e3")),
        ("marketplace.invoice.paid", INVOICE.replace("\"13.00\"", "13")),
        ("marketplace.invoice.paid", INVOICE.replace("mi_1", "mi/1")),
        ("marketplace.invoice.refunded", INVOICE.to_owned()),
        ("marketplace.member.changed", r#"{"configuration":{"id":"icfg_1"}}"#.to_owned()),
        ("marketplace.invoice.created", "null".to_owned()),
        ("integration-configuration.removed", r#"{"configuration":{"id":"icfg_1","projects":7}}"#.to_owned()),
    ] {
        let refused = delivery(kind, &payload);
        assert!(matches!(refused, Err(WebhookError::Payload { kind: named, .. }) if named == kind), "{payload}");
    }
}

#[test]
fn a_time_may_be_a_number_or_a_text_and_is_written_as_a_number() {
    let at = "2027-02-01T06:00:00.123Z".parse().unwrap();
    let payload = EventPayload::from_raw("marketplace.invoice.paid", Raw::new(INVOICE).unwrap()).unwrap();
    let event = Event::new(WebhookId::new("wh_1").unwrap(), at, payload);
    let text = String::from_utf8(event.compose().unwrap()).unwrap();
    assert!(text.contains(r#""type":"marketplace.invoice.paid","createdAt":1801461600123,"region":null"#), "{text}");
    // What was written is addressed by one id, whatever the other said.
    assert!(text.contains(r#""payload":{"configuration":{"id":"icfg_1"},"installationId":"icfg_1","#), "{text}");
    assert_eq!(Event::parse(text.as_bytes()).unwrap(), event);
    let iso = text.replace("1801461600123", "\"2027-02-01T07:00:00.123+01:00\"");
    assert_eq!(Event::parse(iso.as_bytes()).unwrap(), event);
}

#[test]
fn debug_shows_no_address() {
    let member = r#"{"configuration":{"id":"icfg_1"},"memberId":"m1","role":"NONE","userEmail":"a@example.com"}"#;
    let event = delivery("marketplace.member.changed", member).unwrap();
    assert!(!format!("{event:?}").contains("example.com"));
    assert!(matches!(event.payload, EventPayload::MemberChanged(it) if it.role == MemberRole::None));
}

/// Every payload that a shape of `webhooks.json` stands for: each choice once, with and without what is optional.
fn examples(shape: &Value) -> Vec<Value> {
    match shape {
        Value::Object(fields) => {
            let mut all = vec![Map::new()];
            for (name, field) in fields {
                let mut choices: Vec<Option<Value>> = examples(field).into_iter().map(Some).collect();
                if field.as_str().is_some_and(|text| text.ends_with('?')) {
                    choices.push(None);
                }
                let extend = |have: &Map<String, Value>, choice: &Option<Value>| {
                    let mut have = have.clone();
                    have.extend(choice.clone().map(|value| (name.clone(), value)));
                    have
                };
                all = all.iter().flat_map(|have| choices.iter().map(|choice| extend(have, choice))).collect();
            }
            all.into_iter().map(Value::Object).collect()
        }
        Value::Array(items) => vec![json!([]), json!(items.iter().flat_map(examples).collect::<Vec<_>>())],
        Value::String(text) => text.trim_end_matches('?').split('|').map(example).collect(),
        other => panic!("a shape that the test does not know: {other}"),
    }
}

fn example(word: &str) -> Value {
    match word {
        "null" => Value::Null,
        "iso" => json!("2027-01-01T00:00:00.000Z"),
        "decimal" => json!("13.00"),
        "icfg" | "prj" | "dpl" => json!(format!("{word}_1")),
        word => json!(word),
    }
}

#[test]
fn every_documented_payload_has_a_type_of_its_own_and_survives() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap_or_else(|error| panic!("{DOCUMENT}: {error}"));
    let document: Value = serde_json::from_str(&document).unwrap();
    let payloads = document["payloads"].as_object().unwrap();
    assert!(payloads.len() >= 15, "{}", payloads.len());
    for (kind, shape) in payloads {
        for payload in examples(shape) {
            assert_eq!(round_trip(kind, &payload), payload, "{kind}");
        }
    }
    let informing: Vec<&str> = deployments().into_iter().map(|(kind, _)| kind).collect();
    for kind in EVENT_TYPES {
        assert!(payloads.contains_key(*kind) || informing.contains(kind), "{kind} has no example");
    }

    let all = document["event_types"].as_array().unwrap();
    let all: Vec<&str> = all.iter().map(|kind| kind.as_str().unwrap()).collect();
    for kind in EVENT_TYPES {
        assert!(all.contains(kind), "{kind} is no event of Vercel's");
    }
    for kind in all {
        let is_legacy = !kind.contains('.') && kind != "test-webhook";
        assert_eq!(LEGACY_TYPES.contains(&kind), is_legacy, "{kind}");
        let payload = delivery(kind, "{}").unwrap().payload;
        assert_eq!(matches!(payload, EventPayload::Legacy(_)), is_legacy, "{kind}");
    }
    let id = InstallationId::new("icfg_1").unwrap();
    let payload = EventPayload::from_raw("marketplace.invoice.paid", Raw::new(INVOICE).unwrap()).unwrap();
    assert!(matches!(payload, EventPayload::InvoicePaid(it) if it.installation_id == id));
}
