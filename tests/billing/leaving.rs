//! A customer leaves: what is still to be invoiced goes inside Vercel's window, and nothing waits for what never comes.

use serde_json::{Value, json};
use tradepost_provider::state::{InstallationStatus, Life};

use crate::world::got::text;
use crate::world::vercel::Call;
use crate::world::{FREE, PRODUCT, SCALE, TEAM, World};

async fn externals(world: &World, installation: &str) -> Vec<(String, Value)> {
    let invoices = world.invoices(installation).await;
    invoices.iter().map(|it| (text(&it["externalId"]), it["isFinal"].clone())).collect()
}

/// January waits for its late readings when the customer leaves. The scheduler comes once, between the sixth and the
/// twenty-fourth hour: both invoices go, January's first.
#[tokio::test]
async fn an_older_period_is_invoiced_before_the_last_inside_the_window() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-02-01T03:00:00Z").await;
    world.uninstall(&installation).await;
    world.advance("23h").await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 2);
    let wanted = [(format!("{installation}.i1"), json!(false)), (format!("{installation}.i2"), json!(true))];
    // Three hours of February are less than half a dollar: then there is no second, and the first is all.
    assert_eq!(externals(&world, &installation).await, wanted[..1]);
    world.sweep().await;
    world.advance("2h").await;
    assert_eq!(world.installation(&installation).await.status, InstallationStatus::Finalized);
    world.close().await;
}

/// The older invoice does not get through at first: it is tried every ten minutes, as the last one is.
#[tokio::test]
async fn an_older_invoice_is_as_urgent_as_the_last() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    world.advance_to("2027-02-05T03:00:00Z").await;
    world.uninstall(&installation).await;
    world.advance("6h").await;
    let down = json!([{ "match": { "path": "*/billing/invoices" }, "fault": { "kind": "status", "status": 503 } }]);
    world.vercel_fails(down).await;
    assert_eq!(world.cron("/cron/invoices").await["closed"], 2);
    for _ in 0..12 {
        world.advance("10m").await;
        world.cron("/cron/outbox").await;
    }
    assert!(world.vercel_heals().await[0] > 12, "in two hours");
    world.advance("10m").await;
    world.cron("/cron/outbox").await;
    let wanted = [(format!("{installation}.i1"), json!(false)), (format!("{installation}.i2"), json!(true))];
    assert_eq!(externals(&world, &installation).await, wanted);
    world.advance("2h").await;
    world.sweep().await;
    world.close().await;
}

/// `{"finalized": true}` at once: only if nothing there can cost anything, nothing is carried and nothing is owed.
#[tokio::test]
async fn who_never_had_anything_that_costs_is_gone_at_once() {
    for (what, at_once) in [
        ("nothing", true),
        ("free", true),
        ("free, deleted", true),
        ("paid", false),
        ("was paid", false),
        ("will be paid", false),
        ("adjusted", false),
        ("unpaid invoice", false),
        ("paid invoice", true),
    ] {
        let world = World::open().await;
        let installation = world.install().await;
        let plan = if ["paid", "was paid", "unpaid invoice", "paid invoice"].contains(&what) { TEAM } else { FREE };
        let bought = if what == "nothing" { None } else { Some(world.provision(&installation, plan, "orders").await) };
        let path = |id: &str| format!("/_sim/installations/{installation}/resources/{id}");
        match (what, &bought) {
            ("free, deleted", Some(id)) => {
                world.control("DELETE", &path(id), json!({})).await.expect(200);
            }
            ("was paid", Some(id)) => {
                world.advance("10d").await;
                world.control("PATCH", &path(id), json!({ "planId": FREE })).await.expect(200);
            }
            ("will be paid", Some(id)) => {
                world.control("PATCH", &path(id), json!({ "planId": TEAM })).await.expect(200);
            }
            ("adjusted", _) => {
                let lines = json!({ "lines": [{ "name": "Support", "amount": "0.10" }] });
                world.partner("invoice.adjust", "/partner/invoices", &installation, lines).await.expect(202);
            }
            ("unpaid invoice" | "paid invoice", Some(id)) => {
                if what == "unpaid invoice" {
                    let payment = format!("/_sim/installations/{installation}/payment");
                    world.control("POST", &payment, json!({ "result": "notpaid" })).await.expect(200);
                }
                world.control("PATCH", &path(id), json!({ "planId": FREE })).await.expect(200);
                world.advance_to("2027-03-15T00:00:00Z").await;
                world.cron("/cron/invoices").await;
                // All that was paid for is past readings, and folded, with the next close.
                world.advance_to("2027-05-01T06:05:00Z").await;
                world.cron("/cron/invoices").await;
            }
            _ => {}
        }
        let call = Call::new("DELETE", format!("/v1/installations/{installation}")).of(&installation).key("bye");
        let got = world.vercel(call).await.expect(200);
        let status = world.installation(&installation).await.status;
        let gone = status == InstallationStatus::Finalized;
        assert_eq!((&got.body["finalized"], gone), (&json!(at_once), at_once), "{what}");
        world.answered().await;
        assert_eq!(world.local.provisioner.resources(), 0, "{what}");
        world.leave();
    }
}

