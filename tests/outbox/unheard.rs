//! What Vercel asked for, and did not hear the answer to; and what begins later.

use serde_json::{Value, json};
use tradepost_provider::state::{Credentials, Life};
use tradepost_store::Write;

use crate::world::acts;
use crate::world::got::text;
use crate::world::provisioner::Mood;
use crate::world::vercel::Call;
use crate::world::{FREE, PRODUCT, TEAM, World};
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
    let shown = async || {
        let plan = world.resource(&installation, &id).await["billingPlan"].take();
        (text(&plan["id"]), plan["effectiveDate"].as_str().map(str::to_owned))
    };
    let begins = (FREE.to_owned(), Some("2027-02-01T00:00:00.000Z".to_owned()));
    world.advance_to("2027-01-31T23:58:00Z").await;
    world.cron("/cron/outbox").await;
    assert_eq!(shown().await, begins, "it knows since the change when the plan begins");
    world.advance_to("2027-02-01T00:00:00Z").await;
    let swept = world.cron("/cron/outbox").await;
    assert_eq!((&swept["lanes"]["delivered"], &swept["lanes"]["age_seconds"]), (&json!(1), &json!(0)));
    world.advance("1s").await;
    assert_eq!(shown().await, (FREE.to_owned(), None));
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
    for what in ["usage", "usage, unmarked", "usage of a closed period", "project", "refused command", "secrets"] {
        let world = World::open().await;
        let (installation, _) = world.customer(TEAM).await;
        let id = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
        match what {
            "usage" | "usage, unmarked" | "usage of a closed period" => {
                let readings = [(id.as_str(), "queries", "2027-01-01T00:00:00Z", "10")];
                world.report(&installation, "b1", &readings).await.expect(200);
                if what == "usage of a closed period" {
                    world.advance("1m").await;
                    world.partner("invoice.close", "/partner/invoices", &installation, json!({})).await.expect(202);
                }
                if what != "usage" {
                    // A batch that touches very many totals has no room left for the mark.
                    let mut stored = world.stored_resource(&installation, &id).await.unwrap();
                    stored.item.life = Life::MADE;
                    world.local.bare.commit(vec![Write::replace(&stored.item, stored.version).unwrap()]).await.unwrap();
                }
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
        assert_eq!((stored.life, world.local.provisioner.resources()), (Life::KNOWN, 2), "{what}");
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
        // Of A.8 we ask only once A.9 has said no: until it answers, nothing of the resource is billed.
        let life = if path == listing { Life::DENIED } else { Life::MADE };
        assert_eq!(kept, (life, 2), "{path} {fault}");
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

/// A.9 says no and A.8 names it: nothing of it is billed and nothing destroyed, until that is settled. Then all of it
/// is billed, the period that was closed meanwhile, too.
#[tokio::test]
async fn a_resource_that_vercel_denies_is_not_billed_until_it_is_settled() {
    for settled_by in ["Vercel", "a partner system", "usage"] {
        let world = World::open().await;
        world.advance_to("2027-01-16T12:00:00Z").await;
        let installation = world.install().await;
        let id = bought(&world, &installation).await;
        denied(&world, &installation, &id).await;
        world.cron("/cron/billing").await;
        let billed = async || {
            let rows = world.state(&installation).await["interim"].as_array().cloned().unwrap_or_default();
            rows.last().is_some_and(|row| !row["items"].as_array().unwrap().is_empty())
        };
        assert!(!billed().await, "{settled_by}");
        assert_eq!(dry_run(&world, &installation).await, "0.00", "{settled_by}");
        world.advance_to("2027-02-01T06:05:00Z").await;
        world.cron("/cron/invoices").await;
        assert_eq!(world.invoices(&installation).await.len(), 0, "{settled_by}");
        assert_eq!(world.local.provisioner.resources(), 1, "{settled_by}");
        match settled_by {
            "Vercel" => {
                assert!(world.vercel_heals().await[0] > 0);
                world.sweep().await;
            }
            "usage" => {
                let reading = [(id.as_str(), "queries", "2027-02-01T01:00:00Z", "1")];
                let got = world.report(&installation, "b1", &reading).await.expect(200);
                assert_eq!(got.body["accepted"], 1, "readings show that somebody uses it");
                world.vercel_heals().await;
            }
            _ => {
                resolve(&world, &installation, &id, "known").await.expect(202);
                resolve(&world, &installation, &id, "known").await.is_problem(409, "conflict");
                world.vercel_heals().await;
            }
        }
        assert_eq!(world.stored_resource(&installation, &id).await.unwrap().life, Life::KNOWN, "{settled_by}");
        // Half of January; February comes to it.
        let data = json!({ "dryRun": true });
        let dry = world.partner("invoice.close", "/partner/invoices", &installation, data).await.expect(200);
        assert_eq!(dry.body["carriedIn"], "10.00", "{settled_by}");
        world.advance_to("2027-03-01T06:05:00Z").await;
        world.cron("/cron/invoices").await;
        let invoices = world.invoices(&installation).await;
        assert_eq!(invoices.iter().map(|it| text(&it["total"])).collect::<Vec<_>>(), ["30.00"], "{settled_by}");
        assert!(world.installation(&installation).await.unbilled.is_empty());
        world.advance("2h").await;
        world.sweep().await;
        world.close().await;
    }
}

#[tokio::test]
async fn a_resource_that_vercel_denies_is_taken_back_if_a_partner_system_says_so() {
    let world = World::open().await;
    let installation = world.install().await;
    let id = bought(&world, &installation).await;
    resolve(&world, &installation, &id, "unknown").await.is_problem(409, "conflict");
    resolve(&world, &installation, "icfg_x.r1", "unknown").await.is_problem(404, "not_found");
    denied(&world, &installation, &id).await;
    resolve(&world, &installation, &id, "unknown").await.expect(202);
    assert!(world.stored_resource(&installation, &id).await.unwrap().life.is_void());
    for _ in 0..2 {
        world.sweep().await;
    }
    world.vercel_heals().await;
    assert_eq!(world.local.provisioner.resources(), 0);
    world.leave();
}

/// Of a customer who leaves nobody asks any more: what was there is billed.
#[tokio::test]
async fn what_vercel_denied_is_billed_when_the_customer_leaves() {
    let world = World::open().await;
    let installation = world.install().await;
    let id = bought(&world, &installation).await;
    denied(&world, &installation, &id).await;
    world.vercel_heals().await;
    world.advance_to("2027-01-11T00:00:00Z").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    world.cron("/cron/invoices").await;
    let invoices = world.invoices(&installation).await;
    assert_eq!(invoices.iter().map(|it| text(&it["total"])).collect::<Vec<_>>(), ["6.45"]);
    world.sweep().await;
    world.advance("2h").await;
    world.close().await;
}

/// A resource of which Vercel has yet to be asked whether it knows it. (It does.)
async fn bought(world: &World, installation: &str) -> String {
    let path = format!("/_sim/installations/{installation}/resources");
    let body = json!({ "productId": PRODUCT, "planId": TEAM, "name": "orders" });
    text(&world.control("POST", &path, body).await.expect(201).body["resourceId"])
}

/// Has Vercel say of a resource that it does not know it, and list it all the same.
async fn denied(world: &World, installation: &str, id: &str) {
    let fault = json!({ "kind": "status", "status": 404 });
    world.vercel_fails(json!([{ "match": { "method": "GET", "path": "*/resources/*" }, "fault": fault }])).await;
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.stored_resource(installation, id).await.unwrap().life, Life::DENIED);
    assert_eq!(world.waiting(installation).await, [("confirm_resource", 2, false)]);
}

async fn resolve(world: &World, installation: &str, id: &str, outcome: &str) -> crate::Got {
    let data = json!({ "resourceId": id, "outcome": outcome });
    world.partner("resource.settle", "/partner/invoices", installation, data).await
}

async fn dry_run(world: &World, installation: &str) -> String {
    let data = json!({ "dryRun": true });
    text(&world.partner("invoice.close", "/partner/invoices", installation, data).await.expect(200).body["total"])
}

/// A "not there" that lost its envelope on the way is believed once the list says the same; a gateway's page is not.
#[tokio::test]
async fn a_removal_whose_answer_has_no_envelope_ends_when_the_list_agrees() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.vercel(Call::new("DELETE", path(&installation, &id)).of(&installation).key("d1")).await.expect(204);
    let page = json!([{ "match": { "method": "DELETE", "path": "*/resources/*" }, "fault": { "kind": "foreign" } }]);
    world.vercel_fails(page).await;
    world.advance("15m").await;
    world.cron("/cron/outbox").await;
    assert_eq!(world.waiting(&installation).await, [("remove_resource", 1, false)], "it is listed: nobody removed it");
    assert!(world.vercel_heals().await[0] > 0);
    // Vercel removes it, and we do not hear of it; from then on its refusals have no envelope.
    world.vercel_fails(json!([{ "match": { "method": "DELETE" }, "fault": "reset_after", "times": 1 }])).await;
    world.control("PUT", "/_sim/switches", json!({ "envelopes": "lost" })).await.expect(200);
    world.sweep().await;
    assert_ne!(world.resource(&installation, &id).await["deletedAt"], Value::Null);
    assert_eq!(world.waiting(&installation).await, []);
    world.close().await;
}

/// Vercel comes with the create again after a person said that it does not have the resource: it is not sent the old
/// answer, for that resource is gone.
#[tokio::test]
async fn a_late_repeat_of_a_create_that_was_settled_as_unknown_is_refused() {
    let world = World::open().await;
    let installation = world.install().await;
    let id = text(&world.vercel(provision(&installation)).await.expect(200).body["id"]);
    let fault = json!({ "kind": "status", "status": 500 });
    world.vercel_fails(json!([{ "match": { "method": "GET", "path": "*/resources" }, "fault": fault }])).await;
    for _ in 0..2 {
        world.sweep().await;
    }
    assert!(world.vercel_heals().await[0] > 0);
    assert_eq!(world.vercel(provision(&installation)).await.expect(200).body["id"], id.as_str());
    resolve(&world, &installation, &id, "unknown").await.expect(202);
    assert_eq!(world.vercel(provision(&installation)).await.status, 409);
    for _ in 0..2 {
        world.sweep().await;
    }
    assert_eq!(world.local.provisioner.resources(), 0);
    world.close().await;
}
