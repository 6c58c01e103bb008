//! A provisioner that is down, refuses, or breaks its contract.

use serde_json::json;
use tradepost_provider::state::{Credentials, Life};
use tradepost_store::Write;

use crate::world::got::text;
use crate::world::provisioner::Mood;
use crate::world::table::resource_id;
use crate::world::vercel::Call;
use crate::world::{SCALE, TEAM, World};
use crate::{order, provision, resources, twice};

#[tokio::test]
async fn a_provisioner_that_is_down_is_503_and_the_repeat_goes_on_where_it_stopped() {
    let world = World::open().await;
    let installation = world.install().await;
    let call = provision(&installation, &order("orders", TEAM)).key("p1");
    world.provisioner.next(Mood::Down);
    world.provisioner.next(Mood::AnswerLost);
    for _ in 0..2 {
        let got = world.vercel(call.clone()).await;
        got.is_envelope(503, "unavailable");
        assert_eq!(got.header("retry-after"), "5");
        assert!(!got.body.to_string().contains("provisioner"), "a 5xx says nothing of its cause: {got:?}");
        let stored = world.records::<tradepost_provider::state::Resource>(&installation, "S#1#").await;
        assert_eq!(stored.iter().map(|it| it.life).collect::<Vec<_>>(), [Life::Reserved]);
    }
    let got = twice(&world, provision(&installation, &order("orders", TEAM)), "p1").await.expect(200);
    assert_eq!(got.body["secrets"].as_array().unwrap().len(), 2);
    let orders = world.provisioner.orders();
    assert!(orders.iter().all(|order| order["operationId"] == orders[0]["operationId"]), "{orders:#?}");
    let fences: Vec<_> = orders.iter().map(|order| order["fence"].as_u64().unwrap()).collect();
    assert_eq!(fences, [1, 2, 3], "each taker outdates the one before");
    assert_eq!(world.local.provisioner.resources(), 1);
    assert_eq!(world.local.provisioner.live_versions(&resource_id(&text(&got.body["id"]))).len(), 1);
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    world.close().await;
}

/// A change, a rotation and a delete that meet a provisioner which is down, each repeated.
#[tokio::test]
async fn every_command_survives_a_provisioner_that_is_down() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = format!("{}/{id}", resources(&installation));
    let calls = [
        (Call::new("PATCH", &path).body(json!({ "name": "renamed" })), 200, "update"),
        (Call::new("POST", format!("{path}/secrets/rotate")).body(json!({})), 202, "rotate"),
        (Call::new("DELETE", &path), 204, "delete"),
    ];
    for (call, status, kind) in calls {
        let call = call.of(&installation);
        for mood in [Mood::Down, Mood::AnswerLost] {
            world.provisioner.next(mood);
            world.vercel(call.clone().key(kind)).await.is_envelope(503, "unavailable");
        }
        twice(&world, call, kind).await.expect(status);
        let orders: Vec<_> = world.provisioner.orders().into_iter().filter(|order| order["kind"] == kind).collect();
        assert_eq!(orders.len(), 3);
        assert!(orders.iter().all(|order| order["operationId"] == orders[0]["operationId"]));
        if kind == "rotate" {
            let live: Vec<_> = world.local.provisioner.live_versions(&resource_id(&id)).into_iter().collect();
            assert_eq!(live, [1, 2], "one rotation");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_refusal_of_the_provisioner_reaches_the_customer_and_is_remembered() {
    let world = World::open().await;
    let installation = world.install().await;
    let before = world.installation(&installation).await.item;
    let refusal = json!({
        "code": "no_region", "message": "region mars is not served", "user": "Choose another region.",
        "fields": [{ "key": "region", "message": "not served" }],
    });
    world.provisioner.next(Mood::Refuses(refusal));
    let call = provision(&installation, &order("orders", TEAM));
    let got = twice(&world, call.clone(), "p1").await;
    got.is(
        400,
        &json!({ "error": {
            "code": "validation_error", "message": "region mars is not served",
            "user": { "message": "Choose another region." },
            "fields": [{ "key": "region", "message": "not served" }],
        } }),
    );
    got.is_envelope(400, "validation_error");
    let mut after = world.installation(&installation).await.item;
    assert_eq!(after.resources_live, 0, "nothing is reserved");
    after.resources_live = before.resources_live;
    assert_eq!(serde_json::to_value(after).unwrap(), serde_json::to_value(before).unwrap());
    assert_eq!(world.records::<tradepost_provider::state::Resource>(&installation, "S#1#").await.len(), 0);
    // Without fields it is 422.
    world.provisioner.next(Mood::Refuses(json!({ "code": "full", "message": "no capacity", "user": "Try tomorrow." })));
    let got = twice(&world, call.clone(), "p2").await;
    let error = json!({ "code": "unprocessable", "message": "no capacity", "user": { "message": "Try tomorrow." } });
    got.is(422, &json!({ "error": error }));
    // Asked anew, it goes.
    world.vercel(call.key("p3")).await.expect(200);
    assert_eq!(world.local.provisioner.resources(), 1);
    world.close().await;
}

/// A refused change leaves the resource as it was, and free for the next one.
#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    // Nobody has seen yet that Vercel knows it.
    let mut made = world.stored_resource(&installation, &id).await.unwrap();
    made.item.life = Life::MADE;
    world.local.bare.commit(vec![Write::replace(&made.item, made.version).unwrap()]).await.unwrap();
    let before = serde_json::to_value(world.stored_resource(&installation, &id).await.unwrap().item).unwrap();
    world.provisioner.next(Mood::Refuses(json!({ "code": "no", "message": "not this plan" })));
    let path = format!("{}/{id}", resources(&installation));
    let change = Call::new("PATCH", &path).of(&installation).body(json!({ "billingPlanId": SCALE, "name": "x" }));
    twice(&world, change.clone(), "u1").await.is_envelope(422, "unprocessable");
    let mut after = serde_json::to_value(world.stored_resource(&installation, &id).await.unwrap().item).unwrap();
    after["fence"] = before["fence"].clone();
    // But that Vercel named it is kept: it knows the resource.
    assert_eq!((before["unconfirmed"].clone(), after["unconfirmed"].take()), (json!(true), json!(false)));
    after["unconfirmed"] = before["unconfirmed"].clone();
    assert_eq!(after, before);
    world.vercel(change.key("u2")).await.expect(200);
    world.close().await;
}

/// A provisioner that breaks its contract: a resource without secrets is good for nothing, and taken back.
#[tokio::test]
async fn a_provisioner_that_answers_without_secrets_is_not_believed() {
    let world = World::open().await;
    let installation = world.install().await;
    let call = provision(&installation, &order("orders", TEAM)).key("p1");
    world.provisioner.next(Mood::Says(json!({ "status": "ready" })));
    world.vercel(call.clone()).await.is_envelope(500, "internal");
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (0, 1));
    assert_eq!(world.installation(&installation).await.resources_live, 0);
    world.vercel(call).await.is_envelope(409, "conflict");
    let id =
        text(&world.vercel(provision(&installation, &order("orders", TEAM)).key("p2")).await.expect(200).body["id"]);
    world.provisioner.next(Mood::Says(json!({})));
    let rotate = Call::new("POST", format!("{}/{id}/secrets/rotate", resources(&installation))).of(&installation);
    world.vercel(rotate.body(json!({})).key("r1")).await.is_envelope(422, "unprocessable");
    let stored = world.records::<Credentials>(&installation, "C#").await;
    assert_eq!(stored[0].secrets_version, 1);
    // What is no answer at all is no answer: 503, and the same order again.
    world.provisioner.next(Mood::Says(json!([])));
    let rename = || Call::new("PATCH", format!("{}/{id}", resources(&installation))).of(&installation);
    world.vercel(rename().body(json!({ "name": "x" })).key("u1")).await.is_envelope(503, "unavailable");
    world.vercel(rename().body(json!({ "name": "x" })).key("u1")).await.expect(200);
    world.close().await;
}

