//! What is owed is delivered, once and in order, whatever fails on the way: Vercel, the provisioner, the provider's
//! own process. And what nobody finished is finished by the sweeper.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use serde_json::{Value, json};
use tradepost_provider::outbox::Effect;
use tradepost_provider::state::{InstallationStatus, InvoicePhase, Resource, ResourceState, Rotation};
use tradepost_store::FaultKind;
use world::got::{Got, text};
use world::partner::effects;
use world::provisioner::Mood;
use world::table::resource_id;
use world::vercel::{Call, sha256};
use world::{FREE, ORG, PRODUCT, SCALE, Setup, TEAM, World, with_org};

/// How long a command holds its resource, and a lane is held.
const OPERATION_LEASE: i64 = 120;
const LANE_LEASE: i64 = 60;
/// How long a create waits for its caller before it is taken back.
const GIVEN_UP: i64 = 900;

fn down(path: &str) -> Value {
    json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }])
}

async fn rename(world: &World, installation: &str, resource: &str, name: &str) -> Got {
    let data = json!({ "resourceId": resource, "name": name });
    world.partner("resource.updated", "/partner/events", installation, data).await
}

fn path(installation: &str, resource: &str) -> String {
    format!("/v1/installations/{installation}/resources/{resource}")
}

fn patch(installation: &str, resource: &str, name: &str) -> Call {
    Call::new("PATCH", path(installation, resource)).of(installation).body(json!({ "name": name }))
}

fn digests(world: &World, resource: &str, version: u64) -> Vec<(String, String)> {
    let made = world.local.provisioner.secrets(&resource_id(resource), version).into_iter();
    let mut digests: Vec<_> = made.map(|(name, value)| (name.to_owned(), sha256(&value))).collect();
    digests.sort();
    digests
}

fn live(world: &World, resource: &str) -> Vec<u64> {
    world.local.provisioner.live_versions(&resource_id(resource)).into_iter().collect()
}

/// Makes a call whose provider dies once the provisioner has been asked, and before it hears the answer.
async fn dies_at_the_provisioner(world: &World, call: Call) {
    let asked = world.provisioner.orders().len();
    world.provisioner.next(Mood::Holds);
    let death = async {
        world.provisioner.holds(1).await;
        world.die_after(0);
        world.provisioner.let_go();
    };
    let (got, ()) = tokio::join!(world.vercel(call), death);
    got.is_envelope(500, "internal");
    assert_eq!(world.provisioner.orders().len(), asked + 1);
}

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

#[tokio::test]
async fn what_vercel_cannot_take_waits_and_is_delivered_by_the_sweeper() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/events")).await;
    let got = rename(&world, &installation, &id, "renamed").await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("pending".to_owned(), 1)]);
    let pending = async || {
        let effects = world.records::<Effect>(&installation, "E#").await;
        (effects[0].attempts, effects[0].not_before.duration_since(world.now()).as_secs())
    };
    assert_eq!(pending().await, (1, 60));
    // Before its time nothing is tried; then each pause is twice the one before.
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["due"], 0);
    world.advance("59s").await;
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["due"], 0);
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
    world.advance("1s").await;
    for (attempts, pause) in [(2, 120), (3, 240), (4, 480)] {
        assert_eq!(world.cron("/cron/outbox").await["lanes"]["delivered"], 0);
        assert_eq!(pending().await, (attempts, pause));
        world.advance(&format!("{pause}s")).await;
    }
    assert_eq!(world.resource(&installation, &id).await["name"], "orders");
    assert!(world.vercel_heals().await[0] >= 4);
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["delivered"], 1);
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    // Delivered is delivered.
    let mark = world.mark().await;
    world.sweep().await;
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
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
async fn newer_news_replace_older_ones_that_wait() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/events")).await;
    let mut ids = Vec::new();
    for name in ["first", "second", "third"] {
        ids.extend(effects(&rename(&world, &installation, &id, name).await.expect(202)));
    }
    let fate = |status: &str, attempts: u64| (status.to_owned(), attempts);
    let fates = world.fates(&installation, &ids).await;
    assert_eq!(fates, [fate("superseded", 0), fate("superseded", 0), fate("pending", 1)]);
    assert_eq!(world.waiting(&installation).await, [("resource_updated", 1, false)]);
    world.vercel_heals().await;
    let mark = world.mark().await;
    world.sweep().await;
    assert_eq!(world.calls_since(mark).await, ["POST events ok"], "Vercel is told once");
    assert_eq!(world.resource(&installation, &id).await["name"], "third");
    assert_eq!(world.fates(&installation, &ids[2..]).await, [fate("delivered", 0)]);
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

