//! The Partner API as Vercel uses it: what each call does, and that the same call again does nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use tradepost_provider::idempotency::Remembered;
use tradepost_provider::state::{Credentials, InstallationStatus, ResourceState, Rotation, keys};
use world::got::{Got, text};
use world::provisioner::Mood;
use world::table::resource_id;
use world::vercel::{Call, sha256};
use world::{FREE, ORG, PRODUCT, SCALE, Setup, TEAM, World, with_org};

/// How often a waiting caller of the same request looks again.
const POLL: Duration = Duration::from_millis(100);

fn at(installation: &str) -> String {
    format!("/v1/installations/{installation}")
}

fn resources(installation: &str) -> String {
    format!("/v1/installations/{installation}/resources")
}

fn provision(installation: &str, body: &Value) -> Call {
    Call::new("POST", resources(installation)).of(installation).body(body.clone())
}

fn order(name: &str, plan: &str) -> Value {
    json!({ "productId": PRODUCT, "name": name, "billingPlanId": plan, "metadata": { "region": "fra1" } })
}

fn upsert(installation: &str, token: &str) -> Call {
    let credentials = json!({ "access_token": token, "token_type": "Bearer" });
    let body = json!({ "scopes": ["read:x"], "acceptedPolicies": { "toc": world::BEGIN }, "credentials": credentials });
    Call::new("PUT", at(installation)).of(installation).body(body)
}

/// Makes a call under a key twice: the same answer, and the second time no commit and no order.
async fn twice(world: &World, call: Call, key: &str) -> Got {
    let first = world.vercel(call.clone().key(key)).await;
    let (committed, orders) = (world.committed(), world.provisioner.orders().len());
    let second = world.vercel(call.key(key)).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body), "a repeat is answered the same");
    assert_eq!(first.header("content-type"), second.header("content-type"));
    assert_eq!(world.committed(), committed, "a repeat writes nothing");
    assert_eq!(world.provisioner.orders().len(), orders, "a repeat orders nothing");
    first
}

async fn token_digest(world: &World, installation: &str) -> (String, Vec<String>) {
    let stored = world.installation(installation).await;
    (stored.token_digest.clone(), stored.retired_tokens.clone())
}

fn digest(token: &str) -> String {
    keys::digest_of(&[token.as_bytes()])
}

#[tokio::test]
async fn an_upsert_replaces_the_token_and_a_retired_one_never_comes_back() {
    let world = World::open().await;
    let installation = world.install().await;
    let (first, none) = token_digest(&world, &installation).await;
    assert_eq!(none, Vec::<String>::new());
    // The same token again is no other token.
    let got = twice(&world, upsert(&installation, "token-2"), "k2").await;
    got.is(204, &Value::Null);
    assert_eq!(token_digest(&world, &installation).await, (digest("token-2"), vec![first.clone()]));
    world.vercel(upsert(&installation, "token-2").key("k2b")).await.expect(204);
    assert_eq!(token_digest(&world, &installation).await, (digest("token-2"), vec![first.clone()]));
    // A third replaces it; then the second comes late, under whatever key.
    twice(&world, upsert(&installation, "token-3"), "k3").await.expect(204);
    for key in ["k2", "late"] {
        world.vercel(upsert(&installation, "token-2").key(key)).await.expect(204);
        let (current, retired) = token_digest(&world, &installation).await;
        assert_eq!((current, retired), (digest("token-3"), vec![first.clone(), digest("token-2")]));
    }
    // The token at rest is sealed.
    let table = serde_json::to_string(&world.dump().await).unwrap();
    assert!(!table.contains("token-3") && !table.contains("token-2"));
    // The same key with another body is refused.
    world.vercel(upsert(&installation, "token-4").key("k3")).await.is_envelope(409, "idempotency_key_reused");
    assert_eq!(token_digest(&world, &installation).await.0, digest("token-3"));
    world.close().await;
}

/// The replaced token is the one that calls Vercel from then on.
#[tokio::test]
async fn the_newest_token_is_the_one_that_calls() {
    let world = World::open().await;
    let (installation, resource) = world.customer(FREE).await;
    world.vercel(upsert(&installation, "not-a-token-of-vercels").key("k")).await.expect(204);
    let mark = world.mark().await;
    let data = json!({ "resourceId": resource, "name": "renamed" });
    world.partner("resource.updated", "/partner/events", &installation, data).await.expect(202);
    assert_eq!(world.calls_since(mark).await, ["POST events refused"]);
    // Dead in the state lane: it blocks nothing, and says so.
    world.close_leaving(&["resource_updated"]).await;
}

