//! Two callers at once.

use serde_json::json;
use std::time::Duration;

use crate::world::provisioner::Mood;
use crate::world::vercel::Call;
use crate::world::{TEAM, World};
use crate::{order, provision, resources};

/// How often a waiting caller of the same request looks again.
const POLL: Duration = Duration::from_millis(100);

#[tokio::test]
async fn two_callers_of_the_same_provision_get_one_resource_and_one_answer() {
    let world = World::open().await;
    let installation = world.install().await;
    world.provisioner.next(Mood::Holds);
    let call = || world.vercel(provision(&installation, &order("orders", TEAM)).key("p1"));
    let second = async {
        world.provisioner.holds(1).await;
        call().await
    };
    let release = async {
        world.waits.somebody_waits(POLL).await;
        world.provisioner.let_go();
    };
    let (first, second, ()) = tokio::join!(call(), second, release);
    assert_eq!((first.status, &first.body), (200, &second.body));
    assert_eq!(second.status, 200);
    assert_eq!((world.provisioner.orders().len(), world.local.provisioner.resources()), (1, 1));
    assert_eq!(world.installation(&installation).await.resources_live, 1);
    world.close().await;
}

/// The second caller does not wait for ever: at its deadline, less two seconds, it is told to come back.
#[tokio::test]
async fn a_second_caller_is_told_to_come_back_before_its_deadline() {
    let world = World::open().await;
    let installation = world.install().await;
    world.provisioner.next(Mood::Holds);
    let call = || world.vercel(provision(&installation, &order("orders", TEAM)).key("p1"));
    let second = async {
        world.provisioner.holds(1).await;
        let got = call().await;
        world.provisioner.let_go();
        got
    };
    let time = async {
        world.waits.somebody_waits(POLL).await;
        world.lease.advance(23);
    };
    let (first, second, ()) = tokio::join!(call(), second, time);
    second.is_envelope(409, "operation_in_progress");
    assert_eq!(second.header("retry-after"), "2");
    first.expect(200);
    call().await.expect(200);
    assert_eq!((world.provisioner.orders().len(), world.local.provisioner.resources()), (1, 1));
    world.close().await;
}

#[tokio::test]
async fn of_two_commands_at_once_one_is_told_to_come_back() {
    let world = World::open().await;
    let (installation, id) = world.customer(TEAM).await;
    let path = &format!("{}/{id}", resources(&installation));
    world.provisioner.next(Mood::Holds);
    let rename = |name: &str| Call::new("PATCH", path).of(&installation).body(json!({ "name": name }));
    let meanwhile = async {
        world.provisioner.holds(1).await;
        let committed = world.committed();
        let delete = Call::new("DELETE", path).of(&installation);
        let rotate = Call::new("POST", format!("{path}/secrets/rotate")).of(&installation).body(json!({}));
        for call in [rename("second").key("u2"), rename("without a key"), delete.key("d1"), rotate.key("r1")] {
            let got = world.vercel(call).await;
            got.is_envelope(409, "operation_in_progress");
            assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
        }
        let data = json!({ "resourceId": id, "name": "a partner's" });
        let got = world.partner("resource.updated", "/partner/events", &installation, data).await;
        got.is_problem(409, "operation_in_progress");
        assert!(got.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(world.committed(), committed, "whoever is turned away writes nothing");
        world.provisioner.let_go();
    };
    let (first, ()) = tokio::join!(world.vercel(rename("first").key("u1")), meanwhile);
    first.expect(200);
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "first");
    // A refused command was not remembered as done: repeated, it goes.
    world.vercel(rename("second").key("u2")).await.expect(200);
    assert_eq!(world.stored_resource(&installation, &id).await.unwrap().name, "second");
    world.close().await;
}
