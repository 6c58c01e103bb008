//! Calls in Vercel's name: tokens, roles, installations.

use serde_json::{Value, json};

use crate::world;
use crate::world::vercel::Call;
use crate::world::{FREE, ORG, Setup, World, with_org};
use crate::{BASES, PARTNER_API, Quiet, Takes, filled};

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

/// While Vercel's keys cannot be had, nobody is let in, and nobody is told that their token is bad.
#[tokio::test]
async fn a_token_that_cannot_be_checked_is_503() {
    let world = World::open().await;
    let installation = world.install().await;
    let plans = || Call::new("GET", format!("/v1/products/{}/plans", world::PRODUCT)).of(&installation);
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks"] {
        // What is known of the keys is in memory.
        world.start_anew(0);
        world.vercel_fails(json!([{ "match": { "path": path }, "fault": { "kind": "status", "status": 500 } }])).await;
        world.vercel(plans()).await.is_envelope(503, "unavailable");
        world.vercel_heals().await;
    }
    world.start_anew(0);
    world.vercel(plans()).await.expect(200);
    world.close().await;
}
