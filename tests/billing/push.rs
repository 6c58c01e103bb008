//! The hourly push of interim data: what the customer watches.

use serde_json::json;
use tradepost_provider::state::PushFailed;

use crate::world;
use crate::world::got::text;
use crate::world::{SCALE, Setup, TEAM, World};
use crate::{line, lines};

/// What the customer watches: the scheduler's hourly call, the figures as reported, priced as they will be paid.
#[tokio::test]
async fn the_hourly_push_shows_what_was_reported() {
    let setup = Setup { crons: &[("/cron/billing", "0 * * * *")], everything_twice: true, ..Setup::default() };
    let world = World::with(setup).await;
    let (installation, id) = world.customer(SCALE).await;
    let readings = [
        (id.as_str(), "queries", "2027-01-01T00:00:01Z", "140000.000000001"),
        (&id, "queries", "2027-01-01T00:00:02Z", "9999.999999999"),
        (&id, "storage_gb", "2027-01-01T00:00:03Z", "7.5"),
        (&id, "storage_gb", "2027-01-01T00:00:04Z", "6.25"),
        (&id, "egress_gb", "2027-01-01T00:00:05Z", "112"),
    ];
    world.report(&installation, "b1", &readings).await.expect(200);
    world.advance("2h").await;
    let state = world.state(&installation).await;
    let day = &state["interim"][0];
    assert_eq!(state["interim"].as_array().unwrap().len(), 1);
    // 50,000 over at 0.000025; 2.5 GB over at 0.75, half-even; 90 GB at 0.09 and 2 GB at 0.07 over the first ten.
    let wanted = [
        line("Scale plan", "5", "1", "5.00"),
        line("Queries", "0.000025", "50000", "1.25"),
        line("Storage", "0.75", "2.5", "1.88"),
        line("Egress", "0.09", "90", "8.10"),
        line("Egress", "0.07", "12", "0.84"),
    ];
    assert_eq!(lines(day), wanted);
    let figures: Vec<_> = day["usage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["name"], &it["type"], it["dayValue"].to_string(), it["periodValue"].to_string()))
        .collect();
    let figure = |name: &'static str, kind: &'static str, value: &str| {
        (json!(name), json!(kind), value.to_owned(), value.to_owned())
    };
    let wanted = [
        figure("Queries", "interval", "150000"),
        figure("Storage", "total", "7.5"),
        figure("Egress", "interval", "112"),
    ];
    assert_eq!(figures, wanted.iter().map(|(a, b, c, d)| (a, b, c.clone(), d.clone())).collect::<Vec<_>>());
    assert_eq!(day["eod"], "2027-01-01T23:59:59.999Z");
    assert_eq!(day["period"], json!({ "start": world::BEGIN, "end": "2027-02-01T00:00:00Z" }));
    // A push that succeeds writes the shard's lease and checkpoint, and nothing else.
    let (committed, before) = (world.committed(), world.dump().await);
    world.advance("1h").await;
    assert_eq!(world.committed(), committed + 2);
    let after = world.dump().await;
    let changed: Vec<_> = after.iter().filter(|item| !before.contains(item)).map(|item| &item["kind"]["S"]).collect();
    assert_eq!(changed, ["shard_checkpoint"]);
    world.close().await;
}

/// Vercel takes a day's figures for 24 h after it: what came late is in them.
#[tokio::test]
async fn after_midnight_the_day_before_is_made_final() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let push = async |at: &str| {
        world.advance_to(at).await;
        let report = world.cron("/cron/billing").await;
        assert_eq!((&report["pushed"], &report["failed"]), (&json!(1), &json!(0)), "{report}");
    };
    let days = async || {
        let state = world.state(&installation).await;
        let rows = state["interim"].as_array().unwrap().iter();
        rows.map(|row| {
            (text(&row["eod"]), row["usage"][0]["dayValue"].to_string(), row["usage"][0]["periodValue"].to_string())
        })
        .collect::<Vec<_>>()
    };
    let day = |eod: &str, day: &str, period: &str| (eod.to_owned(), day.to_owned(), period.to_owned());
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-01T00:00:00Z", "10")]).await.expect(200);
    push("2027-01-01T23:59:00Z").await;
    let last = "2027-01-01T23:59:59.999Z";
    assert_eq!(days().await, [day(last, "10", "10")]);
    // Measured before midnight, reported after it, beside the new day's first reading.
    world.advance_to("2027-01-02T00:30:00Z").await;
    let readings =
        [(id.as_str(), "queries", "2027-01-01T23:59:30Z", "5"), (&id, "queries", "2027-01-02T00:10:00Z", "1")];
    world.report(&installation, "b2", &readings).await.expect(200);
    push("2027-01-02T00:59:00Z").await;
    let shown = days().await;
    assert_eq!((&shown[0].0, &shown[0].1), (&last.to_owned(), &"15".to_owned()), "the day before, final");
    assert_eq!(shown[1], day("2027-01-02T23:59:59.999Z", "1", "16"));
    // A tick of the same hour has nothing to do, the next hour's sends one push.
    let mark = world.mark().await;
    assert_eq!(world.cron("/cron/billing").await["due"], 0);
    assert_eq!(world.calls_since(mark).await, Vec::<String>::new());
    push("2027-01-02T01:59:00Z").await;
    assert_eq!(world.calls_since(mark).await, ["POST billing ok"]);
    assert_eq!(world.records::<PushFailed>(&installation, "S#3").await.len(), 0);
    world.close().await;
}

