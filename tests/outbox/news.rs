//! Telling Vercel: events, and what the provisioner reports late.

use serde_json::json;

use crate::world::partner::effects;
use crate::world::provisioner::Mood;
use crate::world::vercel::sha256;
use crate::world::{FREE, ORG, Setup, TEAM, World, with_org};
use crate::{patch, rename};

#[tokio::test]
async fn an_event_reaches_vercel_and_vercel_reads_what_was_said() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let (installation, id) = world.customer(FREE).await;
    let data = json!({
        "resourceId": id, "name": "renamed", "status": "suspended", "metadata": { "size": "l" }, "planId": TEAM,
        "notification": { "level": "warn", "title": "Full", "message": "Add storage", "href": "https://example.com/" },
    });
    let call = world.partner_call("resource.updated", "/partner/events", &installation, &data);
    let mark = world.mark().await;
    let got = world.send_partner(&call).await;
    got.is(202, &json!({ "effects": [format!("{installation}/state/{id}/resource_updated/1")] }));
    assert_eq!(world.calls_since(mark).await, ["POST events ok"]);
    let row = world.resource(&installation, &id).await;
    for (name, wanted) in [
        ("name", &data["name"]),
        ("status", &data["status"]),
        ("metadata", &data["metadata"]),
        ("notification", &data["notification"]),
    ] {
        assert_eq!(&row[name], wanted, "{name}");
    }
    assert_eq!(row["billingPlan"]["id"], TEAM);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    // The repeat tells Vercel nothing.
    let (committed, mark) = (world.committed(), world.mark().await);
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    assert_eq!((world.committed(), world.calls_since(mark).await), (committed, vec![]));
    // The installation's plan and notification, likewise.
    let data = json!({ "planId": ORG, "notification": { "level": "info", "title": "Hello" } });
    world.partner("installation.updated", "/partner/events", &installation, data.clone()).await.expect(202);
    let row = world.state(&installation).await["installations"][0].clone();
    assert_eq!((&row["billingPlan"]["id"], &row["notification"]["title"]), (&json!(ORG), &json!("Hello")));
    // What makes no sense is not stored.
    let before = world.dump().await;
    for data in [
        json!({ "resourceId": id, "name": "" }),
        json!({ "resourceId": id, "planId": "nothing" }),
        json!({ "resourceId": id, "notification": { "level": "info", "title": "x", "href": "javascript:alert(1)" } }),
        json!({ "resourceId": id, "metadata": { "long": "x".repeat(16 * 1024) } }),
    ] {
        let got = world.partner("resource.updated", "/partner/events", &installation, data).await;
        got.is_problem(400, "validation_error");
    }
    let data = json!({ "planId": "nothing" });
    let got = world.partner("installation.updated", "/partner/events", &installation, data).await;
    got.is_problem(400, "validation_error");
    assert_eq!(world.dump().await, before);
    world.close().await;
}

/// 429 with its pause, a lost answer, nonsense: tried again within the request.
#[tokio::test]
async fn passing_troubles_of_vercel_are_over_before_the_partner_is_answered() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let limited = json!({ "kind": "status", "status": 429, "headers": { "retry-after": "3" } });
    for fault in [limited, json!("reset_before"), json!("reset_after"), json!({ "kind": "status", "status": 503 })] {
        world.vercel_fails(json!([{ "match": { "path": "*/events" }, "fault": fault, "times": 1 }])).await;
        let name = format!("name {}", world.number());
        let mark = world.mark().await;
        let got = rename(&world, &installation, &id, &name).await.expect(202);
        let calls = world.calls_since(mark).await;
        assert_eq!((calls.len(), calls[1].as_str()), (2, "POST events ok"), "{calls:?}");
        assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
        assert_eq!(world.resource(&installation, &id).await["name"], json!(name));
    }
    world.waits.somebody_waited_at_least(std::time::Duration::from_secs(3));
    world.close().await;
}

#[tokio::test]
async fn effects_that_never_were_are_unknown() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let known = effects(&rename(&world, &installation, &id, "renamed").await.expect(202)).remove(0);
    let ids: Vec<String> = vec![
        known.clone(),
        known.replace("/1", "/2"),
        known.replace("resource_updated", "put_secrets").replace("/1", "/7"),
        known.replace(&installation, "icfg_other"),
        format!("{installation}/money/-/0000000000000001/1"),
        String::new(),
        "a/b/c/d/e".to_owned(),
        format!("{known}/more"),
    ];
    let fates = world.fates(&installation, &ids).await;
    let statuses: Vec<&str> = fates.iter().map(|(status, _)| status.as_str()).collect();
    let mut wanted = vec!["unknown"; ids.len()];
    wanted[0] = "delivered";
    assert_eq!(statuses, wanted);
    let many = vec![known; 101];
    let data = json!({ "effectIds": many });
    let got = world.partner("effects.query", "/partner/effects/query", &installation, data).await;
    got.is_problem(400, "validation_error");
    world.close().await;
}

#[tokio::test]
async fn what_the_provisioner_finishes_later_is_reported_and_read() {
    let world = World::open().await;
    let installation = world.install().await;
    let secret = |value: &str| json!([{ "name": "LEDGERBASE_TOKEN", "value": value }]);
    world.provisioner.next(Mood::Says(json!({ "status": "pending", "secrets": secret("early") })));
    let id = world.provision(&installation, FREE, "slow").await;
    assert_eq!(world.resource(&installation, &id).await["status"], "pending");
    let data = json!({
        "operationId": "op_1", "fence": 1, "resourceId": id, "status": "ready", "secrets": secret("late"),
        "notification": { "level": "info", "title": "Ready" },
    });
    let route = "/partner/provisioner/reports";
    let call = world.partner_call("provisioner.report", route, &installation, &data);
    let mark = world.mark().await;
    let got = world.send_partner(&call).await.expect(202);
    let mut calls = world.calls_since(mark).await;
    calls.sort();
    assert_eq!(calls, ["POST events ok", "PUT resources/secrets ok"]);
    let delivered = ("delivered".to_owned(), 0);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [delivered.clone(), delivered]);
    let row = world.resource(&installation, &id).await;
    assert_eq!((&row["status"], &row["notification"]["title"]), (&json!("ready"), &json!("Ready")));
    let wanted = [("LEDGERBASE_TOKEN".to_owned(), sha256("late"))];
    assert_eq!(world.secrets(&installation, &id).await, wanted);
    // Repeated: nothing. Overtaken: refused.
    let committed = world.committed();
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    assert_eq!(world.committed(), committed);
    world.vercel(patch(&installation, &id, "renamed").key("u1")).await.expect(200);
    let stale = json!({ "operationId": "op_1", "fence": 1, "resourceId": id, "status": "error" });
    let before = world.dump().await;
    world.partner("provisioner.report", route, &installation, stale).await.is_problem(409, "conflict");
    assert_eq!(world.dump().await, before);
    world.close().await;
}