#[tokio::test]
async fn upserts_that_make_no_sense_are_refused() {
    let world = World::open().await;
    let installation = world.install().await;
    let before = world.dump().await;
    for body in [
        json!({}),
        json!({ "credentials": {} }),
        json!({ "credentials": { "access_token": "" } }),
        json!({ "credentials": { "access_token": "x".repeat(4097) } }),
        json!({ "credentials": { "access_token": "x" }, "acceptedPolicies": { "toc": "yesterday" } }),
        json!([]),
    ] {
        let call = Call::new("PUT", at(&installation)).of(&installation).body(body);
        world.vercel(call).await.is_envelope(400, "validation_error");
    }
    let long = upsert(&installation, "x").key(&"k".repeat(257));
    world.vercel(long).await.is_envelope(400, "validation_error");
    assert_eq!(world.dump().await, before);
    world.close().await;
}

#[tokio::test]
async fn an_installation_is_read_back_with_its_plan_and_changes_it() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let installation = world.install().await;
    let read = || Call::new("GET", at(&installation)).of(&installation).system();
    world.vercel(read()).await.is(200, &json!({}));
    let change =
        |plan: &str| Call::new("PATCH", at(&installation)).of(&installation).body(json!({ "billingPlanId": plan }));
    let got = twice(&world, change(ORG), "plan").await.expect(200);
    assert_eq!(got.body["billingPlan"]["id"], ORG);
    assert_eq!(world.vercel(read()).await.body, got.body);
    // A plan of resources is none of an installation's.
    for plan in ["no-such-plan", TEAM] {
        world.vercel(change(plan)).await.is_envelope(400, "validation_error");
    }
    let other = Call::new("PATCH", at(&installation)).of(&installation).body(json!({})).key("plan");
    world.vercel(other).await.is_envelope(409, "idempotency_key_reused");
    assert_eq!(world.installation(&installation).await.plan.as_ref().unwrap().as_str(), ORG);
    let unknown =
        Call::new("GET", at("icfg_new")).system().and(&json!({ "claims": { "installation_id": "icfg_new" } }));
    world.vercel(unknown).await.is_envelope(404, "not_found");
    world.close().await;
}

#[tokio::test]
async fn plans_are_what_the_catalog_sells() {
    let world = World::open().await;
    let (installation, resource) = world.customer(TEAM).await;
    let one = &format!("{}/{resource}/plans", resources(&installation));
    let all = format!("{}/plans", at(&installation));
    let product = format!("/v1/products/{PRODUCT}/plans");
    let committed = world.committed();
    let mut lists = Vec::new();
    for path in [&all, one, &product] {
        let got = world.vercel(Call::new("GET", path).of(&installation).system()).await.expect(200);
        lists.push(got.body);
    }
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:#?}");
    let plans = lists[0]["plans"].as_array().unwrap();
    let shown: Vec<_> =
        plans.iter().map(|plan| (&plan["id"], &plan["scope"], &plan["paymentMethodRequired"])).collect();
    let plan = |id: &str, pays: bool| (json!(id), json!("resource"), json!(pays));
    let wanted = [plan(FREE, false), plan(TEAM, true), plan(SCALE, true)];
    assert_eq!(shown, wanted.iter().map(|(id, scope, pays)| (id, scope, pays)).collect::<Vec<_>>());
    let unknown = Call::new("GET", format!("{}/{installation}.r0/plans", resources(&installation)));
    world.vercel(unknown.of(&installation).system()).await.is_envelope(404, "not_found");
    assert_eq!(world.committed(), committed, "looking writes nothing");
    world.close().await;
}