#[tokio::test]
async fn a_push_that_fails_is_noted_and_the_note_goes_with_the_next_success() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let (other, _) = world.customer(TEAM).await;
    world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "10")]).await.expect(200);
    world.advance_to("2027-01-01T22:59:00Z").await;
    assert_eq!(world.cron("/cron/billing").await["pushed"], 2);
    let path = format!("/v1/installations/{installation}/billing");
    let down = json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }]);
    world.vercel_fails(down).await;
    for (attempts, at) in [(1, "2027-01-01T23:59:00Z"), (2, "2027-01-02T00:59:00Z"), (3, "2027-01-02T01:59:00Z")] {
        world.advance_to(at).await;
        let report = world.cron("/cron/billing").await;
        assert_eq!((&report["pushed"], &report["failed"]), (&json!(1), &json!(1)), "one failure stops no other");
        let failed = world.records::<PushFailed>(&installation, "S#3").await;
        assert_eq!(
            (failed.len(), failed[0].attempts, failed[0].since.to_string()),
            (1, attempts, "2027-01-01T23:59:00Z".to_owned())
        );
        let owed: Vec<String> = failed[0].days_owed.iter().map(ToString::to_string).collect();
        assert_eq!(owed, if attempts == 1 { vec![] } else { vec!["2027-01-02T00:00:00Z".to_owned()] });
    }
    assert_eq!(world.records::<PushFailed>(&other, "S#3").await.len(), 0);
    assert!(world.vercel_heals().await[0] >= 3);
    world.advance_to("2027-01-02T02:59:00Z").await;
    assert_eq!(world.cron("/cron/billing").await["pushed"], 2);
    assert_eq!(world.records::<PushFailed>(&installation, "S#3").await.len(), 0);
    let state = world.state(&installation).await;
    let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
    assert_eq!(days, ["2027-01-01T23:59:59.999Z", "2027-01-02T23:59:59.999Z"], "and the day that was owed is there");
    world.close().await;
}

/// An hour that nobody served is made up for, once.
#[tokio::test]
async fn a_scheduler_that_slept_is_caught_up_with() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-01-03T05:59:00Z").await;
    let report = world.cron("/cron/billing").await;
    assert_eq!((&report["lag_hours"], &report["pushed"]), (&json!(53), &json!(1)));
    let state = world.state(&installation).await;
    // Vercel takes figures that are at most 24 h old: those of the second, and of today.
    let days: Vec<_> = state["interim"].as_array().unwrap().iter().map(|row| text(&row["eod"])).collect();
    assert_eq!(days, ["2027-01-02T23:59:59.999Z", "2027-01-03T23:59:59.999Z"]);
    world.close().await;
}
