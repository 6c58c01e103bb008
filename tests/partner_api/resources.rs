//! Resources: reading, changing, rotating, deleting.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tradepost_provider::state::{Credentials, Rotation};

use crate::world;
use crate::world::table::resource_id;
use crate::world::vercel::{Call, sha256};
use crate::world::{FREE, SCALE, TEAM, World};
use crate::{resources, twice};

#[tokio::test]
async fn a_resource_is_read_renamed_and_reconfigured() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = format!("{}/{id}", resources(&installation));
    let read = || Call::new("GET", &path).of(&installation).system();
    let change = |body: Value| Call::new("PATCH", &path).of(&installation).body(body);
    let shown = world.vercel(read()).await.expect(200);
    assert_eq!(
        (&shown.body["name"], &shown.body["secrets"]),
        (&json!("orders"), &Value::Null),
        "secrets are never read back"
    );
    let both = json!({ "name": "invoices", "metadata": { "size": "l" } });
    let got = twice(&world, change(both), "u1").await.expect(200);
    assert_eq!((&got.body["name"], &got.body["metadata"]), (&json!("invoices"), &json!({ "size": "l" })));
    assert_eq!(world.vercel(read()).await.body, got.body);
    // What is absent stays; what the provisioner hears is how it will be.
    let got = twice(&world, change(json!({ "name": "ledger" })), "u2").await.expect(200);
    assert_eq!((&got.body["name"], &got.body["metadata"]), (&json!("ledger"), &json!({ "size": "l" })));
    let orders = world.provisioner.orders();
    let last = orders.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["name"], &last["metadata"]),
        (&json!("update"), &json!("ledger"), &json!({ "size": "l" }))
    );
    assert_eq!(last["fence"], 3, "each command outdates the one before");
    for body in [json!({ "name": "" }), json!({ "billingPlanId": "nothing" }), json!({ "metadata": 1 })] {
        world.vercel(change(body)).await.is_envelope(400, "validation_error");
    }
    world.vercel(change(json!({ "name": "other" })).key("u1")).await.is_envelope(409, "idempotency_key_reused");
    assert_eq!(world.vercel(read()).await.body["name"], "ledger");
    world.close().await;
}

/// By the catalog: up at once, down at the end of the period; to the metered plan always at once.
#[tokio::test]
async fn a_plan_changes_when_the_catalog_says() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let patch = |plan: &str| {
        let call = Call::new("PATCH", format!("{}/{id}", resources(&installation))).of(&installation);
        call.body(json!({ "billingPlanId": plan }))
    };
    let segments = async || {
        let stored = world.stored_resource(&installation, &id).await.unwrap();
        let day = |at: jiff::Timestamp| at.to_string()[5..10].to_owned();
        let segments = stored.segments.iter();
        segments.map(|it| (it.plan.to_string(), day(it.start), it.end.map(day))).collect::<Vec<_>>()
    };
    let segment =
        |plan: &str, start: &str, end: Option<&str>| (plan.to_owned(), start.to_owned(), end.map(str::to_owned));
    world.advance("10d").await;
    let got = twice(&world, patch(TEAM), "up").await.expect(200);
    assert_eq!(got.body["billingPlan"]["id"], TEAM);
    assert_eq!(segments().await, [segment(FREE, "01-01", Some("01-11")), segment(TEAM, "01-11", None)]);
    assert!(world.provisioner.orders().last().unwrap()["effectiveAt"].is_null(), "at once");
    world.advance("5d").await;
    let got = twice(&world, patch(FREE), "down").await.expect(200);
    let (plan, begins) = (&got.body["billingPlan"], "2027-02-01T00:00:00.000Z");
    assert_eq!((&plan["id"], &plan["effectiveDate"]), (&json!(FREE), &json!(begins)), "a downgrade waits for the end");
    let read = |path: String| Call::new("GET", path).of(&installation).system();
    let at = format!("{}/{id}", resources(&installation));
    assert_eq!(world.vercel(read(at.clone())).await.expect(200).body["billingPlan"], *plan, "B.7");
    let plans = world.vercel(read(format!("{at}/plans"))).await.expect(200).body["plans"].take();
    let dated = plans.as_array().unwrap().iter().filter(|plan| !plan["effectiveDate"].is_null());
    assert_eq!(dated.map(|plan| &plan["id"]).collect::<Vec<_>>(), [FREE], "B.12");
    let ends = segment(TEAM, "01-11", Some("02-01"));
    assert_eq!(segments().await[1..], [ends, segment(FREE, "02-01", None)]);
    assert_eq!(world.provisioner.orders().last().unwrap()["effectiveAt"], "2027-02-01T00:00:00Z");
    // Having thought better of it.
    twice(&world, patch(TEAM), "stay").await.expect(200);
    let open: Vec<_> = segments().await.into_iter().filter(|(.., end)| end.is_none()).collect();
    assert_eq!(open, [segment(TEAM, "01-11", None)], "what was to come is given up");
    world.advance("1d").await;
    twice(&world, patch(SCALE), "metered").await.expect(200);
    let now = segments().await;
    assert_eq!(now.last().unwrap(), &segment(SCALE, "01-17", None));
    // The plan it has is no change.
    world.advance("1h").await;
    let orders = world.provisioner.orders().len();
    world.vercel(patch(SCALE).key("same")).await.expect(200);
    assert_eq!(world.provisioner.orders().len(), orders + 1);
    assert_eq!(segments().await, now);
    world.close().await;
}

