//! Webhooks, the scheduler, browsers; and that no route is forgotten.

use http::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use tradepost_rehearsal::development;

use crate::world;
use crate::world::{FREE, World};
use crate::{BASES, PARTNER_API, PARTNERS, Quiet, filled};

const CRONS: [&str; 4] = ["/cron/billing", "/cron/invoices", "/cron/outbox", "/cron/secrets"];

/// Open to browsers and to Vercel's webhooks; what lets them in is tested in its own test.
const OTHERS: [&str; 3] = ["/callback", "/installation", "/webhooks/vercel"];

fn signed_webhook(body: &str, secret: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    tradepost_provider::state::keys::hex(hmac::sign(&key, body.as_bytes()).as_ref())
}

fn paths_in(folder: &Path, routed: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths_in(&path, routed);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        // `.route(` and its path may stand on two lines.
        for part in source.split(".route(").skip(1) {
            let literal = part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            routed
                .insert(literal.unwrap_or_else(|| panic!("{}: a path that is no literal", path.display())).to_owned());
        }
    }
}

/// What the tables do not list is not served: no method of a path that would need no credentials.
#[tokio::test]
async fn no_route_takes_a_method_that_is_not_in_a_table() {
    let world = World::open().await;
    let mut paths: BTreeSet<(String, BTreeSet<&str>)> = BTreeSet::new();
    for (_, path, _) in PARTNER_API {
        let methods = PARTNER_API.iter().filter(|(_, other, _)| *other == path).map(|(method, ..)| *method).collect();
        let methods: BTreeSet<&str> = methods;
        paths.extend(BASES.map(|base| (format!("{base}{path}"), methods.clone())));
    }
    paths.extend(PARTNERS.iter().map(|(_, path, _)| ((*path).to_owned(), BTreeSet::from(["POST"]))));
    paths.extend(CRONS.iter().map(|path| ((*path).to_owned(), BTreeSet::from(["GET", "POST"]))));
    for (path, method) in OTHERS.into_iter().zip(["GET", "GET", "POST"]) {
        paths.insert((path.to_owned(), BTreeSet::from([method])));
    }
    for (path, methods) in paths {
        let path = filled(&path, "icfg_1", "icfg_1.r1").replace("{invoice}", "icfg_1.i1");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let got = world.send(world.request(method.parse().unwrap(), &path), "").await;
            assert_eq!(got.status == 405, !methods.contains(method), "{method} {path}: {got:?}");
        }
    }
    assert_eq!(world.committed(), 0);
    world.close().await;
}

