//! Must hold 3: whoever may not come in is refused, with the right status and envelope, and nothing is written.
//!
//! Tables: every route times every bad credential. A route that is added to the provider and not to these tables
//! fails [`every_route_is_in_a_table`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use tradepost_cli::development;
use world::partner::{key_without, usage};
use world::vercel::Call;
use world::{FREE, ORG, Setup, World, with_org};

/// Which tokens a route takes (spec B, the Auth column).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Admin,
    System,
    Both,
    Anyone,
}

/// The Partner API: method, path under its base, and whom it is for.
const PARTNER_API: [(&str, &str, Takes); 12] = [
    ("GET", "/products/{product}/plans", Takes::Anyone),
    ("GET", "/installations/{installation}", Takes::System),
    ("PUT", "/installations/{installation}", Takes::Admin),
    ("PATCH", "/installations/{installation}", Takes::Admin),
    ("DELETE", "/installations/{installation}", Takes::Both),
    ("GET", "/installations/{installation}/plans", Takes::System),
    ("POST", "/installations/{installation}/resources", Takes::Admin),
    ("GET", "/installations/{installation}/resources/{resource}", Takes::System),
    ("PATCH", "/installations/{installation}/resources/{resource}", Takes::Admin),
    ("DELETE", "/installations/{installation}/resources/{resource}", Takes::Both),
    ("GET", "/installations/{installation}/resources/{resource}/plans", Takes::System),
    ("POST", "/installations/{installation}/resources/{resource}/secrets/rotate", Takes::Both),
];
const BASES: [&str; 2] = ["/v1", "/v1/integrations/marketplace"];

/// The partner API: type, route, scope.
const PARTNERS: [(&str, &str, &str); 11] = [
    ("usage.recorded", "/partner/usage", "usage"),
    ("resource.updated", "/partner/events", "events"),
    ("installation.updated", "/partner/events", "events"),
    ("effects.query", "/partner/effects/query", "read"),
    ("provisioner.report", "/partner/provisioner/reports", "provisioner"),
    ("invoice.close", "/partner/invoices", "invoices"),
    ("invoice.adjust", "/partner/invoices", "invoices"),
    ("invoice.query", "/partner/invoices/query", "read"),
    ("invoice.refund", "/partner/invoices/{invoice}/refund", "refunds"),
    ("secrets.rotate", "/partner/resources/{resource}/secrets", "secrets"),
    ("sessions.redeem", "/partner/sessions/redeem", "read"),
];

const CRONS: [&str; 4] = ["/cron/billing", "/cron/invoices", "/cron/outbox", "/cron/secrets"];
/// Open to browsers and to Vercel's webhooks; what lets them in is tested in its own test.
const OTHERS: [&str; 3] = ["/callback", "/installation", "/webhooks/vercel"];

/// A stretch in which nothing may happen: no commit, no changed item, no call to Vercel's API, no order.
struct Quiet {
    committed: u64,
    table: Vec<Value>,
    orders: usize,
    mark: u64,
}

impl Quiet {
    async fn begin(world: &World) -> Self {
        Self {
            committed: world.committed(),
            table: world.dump().await,
            orders: world.provisioner.orders().len(),
            mark: world.mark().await,
        }
    }

    #[track_caller]
    fn so_far(&self, world: &World, what: &str) {
        assert_eq!(world.committed(), self.committed, "{what} wrote something");
    }

    async fn end(self, world: &World) {
        self.so_far(world, "something");
        assert_eq!(world.dump().await, self.table);
        assert_eq!(world.provisioner.orders().len(), self.orders);
        assert_eq!(world.calls_since(self.mark).await, Vec::<String>::new());
    }
}

fn filled(path: &str, installation: &str, resource: &str) -> String {
    path.replace("{installation}", installation).replace("{resource}", resource).replace("{product}", world::PRODUCT)
}

/// A body that a route would act on, were the caller let in.
fn body_of(method: &str, path: &str) -> Value {
    match (method, path.rsplit('/').next()) {
        ("PUT", _) => json!({ "scopes": [], "credentials": { "access_token": "stolen", "token_type": "Bearer" } }),
        ("POST", Some("resources")) => {
            json!({ "productId": world::PRODUCT, "name": "more", "billingPlanId": FREE, "metadata": {} })
        }
        ("POST", Some("rotate")) => json!({ "delayOldSecretsExpirationHours": 0 }),
        ("PATCH", Some("{installation}")) => json!({ "billingPlanId": ORG }),
        ("PATCH", _) => json!({ "name": "renamed" }),
        _ => Value::Null,
    }
}