#[tokio::test]
async fn the_same_provision_twice_is_one_resource_and_one_answer() {
    let world = World::open().await;
    let installation = world.install().await;
    let got = twice(&world, provision(&installation, &order("orders", TEAM)), "p1").await.expect(200);
    let id = text(&got.body["id"]);
    // As the provisioner has it, secrets and all.
    assert_eq!(world.local.provisioner.resources(), 1);
    let made = world.local.provisioner.secrets(&resource_id(&id), 1);
    let secrets: Vec<Value> = made.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    assert_eq!(got.body["secrets"], json!(secrets));
    for (name, wanted) in [
        ("productId", json!(PRODUCT)),
        ("name", json!("orders")),
        ("metadata", json!({ "region": "fra1" })),
        ("status", json!("ready")),
    ] {
        assert_eq!(got.body[name], wanted, "{name}");
    }
    assert_eq!(got.body["billingPlan"]["id"], TEAM);
    // One order, derived ids, and in the table no secret in clear.
    let orders = world.provisioner.orders();
    assert_eq!(orders.len(), 1);
    assert_eq!(
        (&orders[0]["kind"], &orders[0]["resourceId"], &orders[0]["fence"]),
        (&json!("create"), &json!(id), &json!(1))
    );
    assert_eq!(keys::birthplace(&resource_id(&id)).unwrap().as_str(), installation);
    let table = serde_json::to_string(&world.dump().await).unwrap();
    assert!(made.iter().all(|(_, value)| !table.contains(value)));
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    // The same key with another body is refused, and changes nothing.
    let before = world.dump().await;
    let other = provision(&installation, &order("other", TEAM)).key("p1");
    world.vercel(other).await.is_envelope(409, "idempotency_key_reused");
    assert_eq!(world.dump().await, before);
    assert_eq!(world.provisioner.orders().len(), 1);
    // The same key in another installation, or on another route, is another request.
    let second = world.install().await;
    let got = world.vercel(provision(&second, &order("orders", TEAM)).key("p1")).await.expect(200);
    assert_ne!(got.body["id"], json!(id));
    let rename = Call::new("PATCH", format!("{}/{id}", resources(&installation))).of(&installation);
    world.vercel(rename.body(json!({ "name": "x" })).key("p1")).await.expect(200);
    world.close().await;
}

#[tokio::test]
async fn without_a_key_a_provision_is_not_deduplicated() {
    let world = World::open().await;
    let installation = world.install().await;
    let call = provision(&installation, &order("orders", FREE));
    let first = world.vercel(call.clone()).await.expect(200);
    let second = world.vercel(call).await.expect(200);
    assert_ne!(first.body["id"], second.body["id"]);
    assert_eq!(world.local.provisioner.resources(), 2);
    assert_eq!(world.installation(&installation).await.resources_live, 2);
    assert_eq!(world.records::<Remembered>(&installation, "K#provision").await.len(), 0);
    world.close().await;
}

/// The repeat of a provision after a rotation has the secrets of today; after a delete there is nothing to hand out.
#[tokio::test]
async fn a_repeated_provision_hands_out_current_secrets_only() {
    let world = World::open().await;
    let installation = world.install().await;
    let call = provision(&installation, &order("orders", FREE)).key("p1");
    let first = world.vercel(call.clone()).await.expect(200);
    let id = text(&first.body["id"]);
    // Vercel does not know it, so the handing over of new secrets is refused; what counts here is the answer.
    let rotate = Call::new("POST", format!("{}/{id}/secrets/rotate", resources(&installation))).of(&installation);
    world.vercel(rotate.body(json!({})).key("r1")).await.expect(202);
    let made = world.local.provisioner.secrets(&resource_id(&id), 2);
    let again = world.vercel(call.clone()).await.expect(200);
    assert_eq!(again.body["secrets"][0]["value"], json!(made[0].1));
    assert_ne!(again.body["secrets"], first.body["secrets"]);
    let delete = Call::new("DELETE", format!("{}/{id}", resources(&installation))).of(&installation);
    world.vercel(delete.key("d1")).await.is(204, &Value::Null);
    world.vercel(call).await.is_envelope(409, "conflict");
    assert_eq!(world.local.provisioner.resources(), 0);
    world.close_leaving(&["put_secrets"]).await;
}