/// Vercel denies a resource, never saw its plan, and the customer leaves: it is billed under a plan that Vercel knows,
/// and the last invoice gets through. Or a person says that Vercel is right: then nothing of it is billed.
#[tokio::test]
async fn what_vercel_denies_sinks_no_last_invoice() {
    for settled in ["never", "before the close", "after a refusal"] {
        let world = World::open().await;
        let (installation, known) = world.customer(TEAM).await;
        let body = json!({ "productId": PRODUCT, "name": "more", "billingPlanId": SCALE, "metadata": {} });
        let create = Call::new("POST", format!("/v1/installations/{installation}/resources")).of(&installation);
        let denied = text(&world.vercel(create.body(body).key("p1")).await.expect(200).body["id"]);
        let fault = json!({ "kind": "status", "status": 500 });
        world.vercel_fails(json!([{ "match": { "method": "GET", "path": "*/resources" }, "fault": fault }])).await;
        for _ in 0..2 {
            world.sweep().await;
        }
        assert!(world.vercel_heals().await[0] > 0);
        assert_eq!(world.stored_resource(&installation, &denied).await.unwrap().life, Life::DENIED, "{settled}");
        let settle = async |outcome: &str| {
            let data = json!({ "resourceId": denied, "outcome": outcome });
            world.partner("resource.settle", "/partner/invoices", &installation, data).await
        };
        world.advance_to("2027-01-11T00:00:00Z").await;
        world.uninstall(&installation).await;
        world.sweep().await;
        if settled == "before the close" {
            settle("unknown").await.expect(202);
        }
        world.advance("6h").await;
        world.cron("/cron/invoices").await;
        let total = text(&json!(world.stored_invoice(&installation, 1).await.total));
        let refused = world.invoices(&installation).await.is_empty();
        assert_eq!(refused, settled != "before the close", "{settled}");
        if settled == "after a refusal" {
            settle("unknown").await.expect(202);
            settle("unknown").await.is_problem(409, "conflict");
        }
        for _ in 0..3 {
            world.sweep().await;
        }
        let invoices = world.invoices(&installation).await;
        let [invoice] = invoices.as_slice() else { panic!("{settled}: {invoices:#?}") };
        let wanted = if settled == "never" { total.as_str() } else { "6.45" };
        assert_eq!(text(&invoice["total"]), wanted, "{settled}");
        let lines = invoice["items"].as_array().unwrap();
        assert!(lines.iter().all(|line| line["billingPlanId"] == TEAM), "{settled}: {invoice:#}");
        let of_denied = lines.iter().filter(|line| text(&line["details"]).ends_with(&format!(" on {denied}"))).count();
        assert_eq!(of_denied > 0, settled == "never", "{settled}: {known} {invoice:#}");
        assert_eq!(world.local.provisioner.resources(), 0, "{settled}");
        world.advance("2h").await;
        world.sweep().await;
        world.leave();
    }
}