/// A downgrade that was asked for and taken back in January must not bill February when it is asked for again.
#[tokio::test]
async fn a_plan_that_was_given_up_does_not_come_back_from_the_past() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    for (at, plan) in [("2027-01-10", TEAM), ("2027-01-12", SCALE), ("2027-02-05", TEAM)] {
        world.advance_to(&format!("{at}T00:00:00Z")).await;
        let call = Call::new("PATCH", format!("{}/{id}", resources(&installation))).of(&installation);
        world.vercel(call.body(json!({ "billingPlanId": plan }))).await.expect(200);
    }
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    let real = stored.segments.iter().filter(|segment| segment.end != Some(segment.start));
    let seen: Vec<_> =
        real.map(|it| (it.plan.as_str(), it.start.to_string(), it.end.map(|at| at.to_string()))).collect();
    let march = "2027-03-01T00:00:00Z".to_owned();
    let scale = (SCALE, world::BEGIN.to_owned(), Some(march.clone()));
    assert_eq!(seen, [scale, (TEAM, march, None)]);
    world.close().await;
}

#[tokio::test]
async fn a_rotation_hands_vercel_the_new_secrets_and_later_kills_the_old() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let resource = resource_id(&id);
    let digests = |version: u64| {
        let made = world.local.provisioner.secrets(&resource, version).into_iter();
        let mut digests: Vec<_> = made.map(|(name, value)| (name.to_owned(), sha256(&value))).collect();
        digests.sort();
        digests
    };
    assert_eq!(world.secrets(&installation, &id).await, digests(1));
    let first = world.records::<Credentials>(&installation, "C#").await;
    assert_eq!(
        (first[0].secrets_version, first[0].revision, first[0].confirmed_revision),
        (1, 1, 1),
        "the answer has them"
    );
    let rotate = |hours: u64| {
        let call = Call::new("POST", format!("{}/{id}/secrets/rotate", resources(&installation))).of(&installation);
        call.system().body(json!({ "reason": "leaked", "delayOldSecretsExpirationHours": hours }))
    };
    let mark = world.mark().await;
    let got = twice(&world, rotate(2), "r1").await;
    got.is(202, &json!({ "sync": false }));
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new(), "Vercel has its answer first");
    world.answered().await;
    assert_eq!(world.calls_since(mark).await, ["PUT resources/secrets ok"]);
    assert_eq!(world.secrets(&installation, &id).await, digests(2));
    assert_eq!(world.provisioner.count("rotate"), 1);
    let live = || world.local.provisioner.live_versions(&resource).into_iter().collect::<Vec<_>>();
    assert_eq!(live(), [1, 2], "the old ones stay good");
    let stored = world.records::<Credentials>(&installation, "C#").await;
    assert_eq!((stored[0].secrets_version, stored[0].confirmed_revision), (2, 2));
    // Two hours and the longest call after Vercel confirmed, and not before.
    world.advance("2h").await;
    world.cron("/cron/secrets").await;
    assert_eq!(live(), [1, 2]);
    world.advance("1m").await;
    let report = world.cron("/cron/secrets").await;
    assert_eq!((&report["due"], &report["expired"]), (&json!(1), &json!(1)));
    assert_eq!(live(), [2]);
    assert_eq!(world.records::<Rotation>(&installation, "R#").await.len(), 0);
    let (committed, orders) = (world.committed(), world.provisioner.orders().len());
    assert_eq!(world.cron("/cron/secrets").await["due"], 0);
    assert_eq!((world.committed(), world.provisioner.orders().len()), (committed, orders));
    // The repeat of a rotation that is long over is still the same one.
    world.vercel(rotate(2).key("r1")).await.is(202, &json!({ "sync": false }));
    assert_eq!(world.secrets(&installation, &id).await, digests(2));
    world.vercel(rotate(3).key("r1")).await.is_envelope(409, "idempotency_key_reused");
    world.vercel(rotate(9999)).await.is_envelope(400, "validation_error");
    // Another one.
    world.vercel(rotate(0).key("r2")).await.expect(202);
    world.answered().await;
    assert_eq!(world.secrets(&installation, &id).await, digests(3));
    world.close().await;
}

