//! Lanes: one delivery at a time, what waits, what is dead.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tradepost_provider::effects::Effect;
use tradepost_provider::outbox::Lane;
use tradepost_provider::state::InvoicePhase;
use tradepost_store::{Key, Record, Write};

use crate::world::partner::effects;
use crate::world::provisioner::Mood;
use crate::world::{FREE, TEAM, World};
use crate::{digests, down, live, rename, rotate};

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

/// A delivery removes what it delivered, and never what replaced that meanwhile: however often the one was tried, the
/// other's version is beyond it.
#[tokio::test]
async fn versions_of_what_was_tried_and_of_what_replaces_it_do_not_meet() {
    let world = World::open().await;
    let (installation, id) = world.customer(FREE).await;
    world.vercel_fails(down("*/events")).await;
    let version = async || world.records::<Effect>(&installation, "E#").await[0].version;
    rename(&world, &installation, &id, "first").await.expect(202);
    let begun = version().await;
    for tries in 1..4 {
        world.sweep().await;
        assert_eq!(version().await, begun + tries);
    }
    let tried = version().await;
    rename(&world, &installation, &id, "second").await.expect(202);
    assert!(version().await > tried + 1_000_000, "each try counts one up, and nobody tries a million times");
    world.vercel_heals().await;
    world.sweep().await;
    assert_eq!(world.resource(&installation, &id).await["name"], "second");
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
    let refused = json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 404 }, "times": 1 }]);
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
    rotate(&world, &installation, &id, 24).await.expect(202);
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
    let sum = |name: &str| [&a, &b, &c].map(|report| report["lanes"][name].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!((sum("delivered"), world.calls_since(mark).await), (1, vec!["POST events delay".to_owned()]));
    // Who came too late says so, whether the lane was held already or was taken meanwhile.
    assert_eq!(sum("busy"), sum("due") - 1);
    assert!(sum("due") > 1, "they were not at it together");
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
    let rotate = async || rotate(&world, &installation, &id, 0).await;
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

/// An effect that no program of ours can read.
#[derive(Serialize, Deserialize)]
struct Unreadable {
    pk: String,
    sk: String,
}

impl Record for Unreadable {
    const KIND: &'static str = Effect::KIND;

    fn key(&self) -> Key {
        Key { pk: self.pk.clone(), sk: self.sk.clone() }
    }
}

/// A lane that cannot be delivered stops no other, and is free again at once.
#[tokio::test]
async fn a_lane_that_fails_stops_no_other() {
    let world = World::open().await;
    let (installation, first) = world.customer(FREE).await;
    let second = world.provision(&installation, FREE, "logs").await;
    world.vercel_fails(down("*/events")).await;
    rename(&world, &installation, &first, "one").await.expect(202);
    rename(&world, &installation, &second, "two").await.expect(202);
    world.vercel_heals().await;
    let effects = world.records::<Effect>(&installation, "E#").await;
    let good = effects
        .into_iter()
        .find(|effect| effect.lane.resource.as_ref().is_some_and(|id| id.as_str() == first))
        .unwrap();
    let Key { pk, sk } = good.item.key();
    let unreadable = Unreadable { pk, sk };
    world.local.bare.commit(vec![Write::overwrite(&unreadable, good.version + 1).unwrap()]).await.unwrap();
    world.advance("1m").await;
    let report = async || {
        let report = &world.cron("/cron/outbox").await["lanes"];
        ["due", "busy", "delivered", "failed", "left"].map(|name| report[name].as_u64().unwrap())
    };
    assert_eq!(report().await, [2, 0, 1, 1, 0]);
    assert_eq!(world.resource(&installation, &second).await["name"], "two");
    for lane in world.records::<Lane>(&installation, "L#").await {
        assert_eq!((&lane.holder, lane.lease_until), (&None, None), "{lane:?}");
    }
    world.local.bare.commit(vec![Write::overwrite(&good.item, good.version + 2).unwrap()]).await.unwrap();
    assert_eq!(report().await, [1, 0, 1, 0, 0]);
    assert_eq!(world.resource(&installation, &first).await["name"], "one");
    world.close().await;
}

/// A sweep ends in time to write down what it did; what it had no time for is said, and is the next one's.
#[tokio::test]
async fn a_sweep_leaves_what_it_has_no_time_for() {
    let world = World::open().await;
    let (installation, first) = world.customer(FREE).await;
    let second = world.provision(&installation, FREE, "logs").await;
    for id in [&first, &second] {
        rotate(&world, &installation, id, 0).await.expect(202);
    }
    world.advance("2m").await;
    world.provisioner.next(Mood::Down);
    world.provisioner.next(Mood::Down);
    assert_eq!(world.cron("/cron/secrets").await["expired"], 2);
    world.advance("1m").await;
    let report = async || {
        let report = &world.cron("/cron/outbox").await["lanes"];
        ["due", "busy", "delivered", "failed", "left"].map(|name| report[name].as_u64().unwrap())
    };
    // Of the 20 seconds that a sweep of lanes has, six are left.
    world.provisioner.next(Mood::Holds);
    let slow = async {
        world.provisioner.holds(1).await;
        world.lease.advance(14);
        world.provisioner.let_go();
    };
    let (left, ()) = tokio::join!(report(), slow);
    assert_eq!(left, [2, 0, 1, 0, 1]);
    assert_eq!(report().await, [1, 0, 1, 0, 0]);
    assert_eq!((live(&world, &first), live(&world, &second)), (vec![2], vec![2]));
    world.close().await;
}
