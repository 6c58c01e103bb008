//! The policies of `template.yaml` are exactly what the functions do with the table: nothing that they do is denied
//! (every test of the world looks after that), and nothing is allowed that no function was seen to do, which is what
//! is shown here.
//!
//! Each function is taken through every part of its flow that reads or writes another place of the table, the rare
//! ones too: an answer that was lost, an operation that somebody else finishes, a record whose operation is not there.
//! Where the two differ, the failure prints the statements of the function's role as they ought to be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tradepost_provider::idempotency::{Identity, Remembered};
use tradepost_provider::settings::{Concern, Function};
use tradepost_rehearsal::development;
use tradepost_rehearsal::world;
use tradepost_store::FaultKind;
use world::got::{Got, text};
use world::provisioner::Mood;
use world::template::{Call as Done, Grants, Policies, like};
use world::vercel::Call;
use world::{FREE, PRODUCT, SCALE, Setup, TEAM, World};

/// Longer than every lease.
const LATER: i64 = 121;

/// What partition keys look like: what a policy can be made of. The first that fits counts.
const PATTERNS: [&str; 10] =
    ["I#*", "K#*", "N#*", "Z#*", "H#billing", "lanes#*", "operations", "closes", "rotations", "???"];

/// Fewer statements for the same: all actions with the same keys are one.
fn statements(grants: &Grants) -> String {
    let mut merged: BTreeMap<(&Option<String>, &BTreeSet<String>), Vec<&str>> = BTreeMap::new();
    for ((index, action), patterns) in grants {
        merged.entry((index, patterns)).or_default().push(action);
    }
    let mut out = String::new();
    for ((index, patterns), actions) in merged {
        let actions: Vec<_> = actions.iter().map(|action| format!("dynamodb:{action}")).collect();
        let resource = match index {
            None => "!GetAtt Table.Arn".to_owned(),
            Some(index) => format!("!Sub ${{Table.Arn}}/index/{index}"),
        };
        let keys: Vec<_> = patterns.iter().map(|pattern| format!("{pattern:?}")).collect();
        write!(
            out,
            "              - Effect: Allow\n                Action: [{}]\n                Resource: {resource}\n\
             {:16}Condition: {{ \"ForAllValues:StringLike\": {{ \"dynamodb:LeadingKeys\": [{}] }} }}\n",
            actions.join(", "),
            "",
            keys.join(", ")
        )
        .unwrap();
    }
    out
}

/// The narrowest grants under which this could be done.
fn needed(done: &BTreeSet<(&'static str, Done)>) -> BTreeMap<String, Grants> {
    let mut all: BTreeMap<String, Grants> = BTreeMap::new();
    for (function, call) in done {
        let pattern = PATTERNS.iter().find(|pattern| like(pattern, &call.key));
        let pattern = pattern.unwrap_or_else(|| panic!("{function} uses a key of a kind that is not listed: {call:?}"));
        let grants = all.entry((*function).to_owned()).or_default();
        let at = (call.index.clone(), call.action.clone());
        grants.entry(at).or_default().insert((*pattern).to_owned());
    }
    all
}

/// What the functions did with the table, and the concerns of configuration that they made use of.
#[derive(Default)]
struct Seen {
    done: BTreeSet<(&'static str, Done)>,
    used: BTreeSet<(Function, Concern)>,
}

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.done.extend(other.done);
        self.used.extend(other.used);
        self
    }
}

#[tokio::test]
async fn each_function_may_do_and_is_configured_for_what_it_is_seen_to_do_and_no_more() {
    let seen =
        customers().await.and(removed().await).and(people().await).and(partners().await).and(lost_answers().await);
    let seen = seen.and(left_behind().await).and(changes_left_behind().await);
    let seen = seen.and(a_record_without_its_operation().await).and(overtaken().await).and(late_readings().await);
    // Every function reads the runtime's variables and the store's.
    let own = |concern: &Concern| !matches!(concern, Concern::Runtime | Concern::Store);
    for function in Function::ALL {
        let needs: Vec<_> = Concern::ALL.into_iter().filter(own).filter(|concern| function.needs(*concern)).collect();
        let uses = seen.used.iter().filter(|(whose, _)| *whose == function);
        let uses: Vec<_> = uses.map(|(_, concern)| *concern).collect();
        assert_eq!(needs, uses, "{function} is configured for the left and was seen to use the right");
    }
    let Policies(allowed) = World::policies();
    let needed = needed(&seen.done);
    assert_eq!(needed.keys().collect::<Vec<_>>(), allowed.keys().collect::<Vec<_>>());
    let different = needed.iter().filter(|(function, grants)| allowed[*function] != **grants);
    let report = different.fold(String::new(), |report, (function, grants)| {
        format!("{report}\n# {function}, on the table\n{}", statements(grants))
    });
    assert!(report.is_empty(), "template.yaml allows the functions something else than what they do:\n{report}");
}

