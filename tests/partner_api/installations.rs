//! Installations: tokens, plans, uninstalling.

use serde_json::{Value, json};
use tradepost_provider::state::{Credentials, InstallationStatus, keys};

use crate::world;
use crate::world::vercel::Call;
use crate::world::{FREE, ORG, PRODUCT, SCALE, Setup, TEAM, World, with_org};
use crate::{at, order, provision, resources, twice};

fn upsert(installation: &str, token: &str) -> Call {
    let credentials = json!({ "access_token": token, "token_type": "Bearer" });
    let body = json!({ "scopes": ["read:x"], "acceptedPolicies": { "toc": world::BEGIN }, "credentials": credentials });
    Call::new("PUT", at(installation)).of(installation).body(body)
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
async fn an_uninstall_releases_every_resource_once() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.provision(&installation, FREE, "second").await;
    world.advance("3d").await;
    let delete = || {
        let call = Call::new("DELETE", at(&installation)).of(&installation);
        call.body(json!({ "cascadeResourceDeletion": true, "reason": "x" }))
    };
    let got = twice(&world, delete(), "bye").await;
    got.is(200, &json!({ "finalized": false }));
    let then = world.now();
    assert_eq!(world.provisioner.count("delete"), 0, "Vercel has its answer first");
    world.answered().await;
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (0, 2));
    let stored = world.installation(&installation).await;
    assert_eq!((stored.status, stored.resources_live), (InstallationStatus::Uninstalling, 0));
    assert_eq!((stored.uninstalled_at, stored.period_end), (Some(then), then));
    assert_eq!(world.records::<Credentials>(&installation, "C#").await.len(), 0);
    // By another key, by the system, by the webhook: nothing more happens.
    let mut settled = stored.version;
    for call in [delete().key("again"), delete().system().key("third"), delete()] {
        world.vercel(call).await.is(200, &json!({ "finalized": false }));
        assert_eq!(world.installation(&installation).await.version, settled);
    }
    let payload = json!({ "configuration": { "id": installation } });
    let removed = json!({ "type": "integration-configuration.removed", "payload": payload, "times": 2 });
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
    let payload = json!({ "configuration": { "id": installation } });
    let removed = json!({ "type": "integration-configuration.removed", "payload": payload, "times": 3 });
    let got = world.control("POST", "/_sim/webhooks", removed).await.expect(200);
    assert_eq!(got.body["deliveries"], json!([{ "status": 200 }, { "status": 200 }, { "status": 200 }]));
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Uninstalling);
    world.answered().await;
    assert_eq!((world.local.provisioner.resources(), world.provisioner.count("delete")), (0, 1));
    let call = Call::new("DELETE", at(&installation)).of(&installation).key("bye");
    world.vercel(call).await.is(200, &json!({ "finalized": false }));
    assert_eq!(world.provisioner.count("delete"), 1);
    world.close().await;
}
