//! Calls of partner systems: signatures, scopes, and what they are about.

use serde_json::{Value, json};

use crate::world;
use crate::world::partner::{key_without, usage};
use crate::world::{FREE, ORG, Setup, World, with_org};
use crate::{PARTNERS, Quiet};

/// What a partner could do with a call of each type, were it let in.
fn data_of(kind: &str, installation: &str, resource: &str) -> Value {
    match kind {
        "usage.recorded" => usage("refused", &[(resource, "queries", world::BEGIN, "1")]),
        "resource.updated" => json!({ "resourceId": resource, "name": "renamed" }),
        "installation.updated" => json!({ "planId": ORG }),
        "effects.query" => json!({ "effectIds": [] }),
        "provisioner.report" => {
            json!({ "operationId": "op", "fence": 9, "resourceId": resource, "status": "suspended" })
        }
        "invoice.close" => json!({}),
        "invoice.adjust" => json!({ "lines": [{ "name": "more", "amount": "1.00" }] }),
        "invoice.settle" => json!({ "invoiceId": format!("{installation}.i1"), "outcome": "resubmit" }),
        "effect.settle" => {
            json!({ "effectId": format!("{installation}/state/-/installation_updated/1"), "outcome": "retry" })
        }
        "invoice.query" => json!({ "invoiceId": format!("{installation}.i1") }),
        "invoice.refund" => {
            json!({ "invoiceId": format!("{installation}.i1"), "total": "1.00", "reason": "because" })
        }
        "secrets.rotate" => json!({ "resourceId": resource }),
        "sessions.redeem" => json!({ "code": "0000" }),
        other => panic!("no data for {other}"),
    }
}