async fn open() -> World {
    World::with(Setup { permissive: true, ..Setup::default() }).await
}

/// Ends a world: what was done in it.
async fn over(world: World) -> Seen {
    let seen = Seen { done: world.watch.done(), used: world.watch.used() };
    world.close().await;
    seen
}

fn path(installation: &str, resource: &str) -> String {
    format!("/v1/installations/{installation}/resources/{resource}")
}

async fn rotate(world: &World, installation: &str, resource: &str) -> Got {
    let data = json!({ "resourceId": resource, "delayHours": 0 });
    world.partner("secrets.rotate", &format!("/partner/resources/{resource}/secrets"), installation, data).await
}

/// The Partner API from the install to the end, and Vercel's webhooks.
async fn customers() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = path(&installation, &id);
    let at = format!("/v1/installations/{installation}");
    for (call, status) in [
        (Call::new("GET", &at).system(), 200),
        (Call::new("GET", format!("{at}/plans")).system(), 200),
        (Call::new("GET", &path).system(), 200),
        (Call::new("GET", format!("{path}/plans")).system(), 200),
        (Call::new("PATCH", &path).body(json!({ "name": "renamed" })).key("u1"), 200),
        (Call::new("POST", format!("{path}/secrets/rotate")).body(json!({})).key("r1"), 202),
    ] {
        world.vercel(call.of(&installation)).await.expect(status);
    }
    // A create that the provisioner refuses leaves nothing.
    world.provisioner.next(Mood::Refuses(json!({ "error": { "code": "full", "message": "no room" } })));
    let order = json!({ "productId": PRODUCT, "name": "more", "billingPlanId": TEAM, "metadata": {} });
    let refused = Call::new("POST", format!("{at}/resources")).of(&installation).body(order).key("p1");
    assert_eq!(world.vercel(refused).await.status, 422);
    // A month, its invoice and the webhooks that tell of it; then the end, told by a webhook.
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/billing").await;
    world.cron("/cron/invoices").await;
    world.advance("2h").await;
    world.cron("/cron/secrets").await;
    world.vercel(Call::new("DELETE", &path).of(&installation).key("d1")).await.expect(204);
    world.uninstall(&installation).await;
    world.advance("6h").await;
    world.cron("/cron/invoices").await;
    world.advance("3h").await;
    over(world).await
}

/// An uninstall of which only the webhook tells.
async fn removed() -> Seen {
    let world = open().await;
    let (installation, _) = world.customer(TEAM).await;
    let payload = json!({ "configuration": { "id": installation } });
    let event = json!({ "type": "integration-configuration.removed", "payload": payload, "times": 1 });
    world.control("POST", "/_sim/webhooks", event).await.expect(200);
    world.answered().await;
    assert_eq!(world.provisioner.count("delete"), 1);
    over(world).await
}

/// Sign-on, to the built-in page and to a dashboard.
async fn people() -> Seen {
    let mut seen = Seen::default();
    for dashboard in [None, Some("https://dashboard.example.com/in")] {
        let world = World::with(Setup { dashboard, permissive: true, ..Setup::default() }).await;
        let (installation, _) = world.customer(FREE).await;
        let url = world.control("POST", "/_sim/sso", json!({ "installationId": installation })).await.expect(200);
        let opened = http::Request::builder().method(Method::GET).uri(text(&url.body["url"]));
        let got = world.send(opened, "").await.expect(303);
        if dashboard.is_some() {
            let code = got.header("location").split("code=").nth(1).unwrap().split('&').next().unwrap();
            let data = json!({ "code": code });
            let call = world.partner_call("sessions.redeem", "/partner/sessions/redeem", &installation, &data);
            for _ in 0..2 {
                world.send_partner(&call).await.expect(200);
            }
        } else {
            let cookie = got.header("set-cookie").split("; ").next().unwrap().to_owned();
            world.send(world.request(Method::GET, "/installation").header("cookie", cookie), "").await.expect(200);
        }
        seen = seen.and(over(world).await);
    }
    seen
}