#[tokio::test]
async fn provisions_that_make_no_sense_reserve_nothing() {
    let world = World::open().await;
    let installation = world.install().await;
    let before = world.dump().await;
    let mut bodies = vec![json!({}), json!([]), json!("text")];
    for (field, values) in [
        ("productId", vec![json!("nothing"), json!(1), json!("")]),
        ("billingPlanId", vec![json!("nothing"), Value::Null]),
        ("name", vec![json!(""), json!("  "), json!("x".repeat(129)), Value::Null]),
        ("metadata", vec![json!("text"), json!({ "long": "x".repeat(16 * 1024) })]),
    ] {
        for value in values {
            let mut body = order("orders", FREE);
            body[field] = value;
            bodies.push(body);
        }
    }
    for body in bodies {
        let got = world.vercel(provision(&installation, &body).key("k")).await;
        got.is_envelope(400, "validation_error");
    }
    // Vercel may send fields that we do not know.
    let mut body = order("orders", FREE);
    body["new"] = json!({ "since": 2028 });
    assert_eq!(world.dump().await, before);
    world.vercel(provision(&installation, &body).key("k")).await.expect(200);
    assert_eq!(world.provisioner.orders().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn an_installation_has_at_most_500_resources() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let mut stored = world.installation(&installation).await;
    stored.item.resources_live = 500;
    let write = tradepost_store::Write::replace(&stored.item, stored.version).unwrap();
    world.local.bare.commit(vec![write]).await.unwrap();
    let before = world.dump().await;
    let got = world.vercel(provision(&installation, &order("one more", FREE)).key("k")).await;
    got.is_envelope(409, "conflict");
    assert_eq!(world.dump().await, before);
    assert_eq!(world.local.provisioner.resources(), 1);
    stored = world.installation(&installation).await;
    stored.item.resources_live = 499;
    let write = tradepost_store::Write::replace(&stored.item, stored.version).unwrap();
    world.local.bare.commit(vec![write]).await.unwrap();
    world.vercel(provision(&installation, &order("the last", FREE)).key("k")).await.expect(200);
    assert_eq!(world.installation(&installation).await.resources_live, 500);
    world.close().await;
}

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
    world.advance("5d").await;
    let got = twice(&world, patch(FREE), "down").await.expect(200);
    assert_eq!(got.body["billingPlan"]["id"], TEAM, "a downgrade waits for the end of the period");
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
    let rotate = |hours: u64| {
        let call = Call::new("POST", format!("{}/{id}/secrets/rotate", resources(&installation))).of(&installation);
        call.system().body(json!({ "reason": "leaked", "delayOldSecretsExpirationHours": hours }))
    };
    let mark = world.mark().await;
    let got = twice(&world, rotate(2), "r1").await;
    got.is(202, &json!({ "sync": false }));
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
    assert_eq!((stored.state, stored.segments.last().unwrap().end), (ResourceState::Deleted, Some(world.now())));
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

#[tokio::test]
async fn an_uninstall_releases_every_resource_once() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    world.provision(&installation, FREE, "second").await;
    world.advance("3d").await;
    let delete = || {
        let call = Call::new("DELETE", at(&installation)).of(&installation);
        call.body(json!({ "cascadeResourceDeletion": true, "reason": "x" }))
    };
    let got = twice(&world, delete(), "bye").await;
    got.is(200, &json!({ "finalized": false }));
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (0, 2));
    let stored = world.installation(&installation).await;
    assert_eq!((stored.status, stored.resources_live), (InstallationStatus::Uninstalling, 0));
    assert_eq!((stored.uninstalled_at, stored.period_end), (Some(world.now()), world.now()));
    assert_eq!(world.records::<Credentials>(&installation, "C#").await.len(), 0);
    // By another key, by the system, by the webhook: nothing more happens.
    let mut settled = stored.version;
    for call in [delete().key("again"), delete().system().key("third"), delete()] {
        world.vercel(call).await.is(200, &json!({ "finalized": false }));
        assert_eq!(world.installation(&installation).await.version, settled);
    }
    let removed = json!({ "type": "integration-configuration.removed", "payload": { "configuration": { "id": installation } }, "times": 2 });
    let got = world.control("POST", "/_sim/webhooks", removed).await.expect(200);
    assert_eq!(got.body["deliveries"], json!([{ "status": 200 }, { "status": 200 }]));
    assert_eq!(world.provisioner.count("delete"), 2);
    settled = world.installation(&installation).await.version;
    assert_eq!(settled, stored.version);
    // Nobody buys any more, and nobody installs it again.
    let got = world.vercel(provision(&installation, &order("late", FREE)).key("late")).await;
    got.is_envelope(409, "conflict");
    world.vercel(upsert(&installation, "new")).await.is_envelope(409, "conflict");
    let unknown =
        Call::new("DELETE", at("icfg_new")).system().and(&json!({ "claims": { "installation_id": "icfg_new" } }));
    world.vercel(unknown.key("k")).await.is(204, &Value::Null);
    world.close().await;
}

/// The event may come without the call, or before it (spec E): it does the same.
#[tokio::test]
async fn a_removed_installation_is_released_by_the_webhook_alone() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let removed = json!({ "type": "integration-configuration.removed", "payload": { "configuration": { "id": installation } }, "times": 3 });
    let got = world.control("POST", "/_sim/webhooks", removed).await.expect(200);
    assert_eq!(got.body["deliveries"], json!([{ "status": 200 }, { "status": 200 }, { "status": 200 }]));
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Uninstalling);
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (0, 1));
    let call = Call::new("DELETE", at(&installation)).of(&installation).key("bye");
    world.vercel(call).await.is(200, &json!({ "finalized": false }));
    assert_eq!(world.provisioner.count("delete"), 1);
    world.close().await;
}

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
        assert_eq!(stored.iter().map(|it| it.state).collect::<Vec<_>>(), [ResourceState::Reserved]);
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
    let before = serde_json::to_value(world.stored_resource(&installation, &id).await.unwrap().item).unwrap();
    world.provisioner.next(Mood::Refuses(json!({ "code": "no", "message": "not this plan" })));
    let path = format!("{}/{id}", resources(&installation));
    let change = Call::new("PATCH", &path).of(&installation).body(json!({ "billingPlanId": SCALE, "name": "x" }));
    twice(&world, change.clone(), "u1").await.is_envelope(422, "unprocessable");
    let mut after = serde_json::to_value(world.stored_resource(&installation, &id).await.unwrap().item).unwrap();
    after["fence"] = before["fence"].clone();
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