#[tokio::test]
async fn a_partner_call_that_is_not_rightly_signed_is_refused() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let (installation, resource) = world.customer(FREE).await;
    world.advance("1h").await;
    let quiet = Quiet::begin(&world).await;
    let another = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzIDAwMDE=";
    for (kind, route, scope) in PARTNERS {
        let route = route.replace("{resource}", &resource).replace("{invoice}", &format!("{installation}.i1"));
        let good = || world.partner_call(kind, &route, &installation, &data_of(kind, &installation, &resource));
        let mut bad = Vec::new();
        let mut spoil = |what: &'static str, change: &dyn Fn(&mut world::partner::Call)| {
            let mut call = good();
            change(&mut call);
            bad.push((what, call));
        };
        spoil("an unknown key", &|call| "nobody".clone_into(&mut call.key_id));
        spoil("another secret", &|call| another.clone_into(&mut call.secret));
        spoil("a changed body", &|call| call.forged_body = Some(call.body.replace(":{", ": {")));
        spoil("a body of another installation", &|call| {
            call.forged_body = Some(call.body.replace(&installation, "icfg_other"));
        });
        spoil("an old timestamp", &|call| call.at = call.at.checked_sub(jiff::SignedDuration::from_secs(301)).unwrap());
        spoil("a future timestamp", &|call| {
            call.at = call.at.checked_add(jiff::SignedDuration::from_secs(301)).unwrap();
        });
        for header in ["tradepost-key-id", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            spoil(header, &|call| call.without.push(header));
        }
        for (what, call) in bad {
            world.send_partner(&call).await.is_problem(401, "invalid_signature");
            quiet.so_far(&world, &format!("{kind} with {what}"));
        }
        // A signature is over the id and the time, too.
        let call = good();
        let other_id = world::partner::Call { id: "msg_other".to_owned(), ..call.clone() };
        let replayed = world.replay_with_signature_of(&call, &other_id).await;
        replayed.is_problem(401, "invalid_signature");
        // Signed well, by a key that may do everything but this.
        let call = world::partner::Call { key_id: key_without(scope), ..good() };
        world.send_partner(&call).await.is_problem(403, "forbidden");
        quiet.so_far(&world, &format!("{kind} without the scope {scope}"));
        // Signed well, for another route.
        let wrong = PARTNERS.iter().find(|(_, other, _)| *other != PARTNERS.iter().find(|p| p.0 == kind).unwrap().1);
        let call =
            world.partner_call(wrong.unwrap().0, &route, &installation, &data_of(kind, &installation, &resource));
        world.send_partner(&call).await.is_problem(400, "validation_error");
        // Signed well, with a field that nobody knows.
        let mut data = data_of(kind, &installation, &resource);
        data["unknown"] = json!(1);
        world.partner(kind, &route, &installation, data).await.is_problem(400, "validation_error");
        quiet.so_far(&world, &format!("{kind} of another type or with unknown fields"));
    }
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn a_partner_call_must_be_about_its_path_and_its_installation() {
    let world = World::open().await;
    let (installation, resource) = world.customer(FREE).await;
    let (stranger, foreign) = world.customer(FREE).await;
    let data = json!({ "resourceId": foreign, "name": "told" });
    let told = world.partner("resource.updated", "/partner/events", &stranger, data).await.expect(202);
    let foreign_effects = world::partner::effects(&told);
    let quiet = Quiet::begin(&world).await;
    let refused = async |kind: &str, route: &str, installation: &str, data: Value, status: u16, code: &str| {
        world.partner(kind, route, installation, data).await.is_problem(status, code);
        quiet.so_far(&world, &format!("{kind} on {route}"));
    };
    // The ids in the path are the data's.
    let route = format!("/partner/resources/{resource}/secrets");
    refused("secrets.rotate", &route, &installation, json!({ "resourceId": foreign }), 400, "validation_error").await;
    let route = format!("/partner/invoices/{installation}.i1/refund");
    let data = json!({ "invoiceId": format!("{installation}.i2"), "total": "1.00", "reason": "x" });
    refused("invoice.refund", &route, &installation, data, 400, "validation_error").await;
    // What belongs to another installation is not there.
    let route = format!("/partner/resources/{foreign}/secrets");
    refused("secrets.rotate", &route, &installation, json!({ "resourceId": foreign }), 404, "not_found").await;
    let data = json!({ "resourceId": foreign, "name": "taken" });
    refused("resource.updated", "/partner/events", &installation, data, 404, "not_found").await;
    let data = data_of("provisioner.report", &installation, &foreign);
    refused("provisioner.report", "/partner/provisioner/reports", &installation, data, 404, "not_found").await;
    let data = json!({ "invoiceId": format!("{stranger}.i1") });
    refused("invoice.query", "/partner/invoices/query", &installation, data, 404, "not_found").await;
    // Nor is an installation that does not exist.
    for (kind, route) in [
        ("usage.recorded", "/partner/usage"),
        ("installation.updated", "/partner/events"),
        ("invoice.close", "/partner/invoices"),
        ("invoice.adjust", "/partner/invoices"),
        ("invoice.settle", "/partner/invoices"),
        ("effect.settle", "/partner/invoices"),
    ] {
        let data = data_of(kind, "icfg_nowhere", "icfg_nowhere.r1");
        refused(kind, route, "icfg_nowhere", data, 404, "not_found").await;
    }
    // A foreign effect is unknown, whatever became of it.
    assert_eq!(world.fates(&stranger, &foreign_effects).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.fates(&installation, &foreign_effects).await, [("unknown".to_owned(), 0)]);
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn bodies_have_limits() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    for (kind, route, bytes_max) in
        [("usage.recorded", "/partner/usage", 350 * 1024), ("invoice.adjust", "/partner/invoices", 1024 * 1024)]
    {
        let mut call = world.partner_call(kind, route, &installation, &json!({}));
        call.body = format!("{}{}", call.body, " ".repeat(bytes_max - call.body.len()));
        world.send_partner(&call).await.is_problem(400, "validation_error");
        call.body.push(' ');
        assert_eq!(world.send_partner(&call).await.status, 413, "{route}");
    }
    quiet.end(&world).await;
    world.close().await;
}