/// A dead letter of state is put aside: what comes after it goes.
#[tokio::test]
async fn a_dead_letter_of_state_blocks_nothing() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let refused =
        json!([{ "match": { "path": "*/events" }, "fault": { "kind": "status", "status": 400 }, "times": 1 }]);
    world.vercel_fails(refused).await;
    let dead = effects(&rename(&world, &installation, &id, "first").await.expect(202));
    assert_eq!(world.waiting(&installation).await, [("resource_updated", 1, true)]);
    assert_eq!(world.fates(&installation, &dead).await, [("dead".to_owned(), 1)]);
    let mark = world.mark().await;
    world.sweep().await;
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new(), "a dead letter is not tried again");
    let next = effects(&rename(&world, &installation, &id, "second").await.expect(202));
    assert_eq!(world.fates(&installation, &next).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.resource(&installation, &id).await["name"], "second");
    world.close_leaving(&["resource_updated"]).await;
}

#[tokio::test]
async fn a_dead_letter_of_money_blocks_its_own_lane_and_nothing_else() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let (other, _) = world.customer(TEAM).await;
    world.advance_to("2027-02-01T06:05:00Z").await;
    let path = format!("/v1/installations/{installation}/billing/invoices");
    let refused = json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 400 }, "times": 1 }]);
    world.vercel_fails(refused).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 2);
    assert_eq!(world.waiting(&installation).await, [("submit_invoice", 1, true)]);
    assert_eq!(world.stored_invoice(&installation, 1).await.phase, InvoicePhase::Rejected);
    // What comes behind it waits, and is not tried.
    world.advance_to("2027-03-01T06:05:00Z").await;
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 2);
    world.sweep().await;
    let submitted = world.calls_since(mark).await.into_iter().filter(|call| call.starts_with("POST billing/invoices"));
    assert_eq!(submitted.count(), 1, "the other installation's");
    assert_eq!(world.waiting(&installation).await, [("submit_invoice", 1, true), ("submit_invoice", 0, false)]);
    assert_eq!(world.invoices(&installation).await.len(), 0);
    assert_eq!(world.invoices(&other).await.len(), 2);
    // State and secrets of the same installation go their way.
    let told = effects(&rename(&world, &installation, &id, "renamed").await.expect(202));
    assert_eq!(world.fates(&installation, &told).await, [("delivered".to_owned(), 0)]);
    let route = format!("/partner/resources/{id}/secrets");
    world.partner("secrets.rotate", &route, &installation, json!({ "resourceId": id })).await.expect(202);
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
    world.advance("2h").await;
    world.close_leaving(&["submit_invoice", "submit_invoice"]).await;
}

#[tokio::test]
async fn two_sweeps_at_once_deliver_once() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/events")).await;
    rename(&world, &installation, &id, "renamed").await.expect(202);
    // Slow enough that both are at it.
    world.vercel_heals().await;
    let slow = json!([{ "match": { "path": "*/events" }, "fault": { "kind": "delay", "ms": 100 }, "times": 1 }]);
    world.vercel_fails(slow).await;
    world.advance("1m").await;
    let mark = world.mark().await;
    let sweep = || world.cron("/cron/outbox");
    let (a, b, c) = tokio::join!(sweep(), sweep(), sweep());
    let delivered: u64 = [a, b, c].iter().map(|report| report["lanes"]["delivered"].as_u64().unwrap()).sum();
    assert_eq!((delivered, world.calls_since(mark).await), (1, vec!["POST events delay".to_owned()]));
    world.close().await;
}