#[tokio::test]
async fn two_callers_of_the_same_provision_get_one_resource_and_one_answer() {
    let world = World::open().await;
    let installation = world.install().await;
    world.provisioner.next(Mood::Holds);
    let call = || world.vercel(provision(&installation, &order("orders", TEAM)).key("p1"));
    let second = async {
        world.provisioner.holds(1).await;
        call().await
    };
    let release = async {
        world.waits.somebody_waits(POLL).await;
        world.provisioner.let_go();
    };
    let (first, second, ()) = tokio::join!(call(), second, release);
    assert_eq!((first.status, &first.body), (200, &second.body));
    assert_eq!(second.status, 200);
    assert_eq!((world.provisioner.orders().len(), world.local.provisioner.resources()), (1, 1));
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    world.close().await;
}

/// The second caller does not wait for ever: at its deadline, less two seconds, it is told to come back.
#[tokio::test]
async fn a_second_caller_is_told_to_come_back_before_its_deadline() {
    let world = World::open().await;
    let installation = world.install().await;
    world.provisioner.next(Mood::Holds);
    let call = || world.vercel(provision(&installation, &order("orders", TEAM)).key("p1"));
    let second = async {
        world.provisioner.holds(1).await;
        let got = call().await;
        world.provisioner.let_go();
        got
    };
    let time = async {
        world.waits.somebody_waits(POLL).await;
        world.lease.advance(23);
    };
    let (first, second, ()) = tokio::join!(call(), second, time);
    second.is_envelope(409, "operation_in_progress");
    assert_eq!(second.header("retry-after"), "2");
    first.expect(200);
    call().await.expect(200);
    assert_eq!((world.provisioner.orders().len(), world.local.provisioner.resources()), (1, 1));
    world.close().await;
}

#[tokio::test]
async fn of_two_commands_at_once_one_is_told_to_come_back() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = &format!("{}/{id}", resources(&installation));
    world.provisioner.next(Mood::Holds);
    let rename = |name: &str| Call::new("PATCH", path).of(&installation).body(json!({ "name": name }));
    let meanwhile = async {
        world.provisioner.holds(1).await;
        let committed = world.committed();
        let delete = Call::new("DELETE", path).of(&installation);
        let rotate = Call::new("POST", format!("{path}/secrets/rotate")).of(&installation).body(json!({}));
        for call in [rename("second").key("u2"), rename("without a key"), delete.key("d1"), rotate.key("r1")] {
            let got = world.vercel(call).await;
            got.is_envelope(409, "operation_in_progress");
            assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
        }
        let data = json!({ "resourceId": id, "name": "a partner's" });
        let got = world.partner("resource.updated", "/partner/events", &installation, data).await;
        got.is_problem(409, "operation_in_progress");
        assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(world.committed(), committed, "whoever is turned away writes nothing");
        world.provisioner.let_go();
    };
    let (first, ()) = tokio::join!(world.vercel(rename("first").key("u1")), meanwhile);
    first.expect(200);
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "first");
    // A refused command was not remembered as done: repeated, it goes.
    world.vercel(rename("second").key("u2")).await.expect(200);
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "second");
    world.close().await;
}

/// Vercel's older paths are the same API, and share its memory of keys.
#[tokio::test]
async fn the_older_paths_are_the_same_api() {
    let world = World::open().await;
    let installation = world.install().await;
    let first = world.vercel(provision(&installation, &order("orders", FREE)).key("p1")).await.expect(200);
    let path = format!("/v1/integrations/marketplace/installations/{installation}/resources");
    let call = Call::new("POST", path).of(&installation).body(order("orders", FREE)).key("p1");
    assert_eq!(world.vercel(call).await.expect(200).body, first.body);
    assert_eq!(world.local.provisioner.resources(), 1);
    world.close().await;
}