/// A call that the route would carry out.
fn good_call(method: &str, base: &str, path: &str, takes: Takes, ids: (&str, &str)) -> Call {
    let call = Call::new(method, format!("{base}{}", filled(path, ids.0, ids.1))).of(ids.0).key("refused");
    let call = if takes == Takes::System { call.system() } else { call };
    match body_of(method, path) {
        Value::Null => call,
        body => call.body(body),
    }
}

/// What spoils a token so that it is nobody's: 401 whatever the route.
fn spoils(now: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("no token", json!({ "auth": "none" })),
        ("an empty token", json!({ "auth": "raw", "token": "" })),
        ("garbage", json!({ "auth": "raw", "token": "garbage" })),
        ("garbage in three parts", json!({ "auth": "raw", "token": "e30.e30.e30" })),
        ("another scheme", json!({ "auth": "none", "headers": { "authorization": "Basic dXNlcjpwYXNz" } })),
        ("a forged signature", json!({ "token": { "signature": "bad" } })),
        ("alg none", json!({ "token": { "alg": "none" } })),
        ("HS256 under the public key", json!({ "token": { "alg": "HS256" } })),
        ("an unknown key", json!({ "token": { "kid": "other" } })),
        ("no key", json!({ "token": { "kid": null } })),
        ("expired", json!({ "token": { "expiresInSeconds": -60 } })),
        ("without an end", json!({ "claims": { "exp": null } })),
        ("not yet valid", json!({ "claims": { "nbf": now + 3600 } })),
        ("another audience", json!({ "claims": { "aud": "oac_another" } })),
        ("no audience", json!({ "claims": { "aud": null } })),
        ("another issuer", json!({ "claims": { "iss": "https://evil.example.com" } })),
        ("no issuer", json!({ "claims": { "iss": null } })),
        ("a header that is no style", json!({ "headers": { "x-vercel-auth": "root" } })),
    ]
}

#[tokio::test]
async fn a_token_that_is_not_vercels_opens_no_route_of_the_partner_api() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let (installation, resource) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    let now = world.now().as_second();
    for (method, path, takes) in PARTNER_API {
        for base in BASES {
            for (what, spoiled) in spoils(now) {
                let call = good_call(method, base, path, takes, (&installation, &resource)).and(&spoiled);
                world.vercel(call).await.is_envelope(401, "unauthorized");
                quiet.so_far(&world, &format!("{method} {base}{path} with {what}"));
            }
            let other = if takes == Takes::System { "user" } else { "system" };
            let lie = json!({ "headers": { "x-vercel-auth": other } });
            let call = good_call(method, base, path, takes, (&installation, &resource)).and(&lie);
            world.vercel(call).await.is_envelope(401, "unauthorized");
            quiet.so_far(&world, &format!("{method} {base}{path} with a header that disagrees"));
        }
    }
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn a_token_of_another_installation_role_or_style_is_forbidden() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let (installation, resource) = world.customer(FREE).await;
    let (stranger, _) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    for (method, path, takes) in PARTNER_API.into_iter().filter(|(.., takes)| *takes != Takes::Anyone) {
        for base in BASES {
            let good = || good_call(method, base, path, takes, (&installation, &resource));
            let forbidden = async |what: &str, call: Call| {
                let got = world.vercel(call).await;
                got.is_envelope(403, "forbidden");
                quiet.so_far(&world, &format!("{method} {base}{path} with {what}"));
                got.body
            };
            let nowhere = good_call(method, base, path, takes, ("icfg_nowhere", &resource));
            let existing = forbidden("a stranger's token", good().of(&stranger)).await;
            let missing = forbidden("a token, where there is nothing", nowhere.of(&stranger)).await;
            assert_eq!(existing, missing, "the answer must not tell whether an installation exists");
            forbidden("the claim of a stranger", good().and(&json!({ "claims": { "installation_id": stranger } })))
                .await;
            forbidden("a claim of nothing", good().and(&json!({ "claims": { "installation_id": null } }))).await;
            if takes != Takes::Admin {
                let nobody = json!({ "installationId": null, "auth": "system" });
                forbidden("a system token without an installation", good().and(&nobody)).await;
            }
            if takes != Takes::System {
                forbidden("a USER's token", good().and(&json!({ "auth": "user", "role": "USER" }))).await;
                forbidden("an unknown role", good().and(&json!({ "claims": { "user_role": "OWNER" } }))).await;
            }
            match takes {
                Takes::Admin => drop(forbidden("Vercel's own token", good().system()).await),
                Takes::System => drop(forbidden("a person's token", good().and(&json!({ "auth": "user" }))).await),
                Takes::Both | Takes::Anyone => {}
            }
        }
    }
    quiet.end(&world).await;
    world.close().await;
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
    paths.extend(CRONS.iter().map(|path| ((*path).to_owned(), BTreeSet::from(["GET"]))));
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