/// A command that meets a lane which is being delivered commits all the same; the one at work delivers its effect, too.
#[tokio::test]
async fn a_busy_lane_fails_no_command() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let slow = json!([{ "match": { "path": "*/events" }, "fault": { "kind": "delay", "ms": 100 }, "times": 1 }]);
    world.vercel_fails(slow).await;
    let (first, second) =
        tokio::join!(rename(&world, &installation, &id, "first"), rename(&world, &installation, &id, "second"),);
    first.expect(202);
    second.expect(202);
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    assert_eq!(world.resource(&installation, &id).await["name"], json!(stored.name), "Vercel read the last word");
    assert_eq!(world.waiting(&installation).await, []);
    world.close().await;
}

/// One lane, one delivery at a time: what comes meanwhile waits for its turn, and gets it from whoever is at work.
#[tokio::test]
async fn a_lane_delivers_one_effect_at_a_time() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let rotate = async || {
        let data = json!({ "resourceId": id, "delayHours": 0 });
        world.partner("secrets.rotate", &format!("/partner/resources/{id}/secrets"), &installation, data).await
    };
    rotate().await.expect(202);
    world.advance("2m").await;
    // The old secrets are being killed when new ones come.
    world.provisioner.next(Mood::Holds);
    let meanwhile = async {
        world.provisioner.holds(1).await;
        let effects = effects(&rotate().await.expect(202));
        assert_eq!(world.fates(&installation, &effects).await, [("pending".to_owned(), 0)]);
        assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
        world.provisioner.let_go();
        effects
    };
    let (report, effects) = tokio::join!(world.cron("/cron/secrets"), meanwhile);
    assert_eq!(report["expired"], 1);
    assert_eq!(world.fates(&installation, &effects).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 3));
    // The order to kill was overtaken by the rotation's fence: it is given again.
    assert_eq!(world.waiting(&installation).await, [("revoke_secrets", 1, false)]);
    world.sweep().await;
    assert_eq!(live(&world, &id), [2, 3]);
    world.close().await;
}

/// The process dies between the commit and the delivery.
#[tokio::test]
async fn what_was_committed_and_not_delivered_is_found_when_the_lease_is_over() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.die_after(1);
    let mark = world.mark().await;
    let call = world.partner_call(
        "resource.updated",
        "/partner/events",
        &installation,
        &json!({ "resourceId": id, "name": "renamed" }),
    );
    let answered = world.send_partner(&call).await;
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
    world.revive_after(0).await;
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["due"], 0, "the dead one still holds the lane");
    // Its caller comes back, and is told what it was told, or would have been.
    let repeat = world.send_partner(&call).await.expect(202);
    if answered.status == 202 {
        assert_eq!(answered.body, repeat.body);
    }
    assert_eq!(world.waiting(&installation).await, [("resource_updated", 0, false)]);
    world.revive_after(LANE_LEASE).await;
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["delivered"], 1);
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    assert_eq!(world.calls_since(mark).await, ["POST events ok"]);
    world.close().await;
}

