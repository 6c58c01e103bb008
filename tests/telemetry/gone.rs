//! Vercel answers 410 although the customer never uninstalled: nothing is given up, and Vercel is not called
//! for nothing.

use serde_json::json;
use tradepost_provider::state::InstallationStatus;

use crate::log;
use crate::world::got::Got;
use crate::world::vercel::Call;
use crate::world::{PRODUCT, TEAM, World};

async fn settle(world: &World, installation: &str, outcome: &str) -> Got {
    world.partner("installation.settle", "/partner/invoices", installation, json!({ "outcome": outcome })).await
}

/// Every call about the installation is answered 410, in Vercel's envelope.
async fn is_gone(world: &World, installation: &str) {
    let path = format!("/v1/installations/{installation}*");
    world.vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 410 } }])).await;
}

async fn rename(world: &World, installation: &str, id: &str, name: &str) -> Got {
    let data = json!({ "resourceId": id, "name": name });
    world.partner("resource.updated", "/partner/events", installation, data).await
}

async fn hours(world: &World, count: usize) {
    for _ in 0..count {
        world.advance("1h").await;
        for path in ["/cron/billing", "/cron/invoices", "/cron/outbox"] {
            world.cron(path).await;
        }
    }
}

/// Two days of it were 48 calls and one line of log; an invoice was dead at once.
#[tokio::test]
async fn what_is_owed_to_an_installation_that_is_gone_is_held_and_alarmed_once() {
    let (log, _guard) = log();
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance_to("2027-01-31T20:00:00Z").await;
    is_gone(&world, &installation).await;
    let mark = world.mark().await;
    rename(&world, &installation, &id, "renamed").await.expect(202);
    hours(&world, 48).await;
    // The first push or effect that hears of it is the last call; usage was taken and the period closed all the same.
    let calls = world.calls_since(mark).await;
    assert!((2..=3).contains(&calls.len()), "{calls:?}");
    let told = |message: &str| log.lines().iter().filter(|line| line["message"] == message).count();
    assert_eq!(told("Vercel says that an installation is gone: its pushes and effects are held"), 1);
    assert_eq!(log.lines().iter().filter_map(|line| line["Held"].as_i64()).sum::<i64>(), 1, "one alarm");
    let reading = [(id.as_str(), "queries", "2027-02-02T00:00:00Z", "10")];
    assert_eq!(world.report(&installation, "b1", &reading).await.expect(200).body["accepted"], 1);
    let waiting = world.waiting(&installation).await;
    let kinds: Vec<_> = waiting.iter().map(|(kind, _, is_dead)| (*kind, *is_dead)).collect();
    assert_eq!(kinds, [("submit_invoice", false), ("resource_updated", false)]);
    // Nothing ages meanwhile.
    assert_eq!(world.cron("/cron/outbox").await["lanes"]["age_seconds"], 0);
    world.vercel_heals().await;
    settle(&world, &installation, "there").await.expect(202);
    settle(&world, &installation, "there").await.is_problem(409, "conflict");
    hours(&world, 2).await;
    assert_eq!(world.waiting(&installation).await, []);
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    assert_eq!(world.invoices(&installation).await.len(), 1);
    world.advance("2h").await;
    world.close().await;
}

/// The days that end while nothing is pushed: shown once it is there again, if Vercel still takes them; otherwise they
/// are counted. Whoever hears first that it is gone.
#[tokio::test]
async fn the_days_that_end_while_it_is_held_are_owed_or_counted_as_lost() {
    for first in ["the push", "an effect"] {
        let (log, _guard) = log();
        let world = World::open().await;
        let (installation, id) = world.customer(TEAM).await;
        world.advance_to("2027-01-10T20:00:00Z").await;
        hours(&world, 1).await;
        let days_lost = || log.lines().iter().filter_map(|line| line["PushDaysLost"].as_i64()).sum::<i64>();
        let before = days_lost();
        is_gone(&world, &installation).await;
        if first == "an effect" {
            rename(&world, &installation, &id, "renamed").await.expect(202);
            assert!(world.installation(&installation).await.gone_since.is_some());
        }
        // Two days end.
        hours(&world, 48).await;
        world.vercel_heals().await;
        let mark = world.mark().await;
        settle(&world, &installation, "there").await.expect(202);
        hours(&world, 1).await;
        assert_eq!(days_lost() - before, 1, "{first}: the eleventh ended 46 hours ago");
        let pushes = world.calls_since(mark).await.into_iter().filter(|call| call.starts_with("POST billing ")).count();
        assert_eq!(pushes, 2, "{first}: the end of the twelfth, and now");
        hours(&world, 2).await;
        assert_eq!(days_lost() - before, 1, "{first}");
        world.close().await;
    }
}

