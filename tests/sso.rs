//! Open in Provider (spec D): a code is good once, a session is a cookie, and no deep link leads astray.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use http::Method;
use serde_json::{Value, json};
use tradepost_provider::state::{HandOver, Session, keys};
use tradepost_rehearsal::world;
use world::got::{Got, text};
use world::{FREE, Setup, TEAM, World};

/// Presses Open in Provider: the URL that the browser opens.
async fn press(world: &World, installation: &str, more: Value) -> String {
    let mut body = json!({ "installationId": installation });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text(&world.control("POST", "/_sim/sso", body).await.expect(200).body["url"])
}

async fn open(world: &World, url: &str) -> Got {
    world.send(http::Request::builder().method(Method::GET).uri(url), "").await
}

/// The cookie of a good sign-on, as the browser sends it.
#[track_caller]
fn cookie(got: &Got) -> String {
    let (pair, attributes) = got.header("set-cookie").split_once("; ").unwrap_or_else(|| panic!("{got:?}"));
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    pair.to_owned()
}

async fn page(world: &World, cookie: &str) -> Got {
    world.send(world.request(Method::GET, "/installation").header("cookie", cookie), "").await
}

fn html(got: &Got) -> String {
    text(&got.body)
}

async fn session(world: &World, cookie: &str) -> Option<tradepost_store::Stored<Session>> {
    let secret = cookie.strip_prefix("tradepost_session=").unwrap();
    let key = Session::key_of(&keys::digest_of(&[secret.as_bytes()]));
    world.local.bare.get::<Session>(&key).await.unwrap()
}

#[tokio::test]
async fn a_person_who_opens_the_provider_sees_what_the_installation_has() {
    let world = World::open().await;
    let installation = world.install().await;
    let first = world.provision(&installation, FREE, "<script>alert(1)</script>").await;
    world.provision(&installation, FREE, "plain").await;
    let (_, foreign) = world.customer(FREE).await;
    let url = press(&world, &installation, json!({ "params": { "resource_id": first } })).await;
    let got = open(&world, &url).await.expect(303);
    assert_eq!((got.header("location"), got.header("cache-control")), ("/installation", "no-store"));
    assert_eq!(got.header("referrer-policy"), "no-referrer");
    let held = cookie(&got);
    let shown = page(&world, &held).await.expect(200);
    let shown_html = html(&shown);
    for wanted in [installation.as_str(), "(ADMIN)", "&lt;script&gt;alert(1)&lt;/script&gt;", "plain", FREE, "ready"] {
        assert!(shown_html.contains(wanted), "{wanted}: {shown_html}");
    }
    assert!(!shown_html.contains("<script>") && !shown_html.contains("orders"), "{shown_html}");
    let marked = shown_html.split("&rarr;").nth(1).unwrap();
    assert!(marked.trim_start_matches("</strong> ").starts_with("&lt;script"), "the one they came from is marked");
    assert!(shown.header("content-security-policy").starts_with("default-src 'none'"));
    // In the table there is no cookie, only its digest.
    let secret = held.strip_prefix("tradepost_session=").unwrap();
    assert!(!serde_json::to_string(&world.dump().await).unwrap().contains(secret));
    assert_eq!(session(&world, &held).await.unwrap().sign_in.installation_id.as_str(), installation);
    // A USER may look, too; somebody else's resource is nobody's deep link.
    let more = json!({ "userId": "0123abcd", "role": "USER", "params": { "resource_id": foreign } });
    let got = open(&world, &press(&world, &installation, more).await).await.expect(303);
    let shown = html(&page(&world, &cookie(&got)).await.expect(200));
    assert!(shown.contains("0123abcd (USER)") && !shown.contains("&rarr;"), "{shown}");
    // An hour, and it is over.
    world.advance("1h").await;
    page(&world, &held).await.expect(401);
    world.close().await;
}