/// The provisioner has done it, and the process died: the sweeper finishes it under the same id, and the repeat has the
/// answer.
#[tokio::test]
async fn an_abandoned_change_is_finished_by_the_sweeper() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    dies_at_the_provisioner(&world, patch(&installation, &id, "renamed").key("u1")).await;
    world.revive_after(0).await;
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "orders");
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 0, "not while its lease holds");
    let other = world.vercel(patch(&installation, &id, "other").key("u2")).await;
    other.is_envelope(409, "operation_in_progress");
    world.revive_after(OPERATION_LEASE).await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.operation.is_none()), ("renamed", true));
    let orders: Vec<_> = world.provisioner.orders().into_iter().filter(|order| order["kind"] == "update").collect();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0]["operationId"], orders[1]["operationId"]);
    assert!(orders[0]["fence"].as_u64() < orders[1]["fence"].as_u64());
    // Found once.
    let committed = world.committed();
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 0);
    let got = world.vercel(patch(&installation, &id, "renamed").key("u1")).await.expect(200);
    assert_eq!((got.body["name"].clone(), world.committed()), (json!("renamed"), committed));
    assert_eq!(world.provisioner.count("update"), 2);
    world.close().await;
}

#[tokio::test]
async fn an_abandoned_rotation_hands_vercel_the_secrets_in_the_end() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let rotate = || {
        let call = Call::new("POST", format!("{}/secrets/rotate", path(&installation, &id)));
        call.of(&installation).body(json!({})).key("r1")
    };
    dies_at_the_provisioner(&world, rotate()).await;
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 1));
    let mark = world.mark().await;
    world.revive_after(OPERATION_LEASE).await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
    assert_eq!(world.calls_since(mark).await, ["PUT resources/secrets ok"]);
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
    assert_eq!(live(&world, &id), [1, 2], "one rotation");
    world.vercel(rotate()).await.is(202, &json!({ "sync": false }));
    assert_eq!(world.provisioner.count("rotate"), 2);
    world.close().await;
}

/// A command that meets an abandoned operation of another request finishes that first.
#[tokio::test]
async fn an_abandoned_operation_in_the_way_is_finished_first() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    dies_at_the_provisioner(&world, patch(&installation, &id, "first").key("u1")).await;
    world.revive_after(OPERATION_LEASE).await;
    let got = world.vercel(patch(&installation, &id, "second").key("u2")).await.expect(200);
    assert_eq!(got.body["name"], "second");
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "second");
    let names: Vec<_> = world.provisioner.orders().iter().skip(1).map(|order| text(&order["name"])).collect();
    assert_eq!(names, ["first", "first", "second"]);
    // The first was answered, though nobody heard it.
    let got = world.vercel(patch(&installation, &id, "first").key("u1")).await.expect(200);
    assert_eq!(got.body["name"], "first");
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "second");
    world.close().await;
}

fn provision(installation: &str) -> Call {
    let body = json!({ "productId": PRODUCT, "name": "orders", "billingPlanId": TEAM, "metadata": {} });
    Call::new("POST", format!("/v1/installations/{installation}/resources")).of(installation).body(body).key("p1")
}

#[tokio::test]
async fn a_create_whose_caller_comes_back_in_time_is_one_resource() {
    let world = World::open().await;
    let installation = world.install().await;
    dies_at_the_provisioner(&world, provision(&installation)).await;
    world.revive_after(OPERATION_LEASE).await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 0, "its caller may come back yet");
    let got = world.vercel(provision(&installation)).await.expect(200);
    assert_eq!((world.provisioner.count("create"), world.local.provisioner.resources()), (2, 1));
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    assert_eq!(live(&world, &text(&got.body["id"])), [1]);
    world.advance("1h").await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 0);
    world.close().await;
}

/// Vercel does not know a resource whose provision was never answered: nobody may pay for it.
#[tokio::test]
async fn a_create_whose_caller_never_comes_back_is_taken_back() {
    let world = World::open().await;
    let installation = world.install().await;
    dies_at_the_provisioner(&world, provision(&installation)).await;
    assert_eq!(world.local.provisioner.resources(), 1);
    world.revive_after(GIVEN_UP).await;
    world.provisioner.next(Mood::Down);
    let report = world.cron("/cron/outbox").await;
    assert_eq!((&report["operations_finished"], &report["operations_failed"]), (&json!(0), &json!(1)));
    world.advance("15m").await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
    assert_eq!(world.local.provisioner.resources(), 0);
    assert_eq!(world.installation(&installation).await.resources_live, 0);
    assert_eq!(world.records::<Resource>(&installation, "S#1#").await.len(), 0);
    // Too late: to be asked for anew.
    let (committed, orders) = (world.committed(), world.provisioner.orders().len());
    world.vercel(provision(&installation)).await.is_envelope(409, "conflict");
    assert_eq!((world.committed(), world.provisioner.orders().len()), (committed, orders));
    world.vercel(provision(&installation).key("p2")).await.expect(200);
    assert_eq!(world.local.provisioner.resources(), 1);
    world.close().await;
}