/// A 410 to another call speaks of what that call is about.
#[tokio::test]
async fn a_410_of_one_call_stops_nothing_else() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let events = json!([{ "match": { "path": "*/events" }, "fault": { "kind": "status", "status": 410 }, "times": 2 }]);
    world.vercel_fails(events).await;
    rename(&world, &installation, &id, "renamed").await.expect(202);
    assert_eq!(world.waiting(&installation).await, [("resource_updated", 1, false)]);
    assert_eq!(world.installation(&installation).await.gone_since, None, "A.3 knows it");
    hours(&world, 3).await;
    assert_eq!(world.waiting(&installation).await, []);
    assert_eq!(world.resource(&installation, &id).await["name"], "renamed");
    world.close().await;
}

/// Vercel calls about it: so it has it.
#[tokio::test]
async fn a_call_of_vercels_ends_the_hold() {
    for what in ["upsert", "provision", "uninstall"] {
        let world = World::open().await;
        let (installation, id) = world.customer(TEAM).await;
        is_gone(&world, &installation).await;
        rename(&world, &installation, &id, "renamed").await.expect(202);
        assert!(world.installation(&installation).await.gone_since.is_some(), "{what}");
        world.vercel_heals().await;
        match what {
            "upsert" => {
                let body = json!({ "scopes": ["read-write:marketplace"], "acceptedPolicies": {}, "credentials":
                    { "access_token": "another", "token_type": "Bearer" }, "account": { "url": "https://vercel.com/x",
                      "contact": { "email": "a@example.com" } } });
                let call = Call::new("PUT", format!("/v1/installations/{installation}")).of(&installation);
                // Its token is not Vercel's: what is owed waits on.
                world.vercel(call.body(body).key("again")).await.expect(204);
            }
            "provision" => {
                let body = json!({ "productId": PRODUCT, "name": "second", "billingPlanId": TEAM, "metadata": {} });
                let call = Call::new("POST", format!("/v1/installations/{installation}/resources")).of(&installation);
                world.vercel(call.body(body).key("p1")).await.expect(200);
            }
            _ => world.uninstall(&installation).await,
        }
        assert_eq!(world.installation(&installation).await.gone_since, None, "{what}");
        world.leave();
    }
}

/// The customer had left, and nobody told us.
#[tokio::test]
async fn what_is_gone_is_uninstalled_if_a_partner_system_says_so() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance("10d").await;
    settle(&world, &installation, "uninstalled").await.is_problem(409, "conflict");
    settle(&world, &installation, "whatever").await.is_problem(400, "validation_error");
    is_gone(&world, &installation).await;
    rename(&world, &installation, &id, "renamed").await.expect(202);
    let call = Call::new("PATCH", format!("/v1/installations/{installation}/resources/{id}")).of(&installation);
    world.vercel(call.body(json!({ "name": "x" })).key("u1")).await.expect(200);
    let invoice = json!({ "invoiceId": format!("{installation}.i1"), "outcome": "resubmit" });
    world.partner("invoice.settle", "/partner/invoices", &installation, invoice).await.is_problem(404, "not_found");
    settle(&world, &installation, "uninstalled").await.expect(202);
    let stored = world.installation(&installation).await;
    assert_eq!((stored.status, stored.gone_since), (InstallationStatus::Uninstalling, None));
    hours(&world, 30).await;
    assert_eq!(world.local.provisioner.resources(), 0, "released");
    // What it cost cannot be invoiced any more: an alarm, and given up by a person.
    let waiting = world.waiting(&installation).await;
    assert_eq!(
        waiting.iter().map(|(kind, _, dead)| (*kind, *dead)).collect::<Vec<_>>()[..1],
        [("submit_invoice", true)]
    );
    let give_up = json!({ "invoiceId": format!("{installation}.i1"), "outcome": "abandon", "reason": "gone" });
    world.partner("invoice.settle", "/partner/invoices", &installation, give_up).await.expect(202);
    hours(&world, 2).await;
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    world.vercel_heals().await;
    world.leave();
}