#[tokio::test]
async fn a_webhook_that_vercel_did_not_sign_is_refused() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    // Were it believed, the installation would be gone.
    let event = |padding: usize| {
        let payload = json!({ "configuration": { "id": installation }, "padding": "x".repeat(padding) });
        let kind = "integration-configuration.removed";
        json!({ "id": "wh1", "type": kind, "createdAt": 1, "region": null, "payload": payload }).to_string()
    };
    let body = event(0);
    let good = signed_webhook(&body, development::CLIENT_SECRET);
    let other = signed_webhook(&body, "another secret");
    let of_another_body = signed_webhook(&event(1), development::CLIENT_SECRET);
    let bare = good[..38].to_owned();
    for signature in [None, Some(""), Some("zz"), Some(&other), Some(&of_another_body), Some(&bare)] {
        let mut request = world.request(Method::POST, "/webhooks/vercel");
        if let Some(signature) = signature {
            request = request.header("x-vercel-signature", signature);
        }
        let got = world.send(request, &body).await;
        assert_eq!((got.status, &got.body["code"]), (403, &json!("invalid_signature")), "{signature:?}");
        quiet.so_far(&world, &format!("a webhook signed {signature:?}"));
    }
    // Too large is too large, well signed or not; the largest that fits is taken.
    let largest = 256 * 1024 - event(0).len();
    for (padding, status) in [(largest + 1, 413), (600 * 1024, 413), (largest, 403)] {
        let body = event(padding);
        let signature = if status == 413 { signed_webhook(&body, development::CLIENT_SECRET) } else { String::new() };
        let request = world.request(Method::POST, "/webhooks/vercel").header("x-vercel-signature", signature);
        let got = world.send(request, &body).await.expect(status);
        assert_eq!(got.body["code"], if status == 413 { "too_large" } else { "invalid_signature" });
    }
    // Well signed, but no event.
    for body in ["", "[]", "{}", r#"{"id":"x"}"#] {
        let request = world.request(Method::POST, "/webhooks/vercel");
        let request = request.header("x-vercel-signature", signed_webhook(body, development::CLIENT_SECRET));
        world.send(request, body).await.is_problem(400, "validation_error");
    }
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn the_scheduled_paths_open_for_the_scheduler_only() {
    let world = World::open().await;
    world.customer(FREE).await;
    world.advance("1h").await;
    let quiet = Quiet::begin(&world).await;
    let right = format!("Bearer {}", development::CRON_SECRET);
    let longer = format!("{right}0");
    for path in CRONS {
        for headers in [
            vec![],
            vec![("authorization", "")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "Bearer wrong")],
            vec![("authorization", "Bearer undefined")],
            vec![("authorization", &right[..right.len() - 1])],
            vec![("authorization", &longer)],
            vec![("authorization", development::CRON_SECRET)],
            vec![("x-vercel-cron", "1"), ("user-agent", "vercel-cron/1.0")],
        ] {
            let request = headers
                .iter()
                .fold(world.request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
            world.send(request, "").await.is_problem(401, "invalid_cron_secret");
            quiet.so_far(&world, &format!("{path} with {headers:?}"));
        }
        // A POST is a queue's record, which only the platform can mark: no secret makes one.
        for bearer in [&right, ""] {
            let request = world.request(Method::POST, path).header("authorization", bearer);
            world.send(request, "").await.is_problem(401, "invalid_cron_secret");
            quiet.so_far(&world, &format!("POST {path}"));
        }
    }
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn a_browser_without_a_code_or_a_session_sees_nothing() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let url = world.control("POST", "/_sim/sso", json!({ "installationId": installation })).await.expect(200);
    let url = world::got::text(&url.body["url"]);
    let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let quiet = Quiet::begin(&world).await;
    let page = async |path: &str, cookie: &str| {
        let got = world.send(world.request(Method::GET, path).header("cookie", cookie), "").await;
        assert!(!got.headers.contains_key("set-cookie"), "{path}: {got:?}");
        quiet.so_far(&world, path);
        got.status
    };
    for path in ["/callback", "/callback?mode=sso", "/callback?mode=sso&code=", "/callback?mode=sso&code=wrong&state=x"]
    {
        assert_eq!(page(path, "").await, 400, "{path}");
    }
    assert_eq!(page(&format!("/callback?mode=sso&code={code}&state=wrong"), "").await, 400);
    for cookie in ["", "tradepost_session=", "tradepost_session=0000", "other=1; tradepost_session=0000"] {
        assert_eq!(page("/installation", cookie).await, 401, "{cookie}");
    }
    assert_eq!(world.committed(), quiet.committed);
    assert_eq!(world.dump().await, quiet.table);
    world.close().await;
}

/// Reads the provider's source: every path it routes is in one of the tables here.
#[test]
fn every_route_is_in_a_table() {
    let mut tables: BTreeSet<String> = PARTNER_API.iter().map(|(_, path, _)| (*path).to_owned()).collect();
    tables.extend(PARTNERS.iter().map(|(_, path, _)| (*path).to_owned()));
    tables.extend(CRONS.into_iter().chain(OTHERS).map(str::to_owned));
    let mut routed = BTreeSet::new();
    paths_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/provider/src/flows"), &mut routed);
    assert_eq!(routed, tables);
}