/// Plans may be asked for before there is an installation (spec B.5), and nothing else may.
#[tokio::test]
async fn a_system_token_without_an_installation_sees_the_plans_of_a_product() {
    let world = World::open().await;
    for base in BASES {
        let got = world.vercel(Call::new("GET", format!("{base}/products/{}/plans", world::PRODUCT)).system()).await;
        assert_eq!(got.expect(200).body["plans"][0]["id"], FREE);
        let unknown = Call::new("GET", format!("{base}/products/nothing/plans")).system();
        world.vercel(unknown).await.is_envelope(404, "not_found");
    }
    assert_eq!(world.committed(), 0);
    world.close().await;
}

/// The tables above are about callers that are refused: this shows that the calls in them are otherwise good.
#[tokio::test]
async fn the_calls_of_the_tables_are_good_but_for_their_callers() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    for (method, path, takes) in PARTNER_API {
        for base in BASES {
            let (installation, resource) = world.customer(FREE).await;
            let got = world.vercel(good_call(method, base, path, takes, (&installation, &resource))).await;
            assert!((200..300).contains(&got.status), "{method} {base}{path}: {got:?}");
        }
    }
    world.close().await;
}

fn signed_webhook(body: &str, secret: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    tradepost_provider::state::keys::hex(hmac::sign(&key, body.as_bytes()).as_ref())
}

