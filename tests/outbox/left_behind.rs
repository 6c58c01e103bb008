//! What a process that died left behind, and a store that fails.

use serde_json::{Value, json};
use tradepost_provider::state::{InstallationStatus, Resource};
use tradepost_store::{FaultKind, Write};

use crate::world;
use crate::world::got::text;
use crate::world::provisioner::Mood;
use crate::world::vercel::Call;
use crate::world::{FREE, SCALE, TEAM, World};
use crate::{OPERATION_LEASE, dies_at_the_provisioner, digests, live, patch, path, provision, rename, rotate};

const LANE_LEASE: i64 = 60;

/// How long a create waits for its caller before it is taken back.
const GIVEN_UP: i64 = 900;

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
    // By the clock of its lane it is due; by that of leases somebody may be at it.
    world.advance("60s").await;
    let report = &world.cron("/cron/outbox").await["lanes"];
    assert_eq!((&report["due"], &report["busy"], &report["delivered"]), (&json!(1), &json!(1), &json!(0)));
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
    assert_eq!(other.header("retry-after"), "5");
    let begun = async || world.stored_resource(&installation, &id).await.unwrap().operation.clone().unwrap();
    let first = begun().await;
    world.revive_after(OPERATION_LEASE).await;
    world.provisioner.next(Mood::Down);
    assert_eq!(world.cron("/cron/outbox").await["operations_failed"], 1);
    let second = begun().await;
    assert_eq!((&second.id, second.asked_at), (&first.id, first.asked_at), "asked for when it was");
    world.revive_after(OPERATION_LEASE).await;
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.operation.is_none()), ("renamed", true));
    let orders: Vec<_> = world.provisioner.orders().into_iter().filter(|order| order["kind"] == "update").collect();
    assert_eq!(orders.len(), 3);
    for pair in orders.windows(2) {
        assert_eq!(pair[0]["operationId"], pair[1]["operationId"]);
        assert!(pair[0]["fence"].as_u64() < pair[1]["fence"].as_u64());
    }
    // Found once.
    let committed = world.committed();
    assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 0);
    let got = world.vercel(patch(&installation, &id, "renamed").key("u1")).await.expect(200);
    assert_eq!((got.body["name"].clone(), world.committed()), (json!("renamed"), committed));
    assert_eq!(world.provisioner.count("update"), 3);
    world.close().await;
}

/// A plan that is changed long after it was asked for counts from then: what was billed stays as it was billed.
#[tokio::test]
async fn an_abandoned_change_of_plan_counts_from_when_it_is_carried_out() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-01-20T00:00:00Z").await;
    let path = crate::path(&installation, &id);
    let change = Call::new("PATCH", path).of(&installation).body(json!({ "billingPlanId": SCALE })).key("u1");
    dies_at_the_provisioner(&world, change).await;
    world.revive_after(OPERATION_LEASE).await;
    world.advance_to("2027-02-01T06:05:00Z").await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 1);
    world.report(&installation, "b1", &[(&id, "queries", "2027-02-01T05:00:00Z", "1")]).await.expect(200);
    world.advance_to("2027-02-01T07:00:00Z").await;
    let swept = world.cron("/cron/outbox").await;
    assert_eq!(swept["operations_finished"], 1, "{swept} {:?}", world.stored_resource(&installation, &id).await);
    let segments = world.stored_resource(&installation, &id).await.unwrap().segments.clone();
    let shown: Vec<_> = segments.iter().map(|it| (it.plan.as_str(), it.end.map(|end| end.to_string()))).collect();
    assert_eq!(shown, [(TEAM, Some("2027-02-01T07:00:00Z".to_owned())), (SCALE, None)]);
    let billed: Vec<_> = world.invoices(&installation).await.iter().map(|invoice| text(&invoice["total"])).collect();
    assert_eq!(billed, ["20.00"]);
    world.sweep().await;
    world.close().await;
}

/// A command that meets an abandoned operation of another request finishes that first.
#[tokio::test]
async fn an_abandoned_operation_in_the_way_is_finished_first() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    dies_at_the_provisioner(&world, patch(&installation, &id, "first").key("u1")).await;
    world.revive_after(OPERATION_LEASE + 1).await;
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

