//! Provisioning: one resource a request.

use serde_json::{Value, json};
use tradepost_provider::idempotency::Remembered;
use tradepost_provider::state::keys;

use crate::world::got::text;
use crate::world::table::resource_id;
use crate::world::vercel::Call;
use crate::world::{FREE, PRODUCT, TEAM, World};
use crate::{order, provision, resources, twice};

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
    world.answered().await;
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

/// Deleted ones are kept for a while, for late readings and invoices: they count, too, but against a limit of their
/// own.
#[tokio::test]
async fn an_installation_keeps_at_most_so_many_resources_in_all() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let path = format!("/v1/installations/{installation}/resources/{id}");
    world.vercel(Call::new("DELETE", path).of(&installation).key("d")).await.expect(204);
    let counts = async || {
        let installation = world.installation(&installation).await;
        (installation.resources_live, installation.resources_kept)
    };
    assert_eq!(counts().await, (0, 1));
    let keeps = async |kept: u32| {
        let mut stored = world.installation(&installation).await;
        stored.item.resources_kept = kept;
        let write = tradepost_store::Write::replace(&stored.item, stored.version).unwrap();
        world.local.bare.commit(vec![write]).await.unwrap();
    };
    keeps(2_000).await;
    let before = world.dump().await;
    let got = world.vercel(provision(&installation, &order("one more", FREE)).key("k")).await;
    got.is_envelope(409, "conflict");
    assert_eq!(world.dump().await, before);
    keeps(1_999).await;
    world.vercel(provision(&installation, &order("the last", FREE)).key("k")).await.expect(200);
    assert_eq!(counts().await, (1, 2_000));
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