#[tokio::test]
async fn a_deleted_resource_is_gone_and_stays_gone() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let other = world.provision(&installation, TEAM, "other").await;
    let path = format!("{}/{id}", resources(&installation));
    let delete = || Call::new("DELETE", &path).of(&installation);
    twice(&world, delete(), "d1").await.is(204, &Value::Null);
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (1, 1));
    let stored = world.stored_resource(&installation, &id).await.unwrap();
    assert_eq!((stored.life.is_deleted(), stored.segments.last().unwrap().end), (true, Some(world.now())));
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    let held: Vec<_> = world.records::<Credentials>(&installation, "C#").await;
    assert_eq!(held.iter().map(|held| held.resource.as_str()).collect::<Vec<_>>(), [other.as_str()]);
    // By any key, and as nobody's business: unknown ones are gone, too.
    world.vercel(delete().key("d2")).await.is(204, &Value::Null);
    world.vercel(delete()).await.is(204, &Value::Null);
    let unknown = Call::new("DELETE", format!("{}/{installation}.r0", resources(&installation))).of(&installation);
    world.vercel(unknown.key("d3")).await.is(204, &Value::Null);
    assert_eq!(world.provisioner.count("delete"), 1);
    // Nothing else can be done with it.
    for (method, rest, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", json!({ "name": "x" })),
        ("GET", "/plans", Value::Null),
        ("POST", "/secrets/rotate", json!({})),
    ] {
        let call = Call::new(method, format!("{path}{rest}")).of(&installation);
        let call = if method == "PATCH" { call } else { call.system() };
        let call = if body.is_null() { call } else { call.body(body) };
        world.vercel(call).await.is_envelope(404, "not_found");
    }
    world.close().await;
}

/// A resource that belongs to another installation is not there, in whatever way it is named.
#[tokio::test]
async fn a_foreign_resource_is_not_found() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let (_, foreign) = world.customer(FREE).await;
    let before = world.dump().await;
    for id in [foreign.as_str(), "icfg_x.r1", "a%23b", &"x".repeat(300)] {
        for (method, rest) in [("GET", ""), ("PATCH", ""), ("GET", "/plans"), ("POST", "/secrets/rotate")] {
            let call = Call::new(method, format!("{}/{id}{rest}", resources(&installation))).of(&installation);
            let call = if method == "PATCH" { call.body(json!({ "name": "mine" })) } else { call.system() };
            world.vercel(call).await.is_envelope(404, "not_found");
        }
    }
    assert_eq!(world.dump().await, before);
    let delete = Call::new("DELETE", format!("{}/{foreign}", resources(&installation))).of(&installation);
    world.vercel(delete).await.is(204, &Value::Null);
    assert_eq!(world.local.provisioner.resources(), 2, "and it is still there");
    world.close().await;
}

/// Commands on different resources wait for nobody, though all of them look at the installation.
#[tokio::test]
async fn commands_on_different_resources_do_not_disturb_each_other() {
    let world = World::open().await;
    let installation = world.install().await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(world.provision(&installation, FREE, &format!("r{n}")).await);
    }
    let calls = ids.iter().enumerate().map(|(n, id)| {
        let path = format!("{}/{id}", resources(&installation));
        let call = if n % 2 == 0 {
            Call::new("PATCH", path).body(json!({ "billingPlanId": TEAM }))
        } else {
            Call::new("DELETE", path)
        };
        world.vercel(call.of(&installation).key(&format!("k{n}")))
    });
    let statuses: Vec<u16> = join_all(calls).await.into_iter().map(|got| got.status).collect();
    assert_eq!(statuses, [200, 204, 200, 204, 200, 204, 200, 204]);
    assert_eq!(world.installation(&installation).await.resources_live, 4);
    world.sweep().await;
    world.close().await;
}

/// A plan is changed ten times a day, by Vercel and by partner systems together; then it is said when it may be again.
#[tokio::test]
async fn a_plan_is_changed_ten_times_a_day_whoever_asks() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let change = async |n: u32| {
        let plan = if n.is_multiple_of(2) { SCALE } else { TEAM };
        if n < 5 || n == 12 {
            let path = format!("{}/{id}", resources(&installation));
            let call = Call::new("PATCH", &path).of(&installation).body(json!({ "billingPlanId": plan }));
            return world.vercel(call.key(&format!("u{n}"))).await.status;
        }
        let data = json!({ "resourceId": id, "planId": plan });
        world.partner("resource.updated", "/partner/events", &installation, data).await.status
    };
    for n in 0..10 {
        assert!([200, 202].contains(&change(n).await), "{n}");
    }
    assert_eq!((change(10).await, change(12).await), (409, 409));
    world.advance("25h").await;
    assert_eq!(change(10).await, 202);
    world.leave();
}