/// A delete that the product answers with 404 is done. (It was retried without end, and billing went on.)
#[tokio::test]
async fn what_the_product_has_deleted_already_is_deleted() {
    for status in [404, 410] {
        let world = World::open().await;
        let (installation, id) = world.customer(TEAM).await;
        let delete = Call::new("DELETE", format!("{}/{id}", resources(&installation))).of(&installation);
        world.provisioner.next(Mood::Answers(status, json!({ "message": "no such database" })));
        twice(&world, delete, "d1").await.expect(204);
        assert!(world.stored_resource(&installation, &id).await.unwrap().life.is_deleted(), "{status}");
        world.sweep().await;
        world.close().await;
    }
}

/// And with the installation: the second order of each is answered 404.
#[tokio::test]
async fn an_uninstall_ends_what_the_product_has_deleted_already() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.provisioner.next(Mood::Answers(404, json!({})));
    world.uninstall(&installation).await;
    world.sweep().await;
    assert!(world.stored_resource(&installation, &id).await.unwrap().life.is_deleted());
    world.advance("7h").await;
    world.cron("/cron/invoices").await;
    world.sweep().await;
    world.close().await;
}

#[tokio::test]
async fn a_refused_create_reaches_the_customer_whatever_its_status() {
    for status in [402, 403, 409, 422] {
        let world = World::open().await;
        let installation = world.install().await;
        let user = json!({ "message": "Add a card first", "url": "https://acme.dev/cards" });
        world.provisioner.next(Mood::Answers(status, json!({ "code": "no", "message": "m", "user": user })));
        let got = twice(&world, provision(&installation, &order("orders", TEAM)), "p1").await;
        got.is_envelope(422, "unprocessable");
        assert_eq!(got.body["error"]["user"], user, "{status}");
        assert_eq!(world.installation(&installation).await.resources_live, 0);
        world.close().await;
    }
}

/// New secrets with a new plan go the way of a rotation's; the old ones are nobody's business but the product's.
#[tokio::test]
async fn secrets_in_the_answer_to_a_change_reach_vercel() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let secrets = json!([{ "name": "DATABASE_URL", "value": "postgres://new" }]);
    world.provisioner.next(Mood::Says(json!({ "secrets": secrets })));
    let path = format!("/_sim/installations/{installation}/resources/{id}");
    world.control("PATCH", &path, json!({ "planId": SCALE })).await.expect(200);
    world.sweep().await;
    let names: Vec<_> = world.secrets(&installation, &id).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["DATABASE_URL"]);
    let held = &world.records::<Credentials>(&installation, "C#").await[0];
    assert_eq!((held.secrets_version, held.revision, held.confirmed_revision), (1, 2, 2));
    world.close().await;
}

/// Vercel would lose one of them, or refuse it: we take none, and give the order again.
#[tokio::test]
async fn secrets_that_are_no_environment_variables_are_no_answer() {
    let secret = |name: &str| json!({ "name": name, "value": "v" });
    for secrets in [json!([secret("A"), secret("A")]), json!([secret("1A")]), json!([secret("A=B")])] {
        let world = World::open().await;
        let installation = world.install().await;
        let call = provision(&installation, &order("orders", TEAM)).key("p1");
        world.provisioner.next(Mood::Says(json!({ "secrets": secrets })));
        world.vercel(call.clone()).await.is_envelope(503, "unavailable");
        world.vercel(call).await.expect(200);
        world.close().await;
    }
}