/// What partner systems ask for, and the schedules that follow it up.
async fn partners() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(SCALE).await;
    let partner = async |kind: &str, route: &str, data: Value| world.partner(kind, route, &installation, data).await;
    world.report(&installation, "b1", &[(&id, "queries", world::BEGIN, "140000")]).await.expect(200);
    let renamed = json!({ "resourceId": id, "name": "renamed", "planId": TEAM });
    let got = partner("resource.updated", "/partner/events", renamed).await.expect(202);
    world.fates(&installation, &world::partner::effects(&got)).await;
    let report = json!({ "operationId": "op_1", "fence": 1, "resourceId": id, "status": "suspended" });
    partner("provisioner.report", "/partner/provisioner/reports", report).await.expect(202);
    // Vercel is down when the secrets are handed over: the sweeper does it, then the old ones expire.
    let down = json!([{ "match": { "path": "*/secrets" }, "fault": { "kind": "status", "status": 500 } }]);
    world.vercel_fails(down).await;
    rotate(&world, &installation, &id).await.expect(202);
    world.cron("/cron/secrets").await;
    world.vercel_heals().await;
    world.sweep().await;
    world.advance("61s").await;
    assert_eq!(world.cron("/cron/secrets").await["expired"], 1);
    // A period that is closed on demand, an adjustment, a month, its refund.
    world.advance_to("2027-01-11T00:00:00Z").await;
    partner("invoice.close", "/partner/invoices", json!({})).await.expect(202);
    world.advance("2h").await;
    let lines = json!([{ "name": "Support", "amount": "10.00" }]);
    partner("invoice.adjust", "/partner/invoices", json!({ "lines": lines })).await.expect(202);
    let invoice = format!("{installation}.i1");
    partner("invoice.query", "/partner/invoices/query", json!({ "invoiceId": invoice })).await.expect(200);
    let refund = json!({ "invoiceId": invoice, "total": "1.00", "reason": "an outage" });
    partner("invoice.refund", &format!("/partner/invoices/{invoice}/refund"), refund).await.expect(202);
    world.advance("1h").await;
    over(world).await
}

/// A late reading when a resource that was deleted long ago is still there: who takes the reading forgets the resource.
async fn late_readings() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(SCALE).await;
    let gone = world.provision(&installation, TEAM, "gone").await;
    world.advance_to("2027-01-05T00:00:00Z").await;
    world.vercel(Call::new("DELETE", path(&installation, &gone)).of(&installation).key("d1")).await.expect(204);
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    world.advance_to("2027-02-10T00:00:00Z").await;
    world.report(&installation, "b1", &[(&id, "queries", "2027-01-20T00:00:00Z", "1000")]).await.expect(200);
    over(world).await
}

/// A single write whose answer is lost is looked for: by the hourly push, which else never reads a single item.
async fn lost_answers() -> Seen {
    let world = open().await;
    world.customer(SCALE).await;
    let down = json!([{ "match": { "path": "*/billing" }, "fault": { "kind": "status", "status": 500 } }]);
    world.vercel_fails(down).await;
    // Every shard has had its minute.
    world.advance("59m").await;
    for hour in 0..4 {
        if hour == 2 {
            world.vercel_heals().await;
        }
        world.advance("1h").await;
        world.store_fails(FaultKind::TimeoutAfter, 2);
        assert_eq!(world.cron("/cron/billing").await["due"], 1);
        world.store_fails(FaultKind::None, 0);
    }
    assert!(world.local.faulty.injected() > 4);
    over(world).await
}

