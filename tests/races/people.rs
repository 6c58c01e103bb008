//! What people's browsers do a hundred times at once: codes that are good once.

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tradepost_provider::state::HandOver;
use tradepost_store::Record as _;

use crate::AT_ONCE;
use crate::world::got::{Got, text};
use crate::world::{FREE, Setup, World};

async fn open(world: &World, url: &str) -> Got {
    world.send(http::Request::builder().method(Method::GET).uri(url), "").await
}

async fn press(world: &World, installation: &str) -> String {
    let body = json!({ "installationId": installation });
    text(&world.control("POST", "/_sim/sso", body).await.expect(200).body["url"])
}

/// Vercel takes a code once; whoever comes late is told to sign on again, and no session is made for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_opens_one_session() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let url = press(&world, &installation).await;
    let answers = join_all((0..AT_ONCE).map(|_| open(&world, &url))).await;
    let (good, late): (Vec<Got>, Vec<Got>) = answers.into_iter().partition(|got| got.status == 303);
    assert_eq!(good.len(), 1);
    assert!(late.iter().all(|got| got.status == 400 && !got.headers.contains_key("set-cookie")), "{late:?}");
    let sessions = world.dump().await.iter().filter(|item| item["kind"]["S"] == "session").count();
    assert_eq!(sessions, 1);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_is_redeemed_once() {
    let setup = Setup { dashboard: Some("https://dashboard.example.com/in"), ..Setup::default() };
    let world = World::with(setup).await;
    let (installation, _) = world.customer(FREE).await;
    let got = open(&world, &press(&world, &installation).await).await.expect(303);
    let rest = got.header("location").strip_prefix("https://dashboard.example.com/in?code=").unwrap();
    let data = json!({ "code": rest.split('&').next().unwrap() });
    let call = world.partner_call("sessions.redeem", "/partner/sessions/redeem", &installation, &data);
    let answers = join_all((0..AT_ONCE).map(|_| world.send_partner(&call))).await;
    let first = answers[0].clone().expect(200);
    assert!(answers.iter().all(|got| (got.status, &got.body) == (200, &first.body)), "{answers:?}");
    // Others with the same code get nothing.
    let other = world.partner_call("sessions.redeem", "/partner/sessions/redeem", &installation, &data);
    world.send_partner(&other).await.is_problem(404, "not_found");
    let left = world.dump().await.into_iter().filter(|item| item["kind"]["S"] == HandOver::KIND).count();
    assert_eq!(left, 0);
    world.close().await;
}