/// A caller that comes back while its resource is being taken back does not get it after all: the product may have
/// deleted it already.
#[tokio::test]
async fn a_create_that_is_being_taken_back_is_not_made_after_all() {
    let world = World::open().await;
    let installation = world.install().await;
    dies_at_the_provisioner(&world, provision(&installation)).await;
    world.revive_after(GIVEN_UP).await;
    world.provisioner.next(Mood::AnswerLost);
    assert_eq!(world.cron("/cron/outbox").await["operations_failed"], 1);
    assert_eq!(world.local.provisioner.resources(), 0);
    world.vercel(provision(&installation)).await.is_envelope(409, "conflict");
    assert_eq!((world.provisioner.count("create"), world.local.provisioner.resources()), (1, 0));
    assert_eq!(world.installation(&installation).await.resources_live, 0);
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
        resources.iter().filter(|resource| resource.life.is_deleted()).count()
    };
    // One that does not go keeps no other.
    world.provisioner.next(Mood::AnswerLost);
    world.provisioner.next(Mood::Down);
    world.uninstall(&installation).await;
    world.answered().await;
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
        assert_eq!(resource.life.ended_at(), Some(uninstalled));
    }
    assert_eq!(world.installation(&installation).await.resources_live, 0);
    world.close().await;
}

/// The call that ends an installation kills its own token: a repeat after a lost answer meets a dead one.
#[tokio::test]
async fn a_finalization_whose_answer_was_lost_is_final() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    // Something may yet be invoiced; in the end it is too little.
    let lines = json!({ "lines": [{ "name": "Support", "amount": "0.10" }] });
    world.partner("invoice.adjust", "/partner/invoices", &installation, lines).await.expect(202);
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
        rotate(&world, &installation, &id, 0).await.expect(202);
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

/// The table was restored, and the provisioner has seen higher fences than the table knows: they are overtaken.
#[tokio::test]
async fn a_release_overtakes_the_fences_that_were_forgotten() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    for name in ["a", "b", "c", "d", "e"] {
        world.vercel(patch(&installation, &id, name)).await.expect(200);
    }
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    let forgot = Resource { fence: 0, ..stored.item };
    world.local.bare.commit(vec![Write::replace(&forgot, stored.version).unwrap()]).await.unwrap();
    world.uninstall(&installation).await;
    world.answered().await;
    assert_eq!(world.local.provisioner.resources(), 0);
    assert!(world.stored_resource(&installation, &id).await.unwrap().life.is_deleted());
    assert_eq!(world.waiting(&installation).await, []);
    world.close().await;
}

/// Records of requests that nobody answered.
async fn unanswered(world: &World) -> usize {
    let is_unanswered =
        |item: &&Value| item["kind"]["S"] == "idempotency" && item["data"]["M"]["answer"] == json!({ "NULL": true });
    world.dump().await.iter().filter(is_unanswered).count()
}

/// The customer leaves while a command is at the provisioner. The command is turned away, nothing remains of it, and
/// its repeat is refused.
#[tokio::test]
async fn a_command_that_an_uninstall_overtakes_leaves_no_record() {
    for name in ["provision", "change", "rotation", "delete", "partner's rotation"] {
        let world = World::open().await;
        let (installation, id) = world.customer(FREE).await;
        let data = json!({ "resourceId": id });
        let partners =
            world.partner_call("secrets.rotate", &format!("/partner/resources/{id}/secrets"), &installation, &data);
        let at = path(&installation, &id);
        let ask = async || match name {
            "provision" => world.vercel(provision(&installation)).await,
            "change" => world.vercel(patch(&installation, &id, "renamed").key("u1")).await,
            "rotation" => {
                let call = Call::new("POST", format!("{at}/secrets/rotate")).of(&installation).body(json!({}));
                world.vercel(call.key("r1")).await
            }
            "delete" => world.vercel(Call::new("DELETE", &at).of(&installation).key("d1")).await,
            _ => world.send_partner(&partners).await,
        };
        world.provisioner.next(Mood::Holds);
        let end = async {
            world.provisioner.holds(1).await;
            assert_eq!(unanswered(&world).await, 1, "{name}");
            world.uninstall(&installation).await;
            world.answered().await;
            world.provisioner.let_go();
        };
        let (got, ()) = tokio::join!(ask(), end);
        let is_partners = name.starts_with("partner");
        if is_partners {
            got.is_problem(409, "operation_in_progress");
        } else {
            got.is_envelope(409, "operation_in_progress");
        }
        assert_eq!(unanswered(&world).await, 0, "{name}");
        let (orders, made) = (world.provisioner.orders().len(), world.local.provisioner.resources());
        assert_eq!(made, 0, "{name}");
        match name {
            "delete" => ask().await.is(204, &Value::Null),
            _ if is_partners => ask().await.is_problem(409, "conflict"),
            _ => ask().await.is_envelope(409, "conflict"),
        }
        assert_eq!((world.provisioner.orders().len(), unanswered(&world).await), (orders, 0), "{name}");
        world.close().await;
    }
}