/// Operations of partner systems that their process never finished: the sweeper does, or whoever comes next.
async fn left_behind() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(FREE).await;
    for finished_by in ["outbox", "installations"] {
        world.provisioner.next(Mood::Holds);
        let held = world.provisioner.orders().len();
        let death = async {
            world.provisioner.holds(usize::from(finished_by == "installations") + 1).await;
            world.die_after(0);
            world.provisioner.let_go();
        };
        let (got, ()) = tokio::join!(rotate(&world, &installation, &id), death);
        assert_eq!((got.status, world.provisioner.orders().len()), (500, held + 1));
        world.revive_after(LATER).await;
        if finished_by == "outbox" {
            assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
        } else {
            let call = Call::new("PATCH", path(&installation, &id)).body(json!({ "name": "renamed" })).key("u1");
            world.vercel(call.of(&installation)).await.expect(200);
        }
        world.advance("61s").await;
        world.cron("/cron/secrets").await;
    }
    over(world).await
}

/// Changes by Vercel that their process never finished: what they answer needs the catalog, whoever finishes them.
async fn changes_left_behind() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(FREE).await;
    for finished_by in ["outbox", "secrets"] {
        world.provisioner.next(Mood::Holds);
        let name = format!("renamed for {finished_by}");
        let call = Call::new("PATCH", path(&installation, &id))
            .body(json!({ "name": name, "billingPlanId": TEAM }))
            .key(finished_by);
        let death = async {
            world.provisioner.holds(usize::from(finished_by == "secrets") + 1).await;
            world.die_after(0);
            world.provisioner.let_go();
        };
        let (got, ()) = tokio::join!(world.vercel(call.of(&installation)), death);
        assert_ne!(got.status, 200);
        world.revive_after(LATER).await;
        if finished_by == "outbox" {
            assert_eq!(world.cron("/cron/outbox").await["operations_finished"], 1);
        } else {
            rotate(&world, &installation, &id).await.expect(202);
        }
        assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, name);
    }
    world.advance("61s").await;
    world.cron("/cron/secrets").await;
    over(world).await
}

/// Commands of partner systems that an uninstall overtakes: whoever releases the resource forgets the command.
async fn overtaken() -> Seen {
    let mut seen = Seen::default();
    for told_by in ["Vercel", "its webhook", "Vercel, and the product is down at first"] {
        let world = open().await;
        let (installation, id) = world.customer(FREE).await;
        world.provisioner.next(Mood::Holds);
        let end = async {
            world.provisioner.holds(1).await;
            match told_by {
                "its webhook" => {
                    let payload = json!({ "configuration": { "id": installation } });
                    let event = json!({ "type": "integration-configuration.removed", "payload": payload, "times": 1 });
                    world.control("POST", "/_sim/webhooks", event).await.expect(200);
                }
                "Vercel" => world.uninstall(&installation).await,
                _ => {
                    world.provisioner.next(Mood::Down);
                    world.uninstall(&installation).await;
                    world.answered().await;
                    world.sweep().await;
                }
            }
            world.answered().await;
            world.provisioner.let_go();
        };
        let (got, ()) = tokio::join!(rotate(&world, &installation, &id), end);
        // The second sweep comes an hour later: by then the signature of the held order is too old for the product
        // (401), and the caller reads that the product does not answer.
        let turned_away = if told_by.ends_with("at first") { 503 } else { 409 };
        assert_eq!(got.status, turned_away, "told by {told_by}: {got:?}");
        assert_eq!(world.local.provisioner.resources(), 0, "told by {told_by}");
        seen = seen.and(over(world).await);
    }
    seen
}

/// A reader that sees the record of a request before the operation that works on it.
async fn a_record_without_its_operation() -> Seen {
    let world = open().await;
    let (installation, id) = world.customer(FREE).await;
    let data = json!({ "resourceId": id, "delayHours": 0 });
    let route = format!("/partner/resources/{id}/secrets");
    let call = world.partner_call("secrets.rotate", &route, &installation, &data);
    let identity = Identity::of_partner(development::PARTNER_KEY_ID, &call.id, call.body.as_bytes());
    let running: Remembered = identity.running("op_unseen", Timestamp::UNIX_EPOCH).unwrap();
    world.local.bare.commit(vec![tradepost_store::Write::create(&running).unwrap()]).await.unwrap();
    world.send_partner(&call).await.expect(202);
    world.advance("61s").await;
    world.cron("/cron/secrets").await;
    over(world).await
}
