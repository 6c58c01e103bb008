//! Handing over new secrets, and killing the old ones.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_provider::state::{Credentials, Rotation};
use tradepost_store::{Key, Record, Write};

use crate::world::partner::effects;
use crate::world::provisioner::Mood;
use crate::world::table::{installation_id, resource_id};
use crate::world::vercel::Call;
use crate::world::{FREE, World};
use crate::{OPERATION_LEASE, dies_at_the_provisioner, digests, down, live, path, rotate};

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
    world.answered().await;
    assert_eq!(world.calls_since(mark).await, ["PUT resources/secrets ok"]);
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
    assert_eq!(live(&world, &id), [1, 2], "one rotation");
    world.vercel(rotate()).await.is(202, &json!({ "sync": false }));
    assert_eq!(world.provisioner.count("rotate"), 2);
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
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.extend(effects(&rotate(&world, &installation, &id, 0).await.expect(202)));
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

/// A resource that Vercel is at work on gets its secrets later; nobody has to settle that.
#[tokio::test]
async fn a_conflict_at_vercel_passes() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let busy = json!([{ "match": { "path": "*/secrets" }, "fault": { "kind": "status", "status": 409 }, "times": 1 }]);
    world.vercel_fails(busy).await;
    let got = rotate(&world, &installation, &id, 24).await.expect(202);
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("pending".to_owned(), 1)]);
    world.sweep().await;
    assert_eq!(world.secrets(&installation, &id).await, digests(&world, &id, 2));
    assert_eq!(world.fates(&installation, &effects(&got)).await, [("delivered".to_owned(), 0)]);
    world.close().await;
}

/// A rotation does not put off the end of what an earlier one replaced.
#[tokio::test]
async fn each_rotation_has_its_own_grace() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    let rotate = async || rotate(&world, &installation, &id, 2).await;
    rotate().await.expect(202);
    world.advance("1h").await;
    rotate().await.expect(202);
    world.advance("61m").await;
    assert_eq!(world.cron("/cron/secrets").await["expired"], 1);
    assert_eq!(live(&world, &id), [2, 3]);
    world.advance("1h").await;
    assert_eq!(world.cron("/cron/secrets").await["expired"], 1);
    assert_eq!(live(&world, &id), [3]);
    world.close().await;
}

/// The product has deleted the resource, and its answer was lost: what is to be killed there is gone, and that is no
/// fault.
#[tokio::test]
async fn secrets_of_a_resource_that_is_being_deleted_are_gone_with_it() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    rotate(&world, &installation, &id, 0).await.expect(202);
    world.advance("2m").await;
    world.provisioner.next(Mood::AnswerLost);
    let delete = || Call::new("DELETE", path(&installation, &id)).of(&installation).key("d1");
    world.vercel(delete()).await.is_envelope(503, "unavailable");
    assert_eq!(world.local.provisioner.resources(), 0);
    world.cron("/cron/secrets").await;
    assert_eq!(world.waiting(&installation).await, [("revoke_secrets", 1, false)]);
    world.vercel(delete()).await.expect(204);
    world.sweep().await;
    assert_eq!(world.waiting(&installation).await, []);
    world.close().await;
}

/// A product that will not kill old secrets leaves them good: a person must know.
#[tokio::test]
async fn a_revocation_that_is_refused_is_a_dead_letter() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    rotate(&world, &installation, &id, 0).await.expect(202);
    world.advance("2m").await;
    world.provisioner.next(Mood::Refuses(json!({ "error": { "code": "policy", "message": "not now" } })));
    world.cron("/cron/secrets").await;
    assert_eq!(world.waiting(&installation).await, [("revoke_secrets", 1, true)]);
    assert_eq!(live(&world, &id), [1, 2]);
    world.close_leaving(&["revoke_secrets"]).await;
}

/// Credentials that no program of ours can read.
#[derive(Serialize, Deserialize)]
struct Unreadable {
    installation: InstallationId,
    resource: ResourceId,
}

impl Record for Unreadable {
    const KIND: &'static str = Credentials::KIND;

    fn key(&self) -> Key {
        Credentials::key_of(&self.installation, &self.resource)
    }
}

/// One run expires what it can, whatever is wrong with the rest, and says what is left.
#[tokio::test]
async fn a_rotation_that_cannot_be_looked_at_stops_no_other() {
    let world = World::open().await;
    let (installation, first) = world.customer(FREE).await;
    let second = world.provision(&installation, FREE, "logs").await;
    let rotate = async |id: &str| rotate(&world, &installation, id, 0).await;
    let report = async || {
        let report = world.cron("/cron/secrets").await;
        ["due", "expired", "unconfirmed", "failed", "left"].map(|name| report[name].as_u64().unwrap())
    };
    rotate(&first).await.expect(202);
    rotate(&second).await.expect(202);
    world.advance("2m").await;
    let unreadable = Unreadable { installation: installation_id(&installation), resource: resource_id(&first) };
    let good = world.local.bare.get::<Credentials>(&unreadable.key()).await.unwrap().unwrap();
    world.local.bare.commit(vec![Write::overwrite(&unreadable, good.version + 1).unwrap()]).await.unwrap();
    assert_eq!(report().await, [2, 1, 0, 1, 0]);
    assert_eq!((live(&world, &first), live(&world, &second)), (vec![1, 2], vec![2]));
    world.local.bare.commit(vec![Write::overwrite(&good.item, good.version + 2).unwrap()]).await.unwrap();
    // The provisioner takes all the time that there is for the one: the other is left for the next run.
    rotate(&second).await.expect(202);
    world.advance("2m").await;
    world.provisioner.next(Mood::Holds);
    let slow = async {
        world.provisioner.holds(1).await;
        world.lease.advance(25);
        world.provisioner.let_go();
    };
    let (left, ()) = tokio::join!(report(), slow);
    assert_eq!(left, [2, 1, 0, 0, 1]);
    assert_eq!(report().await, [1, 1, 0, 0, 0]);
    assert_eq!((live(&world, &first), live(&world, &second)), (vec![2], vec![3]));
    world.close().await;
}