#[tokio::test]
async fn resources_of_an_uninstalled_customer_are_released_however_often_it_takes() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    for name in ["second", "third"] {
        world.provision(&installation, FREE, name).await;
    }
    let states = async || {
        let resources = world.records::<Resource>(&installation, "S#1#").await;
        resources.iter().filter(|resource| resource.state == ResourceState::Deleted).count()
    };
    // One that does not go keeps no other.
    world.provisioner.next(Mood::AnswerLost);
    world.provisioner.next(Mood::Down);
    world.uninstall(&installation).await;
    assert_eq!((states().await, world.waiting(&installation).await), (1, vec![("release_resources", 1, false)]));
    let uninstalled = world.installation(&installation).await.uninstalled_at.unwrap();
    world.provisioner.next(Mood::Down);
    world.sweep().await;
    assert_eq!((states().await, world.waiting(&installation).await), (2, vec![("release_resources", 2, false)]));
    world.sweep().await;
    assert_eq!((states().await, world.local.provisioner.resources()), (3, 0));
    let deletes: Vec<_> = world.provisioner.orders().into_iter().filter(|order| order["kind"] == "delete").collect();
    let ids: std::collections::BTreeSet<_> = deletes.iter().map(|order| text(&order["operationId"])).collect();
    assert_eq!((deletes.len(), ids.len()), (6, 3), "each under its own id, however often");
    // They ended when the customer went, not when we came to it.
    for resource in world.records::<Resource>(&installation, "S#1#").await {
        assert_eq!(resource.deleted_at, Some(uninstalled));
    }
    assert_eq!(world.installation(&installation).await.resources_live, 0);
    world.close().await;
}

/// The old secrets stay good until Vercel has the new ones, however long that takes.
#[tokio::test]
async fn old_secrets_are_not_killed_before_vercel_has_the_new_ones() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/secrets")).await;
    let route = format!("/partner/resources/{id}/secrets");
    let data = json!({ "resourceId": id, "reason": "leaked", "delayHours": 1 });
    let call = world.partner_call("secrets.rotate", &route, &installation, &data);
    let got = world.send_partner(&call).await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("pending".to_owned(), 1)]);
    let committed = world.committed();
    assert_eq!(world.send_partner(&call).await.expect(202).body, got.body);
    assert_eq!((world.committed(), world.provisioner.count("rotate")), (committed, 1));
    // The grace is long over, but nothing was confirmed.
    for _ in 0..3 {
        world.advance("2h").await;
        let report = world.cron("/cron/secrets").await;
        assert_eq!((&report["due"], &report["expired"], &report["unconfirmed"]), (&json!(1), &json!(0), &json!(1)));
        world.cron("/cron/outbox").await;
    }
    assert_eq!((live(&world, &id), world.provisioner.count("revoke")), (vec![1, 2], 0));
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 1));
    // Vercel is back: it gets them, and the grace begins then.
    world.vercel_heals().await;
    world.sweep().await;
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
    world.cron("/cron/secrets").await;
    assert_eq!(live(&world, &id), [1, 2]);
    world.advance("61m").await;
    // The provisioner is down when they are to be killed: it is asked again.
    world.provisioner.next(Mood::Down);
    assert_eq!(world.cron("/cron/secrets").await["expired"], 1);
    assert_eq!(world.waiting(&installation).await, [("revoke_secrets", 1, false)]);
    world.sweep().await;
    assert_eq!((live(&world, &id), world.provisioner.count("revoke")), (vec![2], 2));
    assert_eq!(world.records::<Rotation>(&installation, "R#").await.len(), 0);
    world.close().await;
}

