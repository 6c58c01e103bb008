//! Usage: what is reported counts once, or says why it does not.

use serde_json::{Value, json};
use tradepost_provider::state::UsageBatch;

use crate::world;
use crate::world::partner::usage;
use crate::world::{SCALE, World};
use crate::{close, paid, totals};

#[tokio::test]
async fn a_batch_counts_once_whatever_its_repeats_are_called() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    world.advance("1h").await;
    let readings = [
        (id.as_str(), "queries", "2027-01-01T00:10:00Z", "1000.5"),
        (&id, "storage_gb", "2027-01-01T00:20:00Z", "7.5"),
    ];
    let call = world.partner_call("usage.recorded", "/partner/usage", &installation, &usage("b1", &readings));
    let got = world.send_partner(&call).await;
    got.is(200, &json!({ "batchId": "b1", "accepted": 2, "refused": [], "refusedCount": 0 }));
    let wanted = [("queries".to_owned(), "1000.5".to_owned()), ("storage_gb".to_owned(), "7.5".to_owned())];
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    // The same delivery.
    let committed = world.committed();
    assert_eq!(world.send_partner(&call).await.body, got.body);
    assert_eq!(world.committed(), committed);
    // The same batch in another delivery, even long after.
    for wait in ["0s", "6m", "20d"] {
        world.advance(wait).await;
        let got = world.report(&installation, "b1", &readings).await;
        got.is(200, &json!({ "batchId": "b1", "accepted": 2, "refused": [], "refusedCount": 0 }));
        assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    }
    // Another batch under the same name, and another body under the same delivery.
    let other = [(id.as_str(), "queries", "2027-01-01T00:10:00Z", "9")];
    world.report(&installation, "b1", &other).await.is_problem(409, "idempotency_key_reused");
    let mut reused = world.partner_call("usage.recorded", "/partner/usage", &installation, &usage("b2", &other));
    reused.id.clone_from(&call.id);
    world.send_partner(&reused).await.is_problem(409, "idempotency_key_reused");
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    assert_eq!(world.records::<UsageBatch>(&installation, "U#").await.len(), 1);
    // The next one adds up: a sum, and a peak.
    let more =
        [(id.as_str(), "queries", "2027-01-01T00:11:00Z", "0.25"), (&id, "storage_gb", "2027-01-01T00:21:00Z", "3")];
    world.report(&installation, "b2", &more).await.expect(200);
    let wanted = [("queries".to_owned(), "1000.75".to_owned()), ("storage_gb".to_owned(), "7.5".to_owned())];
    assert_eq!(totals(&world, &installation, "S#2#").await, wanted);
    world.close().await;
}

/// Two deliveries of one batch at the same time, and two batches for the same total.
#[tokio::test]
async fn batches_that_race_count_once_each() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let one = |batch: &'static str| {
        let (world, installation, id) = (&world, &installation, &id);
        async move { world.report(installation, batch, &[(id, "queries", world::BEGIN, "10")]).await.expect(200).body }
    };
    let (a, b, c, d) = tokio::join!(one("same"), one("same"), one("other"), one("third"));
    assert_eq!(a, b);
    assert_eq!((&c["accepted"], &d["accepted"]), (&json!(1), &json!(1)));
    assert_eq!(totals(&world, &installation, "S#2#").await, [("queries".to_owned(), "30".to_owned())]);
    world.close().await;
}

