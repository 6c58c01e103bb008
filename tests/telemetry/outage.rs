//! A day without Vercel. For 23 hours it costs nothing: what came meanwhile is delivered, and the end is that of a
//! world in which Vercel was never gone. After 25 hours what is lost is what Vercel does not take any more, and each
//! piece of it is told and alarmed. What charges is never among it but for a final invoice that Vercel did not wait
//! for.

use serde_json::{Value, json};
use tradepost_provider::state::{InstallationStatus, InvoicePhase};

use crate::alarms::{Alarm, values};
use crate::world::end::End;
use crate::world::got::text;
use crate::world::log::Log;
use crate::world::{SCALE, TEAM, World};
use crate::{log, scheduled};

/// From the last day on. Hourly, as the demo has them; the sweeper more often, as its minutely cron is.
const CRONS: [(&str, &str); 4] = [
    ("/cron/billing", "0 * * * *"),
    ("/cron/outbox", "0,10,20,30,40,50 * * * *"),
    ("/cron/invoices", "5 * * * *"),
    ("/cron/secrets", "5 * * * *"),
];

/// Who lives through it.
struct Cast {
    /// Metered, with an invoice that was paid before.
    metered: String,
    orders: String,
    fixed: String,
    /// Has left shortly before.
    gone: String,
}

/// When Vercel goes, for how long, and when somebody leaves before.
#[derive(Clone, Copy)]
struct Outage {
    leaves_at: &'static str,
    begins_at: &'static str,
    hours: u32,
}

async fn rename(world: &World, cast: &Cast, name: &str) {
    let data = json!({ "resourceId": cast.orders, "name": name });
    world.partner("resource.updated", "/partner/events", &cast.metered, data).await.expect(202);
}

/// A month that is nearly over.
async fn before(leaves_at: &str) -> (World, Cast) {
    let world = World::open().await;
    let (metered, orders) = world.customer(SCALE).await;
    let (fixed, _) = world.customer(TEAM).await;
    let (gone, _) = world.customer(TEAM).await;
    world.advance_to("2027-01-16T12:00:00Z").await;
    world.partner("invoice.close", "/partner/invoices", &metered, json!({})).await.expect(202);
    world.advance_to("2027-01-31T10:00:00Z").await;
    let reading = [(orders.as_str(), "queries", "2027-01-31T09:00:00Z", "140000")];
    world.report(&metered, "b1", &reading).await.expect(200);
    for (path, _) in CRONS {
        world.cron(path).await;
    }
    world.schedule(&CRONS).await;
    world.advance_to(leaves_at).await;
    world.uninstall(&gone).await;
    let cast = Cast { metered, orders, fixed, gone };
    (world, cast)
}

/// The day: what partner systems do, with Vercel there or not.
async fn day(world: &World, cast: &Cast, outage: Outage, is_down: bool) {
    let fails = async |fault: Value| {
        if is_down {
            world.vercel_fails(json!([{ "match": {}, "fault": fault }])).await;
        }
    };
    world.advance_to(outage.begins_at).await;
    fails(json!({ "kind": "status", "status": 503 })).await;
    world.advance("2h").await;
    let reading = [(cast.orders.as_str(), "queries", "2027-01-31T17:00:00Z", "40000")];
    world.report(&cast.metered, "b2", &reading).await.expect(200);
    rename(world, cast, "first").await;
    let route = format!("/partner/resources/{}/secrets", cast.orders);
    let data = json!({ "resourceId": cast.orders, "delayHours": 0 });
    world.partner("secrets.rotate", &route, &cast.metered, data).await.expect(202);
    let invoice = format!("{}.i1", cast.metered);
    let data = json!({ "invoiceId": invoice, "total": "1.00", "reason": "an outage" });
    let route = format!("/partner/invoices/{invoice}/refund");
    world.partner("invoice.refund", &route, &cast.metered, data).await.expect(202);
    world.advance("2h").await;
    rename(world, cast, "second").await;
    world.advance("8h").await;
    fails(json!("reset_before")).await;
    world.advance(&format!("{}h", outage.hours - 12)).await;
    if is_down {
        assert!(world.vercel_heals().await[0] > 0);
    }
    world.advance("13h").await;
}

/// What customers watched, day by day: without when it was told.
async fn watched(world: &World, installation: &str) -> Vec<Value> {
    let mut days = world.state(installation).await["interim"].as_array().unwrap().clone();
    for day in &mut days {
        day["timestamp"] = Value::Null;
    }
    days
}

/// A world in which Vercel is there, and one in which it goes.
async fn both(outage: Outage) -> (World, World, Cast, Log) {
    let (calm, cast) = before(outage.leaves_at).await;
    day(&calm, &cast, outage, false).await;
    let (world, cast) = before(outage.leaves_at).await;
    let (log, guard) = log();
    day(&world, &cast, outage, true).await;
    drop(guard);
    (calm, world, cast, log)
}

