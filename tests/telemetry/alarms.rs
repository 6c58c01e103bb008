//! The arithmetic of the alarms, end to end: what the scheduled runs tell while something is down, judged as
//! `template.yaml` has it judged.

use jiff::Timestamp;
use serde_json::{Value, json};
use tradepost_functions::metrics;
use tradepost_marketplace::doors::LeaseTime;

use crate::log;
use crate::world::got::text;
use crate::world::log::Log;
use crate::world::{SCALE, Setup, TEAM, World};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// What `CloudWatch` is told of one alarm.
#[derive(Debug)]
pub(super) struct Alarm {
    metric: String,
    statistic: String,
    pub(super) threshold: i64,
    /// Of so many periods …
    periods: usize,
    /// … so many must be over the threshold.
    breaching: usize,
}

impl Alarm {
    /// The alarm of this name in the template.
    pub(super) fn named(name: &str) -> Self {
        let (_, section) = TEMPLATE.split_once(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("no {name}"));
        let section = section.split("\n\n").next().unwrap();
        let value = |key: &str| {
            let line = section.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let get = |key: &str| value(key).unwrap_or_else(|| panic!("{name} has no {key}"));
        assert_eq!((get("Namespace").as_str(), get("Period").as_str()), ("Tradepost", "300"), "{name}");
        assert_eq!(get("ComparisonOperator"), "GreaterThanThreshold", "{name}");
        assert_eq!(get("Dimensions"), "[{ Name: stack, Value: !Ref AWS::StackName }]", "{name}");
        let periods = get("EvaluationPeriods").parse().unwrap();
        let breaching = value("DatapointsToAlarm").map_or(periods, |value| value.parse().unwrap());
        let threshold = get("Threshold").parse().unwrap();
        Self { metric: get("MetricName"), statistic: get("Statistic"), threshold, periods, breaching }
    }

    /// In which periods it is in alarm, given a line each minute.
    fn judges(&self, lines: &[Value]) -> Vec<bool> {
        let minutes = values(lines, &self.metric);
        let periods = minutes.chunks(5).map(|period| match self.statistic.as_str() {
            "Maximum" => *period.iter().max().unwrap(),
            "Sum" => period.iter().sum(),
            other => panic!("{other}"),
        });
        let over: Vec<bool> = periods.map(|value| value > self.threshold).collect();
        let judged = (0..over.len()).map(|at| {
            let seen = &over[(at + 1).saturating_sub(self.periods)..=at];
            seen.iter().filter(|over| **over).count() >= self.breaching
        });
        judged.collect()
    }
}

/// A metric's values in a route's lines, in order.
pub(super) fn values(lines: &[Value], metric: &str) -> Vec<i64> {
    let named = |line: &&Value| {
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
        metrics.is_some_and(|metrics| metrics.iter().any(|definition| definition["Name"] == metric))
    };
    lines.iter().filter(named).map(|line| line[metric].as_i64().unwrap()).collect()
}

async fn every_minute(path: &'static str) -> (Log, tracing::dispatcher::DefaultGuard, World) {
    let (log, guard) = log();
    let world = World::with(Setup { crons: &[(path, "* * * * *")], ..Setup::default() }).await;
    (log, guard, world)
}

#[test]
fn every_metric_has_an_alarm_and_every_alarm_of_ours_a_metric() {
    let mut watched: Vec<&str> = TEMPLATE
        .split("\n      Namespace: Tradepost\n      MetricName: ")
        .skip(1)
        .map(|rest| rest.lines().next().unwrap())
        .collect();
    watched.sort_unstable();
    watched.dedup();
    let mut told: Vec<&str> = metrics().iter().map(|metric| metric.name).collect();
    told.sort_unstable();
    assert_eq!(watched, told);
}

/// The shard of the one whose pushes fail comes up once an hour; the metric tells of it every minute.
#[tokio::test]
async fn four_hours_without_vercel_raise_the_lag_over_three() {
    let (log, _guard, world) = every_minute("/cron/billing").await;
    let (installation, _) = world.customer(SCALE).await;
    world.customer(TEAM).await;
    world.advance_to("2027-01-01T03:00:00Z").await;
    let quiet = values(&log.wide("/cron/billing"), "PushLagSeconds");
    assert_eq!(quiet, vec![0; 180], "nothing is late, and each tick says so");
    let path = format!("/v1/installations/{installation}/billing");
    world.vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }])).await;
    world.advance("4h").await;
    let all = log.wide("/cron/billing");
    let down = values(&all[180..], "PushLagSeconds");
    assert_eq!(down.len(), 240);
    assert!(*down.last().unwrap() > 10_800, "{down:?}");
    // From its first failure on it grows by a minute each minute, counted from the last push that was accepted.
    let first = down.iter().position(|lag| *lag > 0).unwrap();
    let began = down[first];
    assert!((3_540..=3_660).contains(&began), "an hour after the last push: {began}");
    let grows: Vec<i64> = (0..).map(|minute| began + 60 * minute).take(down.len() - first).collect();
    assert_eq!(down[first..], grows);
    let in_alarm = Alarm::named("PushLagAlarm").judges(&all[180..]);
    // Three hours after the last accepted push, and a quarter of an hour that the alarm wants to see.
    let alarmed_at = in_alarm.iter().position(|alarm| *alarm).expect("an alarm") * 5;
    let three_hours = first + usize::try_from((10_800 - began) / 60).unwrap();
    assert!((three_hours..=three_hours + 20).contains(&alarmed_at), "{three_hours} {alarmed_at}");
    assert!(in_alarm[alarmed_at / 5..].iter().all(|alarm| *alarm), "and it stays: {in_alarm:?}");
    assert!(!Alarm::named("PushLagCriticalAlarm").judges(&all[180..]).contains(&true));
    // Healed, it is over with the shard's next turn.
    assert!(world.vercel_heals().await[0] > 0);
    world.advance("1h").await;
    let after = &log.wide("/cron/billing")[420..];
    assert_eq!(values(after, "PushLagSeconds").last(), Some(&0));
    assert_eq!(Alarm::named("PushLagAlarm").judges(after).last(), Some(&false));
    world.close().await;
}