#[tokio::test]
async fn readings_are_refused_one_by_one_with_their_reason() {
    let world = World::open().await;
    let (installation, id) = world.customer(SCALE).await;
    let (_, foreign) = world.customer(SCALE).await;
    // Four periods end within the month: what is late for them counts all the same.
    for _ in 0..4 {
        world.advance("1h").await;
        close(&world, &installation, json!({})).await.expect(202);
        paid(&world).await;
    }
    world.advance_to("2027-01-30T00:00:00Z").await;
    let late = world.provision(&installation, SCALE, "late").await;
    let reading = |id: &str, resource: &str, meter: &str, at: &str| {
        json!({
            "id": id, "resourceId": resource, "meter": meter, "at": at, "quantity": "1",
        })
    };
    let now = "2027-01-30T00:00:00Z";
    let readings = json!([
        reading("good", &id, "queries", now),
        reading("good", &id, "queries", now),
        reading("", &id, "queries", now),
        reading(&"x".repeat(129), &id, "queries", now),
        reading("foreign", &foreign, "queries", now),
        reading("nobody", "icfg_x.r1", "queries", now),
        reading("meter", &id, "hours", now),
        reading("ahead", &id, "queries", "2027-01-30T00:05:01Z"),
        reading("just ahead", &id, "queries", "2027-01-30T00:05:00Z"),
        reading("before it was", &late, "queries", "2027-01-29T23:59:59Z"),
        reading("late", &id, "queries", "2027-01-01T00:30:00Z"),
    ]);
    let data = json!({ "batchId": "b", "readings": readings });
    let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await.expect(200);
    let refused = |id: &str, reason: &str| json!({ "id": id, "reason": reason });
    let wanted = json!({ "batchId": "b", "accepted": 3, "refusedCount": 8, "refused": [
        refused("good", "duplicate_id"), refused("", "invalid_id"), refused(&"x".repeat(129), "invalid_id"),
        refused("foreign", "unknown_resource"), refused("nobody", "unknown_resource"),
        refused("meter", "unknown_meter"),
        refused("ahead", "in_future"), refused("before it was", "no_plan"),
    ] });
    assert_eq!(got.body, wanted);
    assert_eq!(totals(&world, &installation, "S#2#").await, [("queries".to_owned(), "2".to_owned())]);
    // Thirty days back, to the second.
    world.advance_to("2027-01-31T09:00:01Z").await;
    let old = [(id.as_str(), "queries", "2027-01-01T09:00:00Z", "1"), (&id, "queries", "2027-01-01T09:00:01Z", "1")];
    let got = world.report(&installation, "old", &old).await.expect(200);
    assert_eq!((&got.body["accepted"], &got.body["refused"]), (&json!(1), &json!([refused("r0", "too_old")])));
    world.close().await;
}

#[tokio::test]
async fn batches_have_limits_and_are_taken_whole_or_not() {
    let world = World::open().await;
    let installation = world.install().await;
    let mut ids = Vec::new();
    for n in 0..14 {
        ids.push(world.provision(&installation, SCALE, &format!("r{n}")).await);
    }
    let before = world.dump().await;
    // 14 resources × 3 meters are 42 totals.
    let mut many = Vec::new();
    for id in &ids {
        for meter in ["queries", "storage_gb", "egress_gb"] {
            many.push((id.as_str(), meter, world::BEGIN, "1"));
        }
    }
    let got = world.report(&installation, "wide", &many).await;
    got.is_problem(422, "unprocessable");
    let long: Vec<_> = (0..5_001).map(|_| (ids[0].as_str(), "queries", world::BEGIN, "1")).collect();
    // Short ids keep it under the limit of bytes, so that it is the count that is refused.
    let short = |(n, _): (usize, &(&str, &str, &str, &str))| {
        json!({
            "id": n.to_string(), "resourceId": "x", "meter": "m", "at": world::BEGIN, "quantity": "1",
        })
    };
    let readings: Vec<Value> = long.iter().enumerate().map(short).collect();
    let data = json!({ "batchId": "long", "readings": readings });
    let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await;
    assert!(matches!(got.status, 413 | 422), "{}", got.status);
    for batch in ["", "a b", "a#b", &"x".repeat(129)] {
        let got = world.report(&installation, batch, &[]).await;
        got.is_problem(400, "validation_error");
    }
    for quantity in [json!(1), json!("1e3"), json!("-1"), json!("1234567890123"), json!("0.1234567891"), json!("NaN")] {
        let mut data = usage("b", &[(&ids[0], "queries", world::BEGIN, "1")]);
        data["readings"][0]["quantity"] = quantity;
        let got = world.partner("usage.recorded", "/partner/usage", &installation, data).await;
        got.is_problem(400, "validation_error");
    }
    assert_eq!(world.dump().await, before);
    // Forty fit. A sum beyond what can be counted is refused with all of its batch.
    world.report(&installation, "wide", &many[..40]).await.expect(200);
    let most = [(ids[0].as_str(), "queries", world::BEGIN, "999999999999")];
    world.report(&installation, "most", &most).await.is_problem(422, "unprocessable");
    assert_eq!(totals(&world, &installation, "S#2#").await.len(), 40);
    world.close().await;
}