#[tokio::test]
async fn after_23_hours_nothing_is_lost_and_nothing_doubled() {
    let outage = Outage { leaves_at: "2027-01-31T17:50:00Z", begins_at: "2027-01-31T18:00:30Z", hours: 23 };
    let (calm, world, cast, log) = both(outage).await;
    for installation in [&cast.metered, &cast.fixed] {
        assert_eq!(watched(&world, installation).await, watched(&calm, installation).await, "what is watched");
    }
    let (mut wanted, mut end) = (End::of(&calm).await, End::of(&world).await);
    for part in ["interim", "events"] {
        wanted.leave_out(part);
        end.leave_out(part);
    }
    if let Some(difference) = wanted.difference(&end) {
        panic!("it ends differently from a day with Vercel:\n{difference}");
    }
    // The invoices are there, the last one of who left among them; and what was asked back.
    let totals = async |id: &str| -> Vec<String> {
        world.invoices(id).await.iter().map(|invoice| text(&invoice["total"])).collect()
    };
    assert_eq!(totals(&cast.metered).await, ["2.50", "4.50"]);
    assert_eq!((totals(&cast.fixed).await, totals(&cast.gone).await.len()), (vec!["20.00".to_owned()], 1));
    assert_eq!(world.invoices(&cast.metered).await[0]["refundTotal"], "1.00");
    assert_eq!(world.resource(&cast.metered, &cast.orders).await["name"], "second");
    // It was alarmed while it lasted, and nothing was given up.
    let lines = log.lines();
    let most = |metric: &str| values(&lines, metric).into_iter().max().unwrap_or_default();
    assert!(most("PushLagSeconds") > Alarm::named("PushLagCriticalAlarm").threshold);
    assert!(most("OutboxAgeSeconds") > Alarm::named("OutboxAgeAlarm").threshold);
    assert_eq!((most("PushDaysLost"), most("DeadLetters")), (0, 0));
    calm.close().await;
    world.close().await;
}

#[tokio::test]
async fn after_25_hours_each_thing_that_is_lost_is_told_and_alarmed() {
    let outage = Outage { leaves_at: "2027-01-31T20:00:00Z", begins_at: "2027-01-31T23:20:30Z", hours: 25 };
    let (calm, world, cast, log) = both(outage).await;
    let lines = log.lines();
    let told = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    // January's last day, of the two who are still there: a gap in what they watch, and nothing else.
    let days = told("a day's last figures came too late");
    assert_eq!(days.len(), 2, "{days:#?}");
    assert!(days.iter().all(|line| line["level"] == "ERROR" && line["push.day_end"] == "2027-02-01T00:00:00Z"));
    let lost: i64 = values(&lines, "PushDaysLost").iter().sum();
    assert!(lost == 2 && lost > Alarm::named("PushDaysLostAlarm").threshold, "{lost}");
    for installation in [&cast.metered, &cast.fixed] {
        let (ours, theirs) = (watched(&world, installation).await, watched(&calm, installation).await);
        assert_eq!(ours.len(), theirs.len(), "each day is there");
        let differing = ours.iter().zip(&theirs).filter(|(one, other)| one != other);
        let differing: Vec<_> = differing.map(|(one, _)| text(&one["eod"])).collect();
        let last_day = "2027-01-31T23:59:59.999Z".to_owned();
        assert!(differing.iter().all(|eod| *eod == last_day), "only the day that is told of: {differing:?}");
    }
    // The final invoice of who left: Vercel waited for a day.
    let invoices = told("an invoice came too late: the installation is gone");
    assert_eq!(invoices.len(), 1, "{invoices:#?}");
    let invoice = world.stored_invoice(&cast.gone, 1).await;
    assert_eq!((invoice.phase, invoice.is_final), (InvoicePhase::Rejected, true));
    assert_eq!(invoices[0]["invoice.total"], invoice.total.to_string(), "what it cost");
    assert_eq!(values(&lines, "DeadLetters").iter().sum::<i64>(), 1);
    let waiting = world.waiting(&cast.gone).await;
    let kinds: Vec<_> = waiting.iter().map(|(kind, _, is_dead)| (*kind, *is_dead)).collect();
    assert_eq!(kinds, [("submit_invoice", true), ("finalize_installation", false)]);
    // All other money is as if nothing had been.
    for installation in [&cast.metered, &cast.fixed] {
        let shown = async |world: &World| -> Vec<(String, String, Value)> {
            let rows = world.invoices(installation).await;
            rows.iter().map(|it| (text(&it["total"]), text(&it["state"]), it["refundTotal"].clone())).collect()
        };
        assert_eq!(shown(&world).await, shown(&calm).await);
    }
    assert_eq!(world.secrets(&cast.metered, &cast.orders).await, calm.secrets(&cast.metered, &cast.orders).await);
    // A person gives the lost invoice up, and that is the end of it.
    let data = json!({ "invoiceId": invoice.external_id, "outcome": "abandon", "reason": "Vercel was down" });
    world.partner("invoice.settle", "/partner/invoices", &cast.gone, data).await.expect(202);
    scheduled(&world, "/cron/outbox").await.expect(200);
    assert_eq!(world.installation(&cast.gone).await.status, InstallationStatus::Finalized);
    calm.close().await;
    world.close().await;
}
