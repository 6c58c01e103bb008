//! What Vercel asked for, and did not hear the answer to; and what begins later.

use serde_json::{Value, json};
use tradepost_provider::state::{Credentials, Life};
use tradepost_store::Write;

use crate::world::acts;
use crate::world::got::text;
use crate::world::provisioner::Mood;
use crate::world::vercel::Call;
use crate::world::{FREE, TEAM, World};
use crate::{patch, path, provision};

/// A raw call: whatever is answered, Vercel's side does not keep it.
#[tokio::test]
async fn a_change_and_a_delete_whose_answers_are_lost_are_told() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel(patch(&installation, &id, "renamed").key("u1")).await.expect(200);
    assert_eq!(world.resource(&installation, &id).await["name"], "orders");
    world.advance("2m").await;
    world.cron("/cron/outbox").await;
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    world.vercel(Call::new("DELETE", path(&installation, &id)).of(&installation).key("d1")).await.expect(204);
    assert_eq!(world.resource(&installation, &id).await["deletedAt"], Value::Null);
    world.advance("15m").await;
    world.cron("/cron/outbox").await;
    assert_ne!(world.resource(&installation, &id).await["deletedAt"], Value::Null);
    world.sweep().await;
    world.close().await;
}

#[tokio::test]
async fn a_plan_that_begins_with_the_next_period_is_told_when_it_begins() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = format!("/_sim/installations/{installation}/resources/{id}");
    world.control("PATCH", &path, json!({ "planId": FREE })).await.expect(200);
    let shown = async || text(&world.resource(&installation, &id).await["billingPlan"]["id"]);
    world.advance_to("2027-01-31T23:58:00Z").await;
    world.cron("/cron/outbox").await;
    assert_eq!(shown().await, TEAM);
    world.advance_to("2027-02-01T00:00:00Z").await;
    let swept = world.cron("/cron/outbox").await;
    assert_eq!((&swept["lanes"]["delivered"], &swept["lanes"]["age_seconds"]), (&json!(1), &json!(0)));
    world.advance("1s").await;
    assert_eq!(shown().await, FREE);
    world.close().await;
}

/// Nobody has it, so nobody pays for it; a repeat that comes late is told to ask anew.
#[tokio::test]
async fn a_resource_that_vercel_does_not_know_is_taken_back() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let lost = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
    for _ in 0..2 {
        assert_eq!(world.local.provisioner.resources(), 2);
        world.sweep().await;
    }
    assert_eq!(world.local.provisioner.resources(), 1);
    assert!(world.stored_resource(&installation, &lost).await.unwrap().life.is_void());
    assert_eq!(world.vercel(provision(&installation)).await.status, 409);
    let readings = [(lost.as_str(), "queries", "2027-01-01T00:00:00Z", "10")];
    let refused = world.report(&installation, "b2", &readings).await.expect(200);
    assert_eq!(refused.body["refused"].as_array().unwrap().len(), 1, "{refused:?}");
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    let invoices = world.invoices(&installation).await;
    assert_eq!(invoices.iter().map(|invoice| text(&invoice["total"])).collect::<Vec<_>>(), ["20.00"]);
    world.advance("2h").await;
    world.sweep().await;
    world.close().await;
}

/// What speaks for a resource of which Vercel says that it does not know it: then it is kept, and billed.
#[tokio::test]
async fn what_shows_that_vercel_knows_a_resource_is_believed_before_its_no() {
    for what in ["usage", "project", "refused command", "secrets"] {
        let world = World::open().await;
        let (installation, _) = world.customer(TEAM).await;
        let id = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
        match what {
            "usage" => {
                let readings = [(id.as_str(), "queries", "2027-01-01T00:00:00Z", "10")];
                world.report(&installation, "b1", &readings).await.expect(200);
            }
            "project" => {
                let payload = json!({ "installationId": installation, "resourceId": id, "project": { "id": "prj_1" },
                                      "projectId": "prj_1", "targets": ["production"] });
                acts::webhook(&world, "integration-resource.project-connected", payload).await.expect(200);
            }
            "refused command" => {
                world.provisioner.next(Mood::Refuses(json!({ "code": "no", "message": "not now" })));
                world.vercel(patch(&installation, &id, "renamed").key("u1")).await.expect(422);
            }
            _ => {
                let key = Credentials::key_of(&installation.parse().unwrap(), &id.parse().unwrap());
                let mut held = world.local.bare.get::<Credentials>(&key).await.unwrap().unwrap();
                held.item.confirmed_revision = 2;
                world.local.bare.commit(vec![Write::replace(&held.item, held.version).unwrap()]).await.unwrap();
            }
        }
        for _ in 0..4 {
            world.sweep().await;
        }
        let stored = world.stored_resource(&installation, &id).await.unwrap();
        assert_eq!((stored.life, world.local.provisioner.resources()), (Life::Live { is_known: true }, 2), "{what}");
        world.close().await;
    }
}

/// A database was deleted after a gateway had answered 404 for three hours.
#[tokio::test]
async fn a_resource_is_not_taken_back_on_a_doubtful_answer() {
    let resource = "*/resources/*";
    let listing = "*/resources";
    for (path, fault) in [
        (resource, json!({ "kind": "foreign" })),
        (resource, json!({ "kind": "foreign", "status": 403 })),
        (resource, json!({ "kind": "foreign", "status": 308 })),
        // An envelope, and not this.
        (resource, json!({ "kind": "status", "status": 403 })),
        (listing, json!({ "kind": "foreign" })),
        (listing, json!({ "kind": "status", "status": 500 })),
    ] {
        let world = World::open().await;
        let (installation, _) = world.customer(TEAM).await;
        let lost = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
        world.vercel_fails(json!([{ "match": { "method": "GET", "path": path }, "fault": fault }])).await;
        for _ in 0..5 {
            world.advance("1h").await;
            world.cron("/cron/outbox").await;
        }
        let stored = world.stored_resource(&installation, &lost).await.unwrap();
        let kept = (stored.life, world.local.provisioner.resources());
        assert_eq!(kept, (Life::MADE, 2), "{path} {fault}");
        assert!(world.vercel_heals().await[0] > 2, "{path} {fault}");
        // Vercel itself says so, twice: now it goes.
        for _ in 0..4 {
            world.sweep().await;
        }
        assert_eq!(world.local.provisioner.resources(), 1, "{path} {fault}");
        world.close().await;
    }
}

/// Once the customer has uninstalled, nobody is asked: what was used is billed.
#[tokio::test]
async fn of_a_customer_who_leaves_nothing_is_taken_back() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let lost = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
    world.uninstall(&installation).await;
    for _ in 0..4 {
        world.sweep().await;
    }
    let stored = world.stored_resource(&installation, &lost).await.unwrap();
    assert!(stored.life.is_deleted() && !stored.life.is_void(), "{stored:?}");
    world.advance("7h").await;
    world.cron("/cron/invoices").await;
    world.sweep().await;
    world.close().await;
}

/// Vercel named it when it asked for its end: it knew it, whatever it says when it is asked after the uninstall.
#[tokio::test]
async fn a_resource_that_vercel_deleted_is_not_taken_back() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let id = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
    world.vercel(Call::new("DELETE", path(&installation, &id)).of(&installation).key("d1")).await.expect(204);
    world.uninstall(&installation).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    assert!(stored.life.is_deleted() && !stored.life.is_void(), "{stored:?}");
    world.advance("7h").await;
    world.cron("/cron/invoices").await;
    world.close().await;
}