#[tokio::test]
async fn a_webhook_that_vercel_did_not_sign_is_refused() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    // Were it believed, the installation would be gone.
    let event = |padding: usize| {
        let payload = json!({ "configuration": { "id": installation }, "padding": "x".repeat(padding) });
        json!({ "id": "wh1", "type": "integration-configuration.removed", "createdAt": 1, "region": null, "payload": payload })
            .to_string()
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

/// What a partner could do with a call of each type, were it let in.
fn data_of(kind: &str, installation: &str, resource: &str) -> Value {
    match kind {
        "usage.recorded" => usage("refused", &[(resource, "queries", world::BEGIN, "1")]),
        "resource.updated" => json!({ "resourceId": resource, "name": "renamed" }),
        "installation.updated" => json!({ "planId": ORG }),
        "effects.query" => json!({ "effectIds": [] }),
        "provisioner.report" => {
            json!({ "operationId": "op", "fence": 9, "resourceId": resource, "status": "suspended" })
        }
        "invoice.close" => json!({}),
        "invoice.adjust" => json!({ "lines": [{ "name": "more", "amount": "1.00" }] }),
        "invoice.query" => json!({ "invoiceId": format!("{installation}.i1") }),
        "invoice.refund" => {
            json!({ "invoiceId": format!("{installation}.i1"), "total": "1.00", "reason": "because" })
        }
        "secrets.rotate" => json!({ "resourceId": resource }),
        "sessions.redeem" => json!({ "code": "0000" }),
        other => panic!("no data for {other}"),
    }
}

#[tokio::test]
async fn a_partner_call_that_is_not_rightly_signed_is_refused() {
    let world = World::with(Setup { catalog: Some(&with_org()), ..Setup::default() }).await;
    let (installation, resource) = world.customer(FREE).await;
    world.advance("1h").await;
    let quiet = Quiet::begin(&world).await;
    let another = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzIDAwMDE=";
    for (kind, route, scope) in PARTNERS {
        let route = route.replace("{resource}", &resource).replace("{invoice}", &format!("{installation}.i1"));
        let good = || world.partner_call(kind, &route, &installation, &data_of(kind, &installation, &resource));
        let mut bad = Vec::new();
        let mut spoil = |what: &'static str, change: &dyn Fn(&mut world::partner::Call)| {
            let mut call = good();
            change(&mut call);
            bad.push((what, call));
        };
        spoil("an unknown key", &|call| "nobody".clone_into(&mut call.key_id));
        spoil("another secret", &|call| another.clone_into(&mut call.secret));
        spoil("a changed body", &|call| call.forged_body = Some(call.body.replace(":{", ": {")));
        spoil("a body of another installation", &|call| {
            call.forged_body = Some(call.body.replace(&installation, "icfg_other"));
        });
        spoil("an old timestamp", &|call| call.at = call.at.checked_sub(jiff::SignedDuration::from_secs(301)).unwrap());
        spoil("a future timestamp", &|call| {
            call.at = call.at.checked_add(jiff::SignedDuration::from_secs(301)).unwrap();
        });
        for header in ["tradepost-key-id", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            spoil(header, &|call| call.without.push(header));
        }
        for (what, call) in bad {
            world.send_partner(&call).await.is_problem(401, "invalid_signature");
            quiet.so_far(&world, &format!("{kind} with {what}"));
        }
        // A signature is over the id and the time, too.
        let call = good();
        let other_id = world::partner::Call { id: "msg_other".to_owned(), ..call.clone() };
        let replayed = world.replay_with_signature_of(&call, &other_id).await;
        replayed.is_problem(401, "invalid_signature");
        // Signed well, by a key that may do everything but this.
        let call = world::partner::Call { key_id: key_without(scope), ..good() };
        world.send_partner(&call).await.is_problem(403, "forbidden");
        quiet.so_far(&world, &format!("{kind} without the scope {scope}"));
        // Signed well, for another route.
        let wrong = PARTNERS.iter().find(|(_, other, _)| *other != PARTNERS.iter().find(|p| p.0 == kind).unwrap().1);
        let call =
            world.partner_call(wrong.unwrap().0, &route, &installation, &data_of(kind, &installation, &resource));
        world.send_partner(&call).await.is_problem(400, "validation_error");
        // Signed well, with a field that nobody knows.
        let mut data = data_of(kind, &installation, &resource);
        data["unknown"] = json!(1);
        world.partner(kind, &route, &installation, data).await.is_problem(400, "validation_error");
        quiet.so_far(&world, &format!("{kind} of another type or with unknown fields"));
    }
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn a_partner_call_must_be_about_its_path_and_its_installation() {
    let world = World::open().await;
    let (installation, resource) = world.customer(FREE).await;
    let (stranger, foreign) = world.customer(FREE).await;
    let data = json!({ "resourceId": foreign, "name": "told" });
    let told = world.partner("resource.updated", "/partner/events", &stranger, data).await.expect(202);
    let foreign_effects = world::partner::effects(&told);
    let quiet = Quiet::begin(&world).await;
    let refused = async |kind: &str, route: &str, installation: &str, data: Value, status: u16, code: &str| {
        world.partner(kind, route, installation, data).await.is_problem(status, code);
        quiet.so_far(&world, &format!("{kind} on {route}"));
    };
    // The ids in the path are the data's.
    let route = format!("/partner/resources/{resource}/secrets");
    refused("secrets.rotate", &route, &installation, json!({ "resourceId": foreign }), 400, "validation_error").await;
    let route = format!("/partner/invoices/{installation}.i1/refund");
    let data = json!({ "invoiceId": format!("{installation}.i2"), "total": "1.00", "reason": "x" });
    refused("invoice.refund", &route, &installation, data, 400, "validation_error").await;
    // What belongs to another installation is not there.
    let route = format!("/partner/resources/{foreign}/secrets");
    refused("secrets.rotate", &route, &installation, json!({ "resourceId": foreign }), 404, "not_found").await;
    let data = json!({ "resourceId": foreign, "name": "taken" });
    refused("resource.updated", "/partner/events", &installation, data, 404, "not_found").await;
    let data = data_of("provisioner.report", &installation, &foreign);
    refused("provisioner.report", "/partner/provisioner/reports", &installation, data, 404, "not_found").await;
    let data = json!({ "invoiceId": format!("{stranger}.i1") });
    refused("invoice.query", "/partner/invoices/query", &installation, data, 404, "not_found").await;
    // Nor is an installation that does not exist.
    for (kind, route) in [
        ("usage.recorded", "/partner/usage"),
        ("installation.updated", "/partner/events"),
        ("invoice.close", "/partner/invoices"),
        ("invoice.adjust", "/partner/invoices"),
    ] {
        let data = data_of(kind, "icfg_nowhere", "icfg_nowhere.r1");
        refused(kind, route, "icfg_nowhere", data, 404, "not_found").await;
    }
    // A foreign effect is unknown, whatever became of it.
    assert_eq!(world.fates(&stranger, &foreign_effects).await, [("delivered".to_owned(), 0)]);
    assert_eq!(world.fates(&installation, &foreign_effects).await, [("unknown".to_owned(), 0)]);
    quiet.end(&world).await;
    world.close().await;
}

#[tokio::test]
async fn bodies_have_limits() {
    let world = World::open().await;
    let (installation, _) = world.customer(FREE).await;
    let quiet = Quiet::begin(&world).await;
    for (kind, route, bytes_max) in
        [("usage.recorded", "/partner/usage", 350 * 1024), ("invoice.adjust", "/partner/invoices", 1024 * 1024)]
    {
        let mut call = world.partner_call(kind, route, &installation, &json!({}));
        call.body = format!("{}{}", call.body, " ".repeat(bytes_max - call.body.len()));
        world.send_partner(&call).await.is_problem(400, "validation_error");
        call.body.push(' ');
        assert_eq!(world.send_partner(&call).await.status, 413, "{route}");
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
        // No other method is a schedule.
        let request = world.request(Method::POST, path).header("authorization", &right);
        assert_eq!(world.send(request, "").await.status, 405);
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