/// Shards that were due and not served are late by all that Vercel does not have of them.
#[tokio::test]
async fn a_scheduler_that_slept_shows_in_the_lag_until_it_has_caught_up() {
    let (log, _guard) = log();
    let world = World::open().await;
    world.customer(SCALE).await;
    world.advance_to("2027-01-01T13:59:00Z").await;
    // A run that has no time to serve anything: as another holds the shard.
    let held = world.local.bare.query("H#billing", "", 1).await.unwrap();
    let mut checkpoint = held[0].decode::<tradepost_provider::state::ShardCheckpoint>().unwrap();
    let lease = LeaseTime::of(tradepost_marketplace::doors::Clock::now(&*world.lease));
    checkpoint.item.lease_until = Some(lease.after(jiff::SignedDuration::from_secs(60)));
    let write = tradepost_store::Write::replace(&checkpoint.item, checkpoint.version).unwrap();
    world.local.bare.commit(vec![write]).await.unwrap();
    assert_eq!(world.cron("/cron/billing").await["busy"], 1);
    let lag = |log: &Log| *values(&log.wide("/cron/billing"), "PushLagSeconds").last().unwrap();
    let since: Timestamp = checkpoint.served_at;
    assert_eq!(lag(&log), world.now().duration_since(since).as_secs());
    assert!(lag(&log) > 43_200);
    world.lease.advance(61);
    assert_eq!(world.cron("/cron/billing").await["pushed"], 1);
    assert_eq!(lag(&log), 0);
    world.close().await;
}

#[tokio::test]
async fn an_effect_that_does_not_get_through_ages_whatever_its_retries() {
    let (log, _guard, world) = every_minute("/cron/outbox").await;
    let (installation, id) = world.customer(TEAM).await;
    world.advance("10m").await;
    let path = format!("/v1/installations/{installation}/events");
    world.vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }])).await;
    let rename = async |name: &str| {
        let data = json!({ "resourceId": id, "name": name });
        world.partner("resource.updated", "/partner/events", &installation, data).await.expect(202);
    };
    rename("first").await;
    world.advance("2h").await;
    // What replaces it is owed as long.
    rename("second").await;
    world.advance("3h").await;
    let ages = values(&log.wide("/cron/outbox"), "OutboxAgeSeconds");
    assert_eq!(ages.len(), 310);
    assert_eq!(ages[..10], [0; 10]);
    let tries: Vec<(usize, i64)> = ages.iter().copied().enumerate().filter(|(_, age)| *age > 0).collect();
    assert!(tries.len() >= 8, "{tries:?}");
    for (minute, age) in &tries {
        // Renamed in the tenth minute; the sweep of a minute comes at its end.
        let owed = i64::try_from(*minute - 9).unwrap() * 60;
        assert!((owed - 60..=owed + 60).contains(age), "{age} in minute {minute} of {tries:?}");
    }
    // Seen a few times an hour, the alarm holds all the same.
    let in_alarm = Alarm::named("OutboxAgeAlarm").judges(&log.wide("/cron/outbox"));
    let first = in_alarm.iter().position(|alarm| *alarm).expect("an alarm");
    assert!((5..=12).contains(&first), "between a quarter of an hour and fifty minutes: {first}");
    assert!(in_alarm[first..].iter().all(|alarm| *alarm), "{in_alarm:?}");
    assert!(world.vercel_heals().await[0] > 0);
    world.advance("3h").await;
    assert_eq!(Alarm::named("OutboxAgeAlarm").judges(&log.wide("/cron/outbox")).last(), Some(&false));
    assert_eq!(values(&log.wide("/cron/outbox"), "DeadLetters").iter().sum::<i64>(), 0);
    world.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_counted_once_wherever_it_is_made() {
    let (log, _guard, world) = every_minute("/cron/outbox").await;
    let (installation, id) = world.customer(TEAM).await;
    let path = format!("/v1/installations/{installation}/events");
    let refuse = json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 400 } }]);
    world.vercel_fails(refuse.clone()).await;
    // In the request that owed it …
    let data = json!({ "resourceId": id, "name": "other" });
    let got = world.partner("resource.updated", "/partner/events", &installation, data.clone()).await.expect(202);
    let wide = log.of(&got);
    assert_eq!((&wide["DeadLetters"], &wide["effects.dead_letters"]), (&json!(1), &json!(1)), "{wide:#}");
    // … or by the sweeper.
    world
        .vercel_fails(
            json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 }, "times": 3 }, refuse[0]]),
        )
        .await;
    world.partner("resource.updated", "/partner/events", &installation, data).await.expect(202);
    world.advance("1h").await;
    let sums: i64 = values(&log.lines(), "DeadLetters").iter().sum();
    assert_eq!(sums, 2, "each once");
    assert!(Alarm::named("DeadLetterAlarm").judges(&log.lines())[0]);
    let letters: Vec<Value> = log.lines().into_iter().filter(|line| line["message"] == "dead letter").collect();
    assert_eq!(letters.iter().map(|line| text(&line["level"])).collect::<Vec<_>>(), ["ERROR", "ERROR"]);
    world.vercel_heals().await;
    world.close_leaving(&["resource_updated"]).await;
}