/// Two rotations before Vercel could take the first: it gets the second one's secrets only, and never goes back.
#[tokio::test]
async fn secrets_never_go_backwards() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/secrets")).await;
    let route = format!("/partner/resources/{id}/secrets");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let data = json!({ "resourceId": id, "delayHours": 0 });
        ids.extend(effects(&world.partner("secrets.rotate", &route, &installation, data).await.expect(202)));
    }
    let fates = world.fates(&installation, &ids).await;
    assert_eq!(fates, [("superseded".to_owned(), 0), ("pending".to_owned(), 1)]);
    world.vercel_heals().await;
    let mark = world.mark().await;
    world.sweep().await;
    assert_eq!(world.calls_since(mark).await, ["PUT resources/secrets ok"]);
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 3));
    world.advance("61s").await;
    assert_eq!(world.cron("/cron/secrets").await["expired"], 2);
    assert_eq!(live(&world, &id), [3], "both older versions are dead");
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

/// The call that ends an installation kills its own token: a repeat after a lost answer meets a dead one.
#[tokio::test]
async fn a_finalization_whose_answer_was_lost_is_final() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    world.advance("1d").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    let lost = json!([{ "match": { "path": "*/billing/finalize" }, "fault": "reset_after", "times": 1 }]);
    world.vercel_fails(lost).await;
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    assert_eq!(world.calls_since(mark).await, ["POST billing/finalize reset_after", "POST billing/finalize refused"]);
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    world.close().await;
}

/// A short history with every third call to the store failing in each of its ways: the same end as without.
#[tokio::test]
async fn a_store_that_fails_now_and_then_changes_nothing() {
    let kinds = [
        FaultKind::Conflict,
        FaultKind::Throttled,
        FaultKind::TimeoutBefore,
        FaultKind::TimeoutAfter,
        FaultKind::StaleIndex,
    ];
    for kind in kinds {
        let world = World::open().await;
        world.store_fails(kind, 3);
        let (installation, id) = world.customer(SCALE).await;
        world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "200000")]).await.expect(200);
        rename(&world, &installation, &id, "renamed").await.expect(202);
        world.vercel(patch(&installation, &id, "again").key("u1")).await.expect(200);
        let route = format!("/partner/resources/{id}/secrets");
        let data = json!({ "resourceId": id, "delayHours": 0 });
        world.partner("secrets.rotate", &route, &installation, data).await.expect(202);
        world.advance("1h").await;
        for path in ["/cron/billing", "/cron/secrets", "/cron/secrets", "/cron/outbox"] {
            world.cron(path).await;
        }
        world.advance_to("2027-02-01T06:05:00Z").await;
        world.cron("/cron/invoices").await;
        world.cron("/cron/invoices").await;
        world.advance("2h").await;
        for _ in 0..3 {
            world.sweep().await;
        }
        assert!(world.local.faulty.injected() > 0, "{kind:?} never struck");
        world.store_fails(FaultKind::None, 0);
        let invoices = world.invoices(&installation).await;
        let shown: Vec<_> = invoices.iter().map(|it| (text(&it["total"]), text(&it["state"]))).collect();
        assert_eq!(shown, [("7.50".to_owned(), "paid".to_owned())], "{kind:?}");
        assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2), "{kind:?}");
        assert_eq!((live(&world, &id), world.provisioner.count("rotate")), (vec![2], 1), "{kind:?}");
        assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "again", "{kind:?}");
        assert_eq!(world.local.provisioner.resources(), 1, "{kind:?}");
        world.close().await;
    }
}