#[tokio::test]
async fn a_code_is_good_once_and_for_five_minutes() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let url = press(&world, &installation, json!({})).await;
    open(&world, &url).await.expect(303);
    let committed = world.committed();
    let again = open(&world, &url).await.expect(400);
    assert!(html(&again).contains("choose <em>Open</em> again") && !again.headers.contains_key("set-cookie"));
    let old = press(&world, &installation, json!({})).await;
    world.advance("301s").await;
    open(&world, &old).await.expect(400);
    assert_eq!(world.committed(), committed);
    world.close().await;
}

/// The code may be burned: the person is told to start again, and then it goes.
#[tokio::test]
async fn a_sign_on_whose_answer_was_lost_is_begun_again() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let committed = world.committed();
    let lost = json!([{ "match": { "path": "*/sso/token" }, "fault": "reset_after", "times": 1 }]);
    world.vercel_fails(lost).await;
    let got = open(&world, &press(&world, &installation, json!({})).await).await.expect(503);
    assert!(html(&got).contains("choose <em>Open</em> again") && !got.headers.contains_key("set-cookie"));
    assert_eq!(world.committed(), committed);
    open(&world, &press(&world, &installation, json!({})).await).await.expect(303);
    world.close().await;
}

#[tokio::test]
async fn nobody_is_signed_in_to_what_was_uninstalled() {
    let world = World::open().await;
    let (installation, _) = world.customer(TEAM).await;
    let got = open(&world, &press(&world, &installation, json!({})).await).await.expect(303);
    let cookie = cookie(&got);
    let late = press(&world, &installation, json!({})).await;
    world.uninstall(&installation).await;
    open(&world, &late).await.expect(409);
    page(&world, &cookie).await.expect(409);
    world.close().await;
}

#[tokio::test]
async fn the_dashboard_learns_who_signed_in_once_and_by_a_signed_call() {
    let setup = Setup { dashboard: Some("https://dashboard.example.com/in?from=vercel"), ..Setup::default() };
    let world = World::with(setup).await;
    let (installation, id) = world.customer(FREE).await;
    let (stranger, _) = world.customer(FREE).await;
    let sign_on = async |params: Value| {
        let url = press(&world, &installation, json!({ "params": params })).await;
        let got = open(&world, &url).await.expect(303);
        let rest = got.header("location").strip_prefix("https://dashboard.example.com/in?from=vercel&code=");
        let code = rest.and_then(|rest| rest.strip_suffix(&format!("&installationId={installation}")));
        code.unwrap_or_else(|| panic!("{got:?}")).to_owned()
    };
    let call = |installation: &str, code: &str| {
        let data = json!({ "code": code });
        world.partner_call("sessions.redeem", "/partner/sessions/redeem", installation, &data)
    };
    let params =
        json!({ "resource_id": id, "path": "billing", "url": "https://evil.example.com/", "project_id": "prj_1" });
    let code = sign_on(params).await;
    assert!(!serde_json::to_string(&world.dump().await).unwrap().contains(&code), "the code is kept as a digest");
    // Another installation's partner call does not get it, and does not spend it.
    world.send_partner(&call(&stranger, &code)).await.is_problem(404, "not_found");
    let good = call(&installation, &code);
    let got = world.send_partner(&good).await.expect(200);
    let told = &got.body;
    assert_eq!(
        (&told["installationId"], &told["resourceId"], &told["role"]),
        (&json!(installation), &json!(id), &json!("ADMIN"))
    );
    assert_eq!(told["context"], json!({ "path": "billing", "projectId": "prj_1" }), "no foreign origin is passed on");
    // The repeat of the call is answered again, another call is not.
    let committed = world.committed();
    assert_eq!(world.send_partner(&good).await.expect(200).body, got.body);
    assert_eq!(world.committed(), committed);
    world.send_partner(&call(&installation, &code)).await.is_problem(404, "not_found");
    // A minute, and it is nobody's.
    let slow = sign_on(json!({})).await;
    world.advance("60s").await;
    world.send_partner(&call(&installation, &slow)).await.is_problem(404, "not_found");
    let key = HandOver::key_of(&keys::digest_of(&[code.as_bytes()]));
    assert!(world.local.bare.get::<HandOver>(&key).await.unwrap().is_none(), "what was redeemed is gone");
    world.close().await;
}
