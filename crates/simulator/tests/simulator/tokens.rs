//! Tokens good and bad, sign-on codes, and credentials.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use crate::stage::{CLIENT_ID, CLIENT_SECRET, Stage};

/// Verifies as a provider must: published key, RS256, issuer, audience.
async fn verify(stage: &Stage, token: &str) -> Result<Map<String, Value>, String> {
    let discovery: Value = serde_json::from_str(&stage.text("/.well-known/openid-configuration").await).unwrap();
    assert_eq!(discovery["issuer"], stage.url);
    let keys: Value = serde_json::from_str(&stage.text("/.well-known/jwks").await).unwrap();
    let key = &keys["keys"][0];
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    if header.kid.as_deref() != key["kid"].as_str() {
        return Err("unknown key".to_owned());
    }
    let key = DecodingKey::from_rsa_components(key["n"].as_str().unwrap(), key["e"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[CLIENT_ID]);
    rules.set_issuer(&[&stage.url]);
    rules.set_required_spec_claims(&["exp", "iss", "aud"]);
    rules.validate_exp = false;
    let claims =
        jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules).map_err(|error| error.to_string())?.claims;
    // 2027-01-01T00:00:00Z
    if claims["exp"].as_i64().unwrap() <= 1_798_761_600 { Err("expired".to_owned()) } else { Ok(claims) }
}

async fn token_of(stage: &Stage, call: Value) -> String {
    let mut body = json!({ "method": "GET", "path": "/v1/anything", "auth": "user" });
    body.as_object_mut().unwrap().extend(call.as_object().unwrap().clone());
    let (status, answer) = stage.control("POST", "/_sim/calls", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["status"], 404);
    let seen = stage.partner.seen();
    seen.last().unwrap().header("authorization").trim_start_matches("Bearer ").to_owned()
}

#[tokio::test]
async fn every_kind_of_bad_token_can_be_made() {
    let stage = Stage::new().await;
    let (id, _) = stage.install().await;
    let with = |more: Value| {
        let mut body = json!({ "installationId": id });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let claims = verify(&stage, &token_of(&stage, with(json!({}))).await).await.unwrap();
    assert_eq!((&claims["installation_id"], &claims["user_role"]), (&json!(id), &json!("ADMIN")));
    let sub =
        format!("account:{}:user:{}", claims["account_id"].as_str().unwrap(), claims["user_id"].as_str().unwrap());
    assert_eq!(claims["sub"], sub);
    let claims = verify(&stage, &token_of(&stage, with(json!({ "auth": "system" }))).await).await.unwrap();
    assert!(!claims.contains_key("user_id"));
    for (spoil, why) in [
        (json!({ "token": { "expiresInSeconds": -3600 } }), "expired"),
        (json!({ "claims": { "exp": 1 } }), "expired"),
        (json!({ "claims": { "aud": "oac_other" } }), "InvalidAudience"),
        (json!({ "claims": { "iss": "https://evil.example" } }), "InvalidIssuer"),
        (json!({ "claims": { "aud": null } }), "Missing required claim"),
        (json!({ "token": { "alg": "none" } }), "unknown variant `none`"),
        (json!({ "token": { "alg": "HS256" } }), "InvalidAlgorithm"),
        (json!({ "token": { "signature": "bad" } }), "InvalidSignature"),
        (json!({ "token": { "kid": "other" } }), "unknown key"),
        (json!({ "token": { "kid": null } }), "unknown key"),
        (json!({ "auth": "raw", "token": "not.a.token" }), ""),
    ] {
        let error = verify(&stage, &token_of(&stage, with(spoil.clone())).await).await.unwrap_err();
        assert!(error.contains(why), "{spoil}: {error}");
    }
    let user = token_of(&stage, with(json!({ "role": "USER" }))).await;
    assert_eq!(verify(&stage, &user).await.unwrap()["user_role"], "USER");
    let other = token_of(&stage, with(json!({ "claims": { "installation_id": "icfg_other" } }))).await;
    assert_eq!(verify(&stage, &other).await.unwrap()["installation_id"], "icfg_other");
    let none = token_of(&stage, with(json!({ "auth": "none" }))).await;
    assert_eq!(none, "");
}

#[tokio::test]
async fn a_call_sends_what_it_is_told_and_shows_what_comes_back() {
    let stage = Stage::new().await;
    let (id, _) = stage.install().await;
    stage.partner.answer_next("PATCH", "/x", 409, json!({ "error": { "code": "conflict", "message": "m" } }));
    let body = json!({
        "method": "patch", "path": "/v1/x?metadata=%7B%7D", "installationId": id, "auth": "system",
        "headers": { "x-vercel-auth": "user" }, "body": { "a": 1 }, "idempotencyKey": "k1",
    });
    let (_, answer) = stage.control("POST", "/_sim/calls", body).await;
    assert_eq!((&answer["status"], &answer["body"]["error"]["code"]), (&json!(409), &json!("conflict")));
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let seen = stage.partner.seen().pop().unwrap();
    assert_eq!((seen.header("x-vercel-auth"), seen.header("idempotency-key")), ("user", "k1"));
    assert_eq!((seen.method.as_str(), seen.json()), ("PATCH", json!({ "a": 1 })));
}

async fn exchange(stage: &Stage, body: Value) -> (u16, Value) {
    stage.control("POST", "/v1/integrations/sso/token", body).await
}

fn query(url: &str, name: &str) -> String {
    url::Url::parse(url).unwrap().query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn a_sign_on_code_is_exchanged_once() {
    let stage = Stage::new().await;
    let (id, _) = stage.install().await;
    let body = json!({ "installationId": id, "params": { "resource_id": "r1", "path": "billing" } });
    let (_, answer) = stage.control("POST", "/_sim/sso", body).await;
    let url = answer["url"].as_str().unwrap();
    assert_eq!(
        (query(url, "mode"), query(url, "resource_id"), query(url, "path")),
        ("sso".into(), "r1".into(), "billing".into())
    );
    let good = json!({
        "code": query(url, "code"), "state": query(url, "state"), "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET, "grant_type": "authorization_code",
    });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (bad, status, code) in [
        (with("client_secret", json!("wrong")), 403, "invalid_client"),
        (with("state", json!("wrong")), 400, "invalid_grant"),
        (with("code", json!("wrong")), 400, "invalid_grant"),
        (with("grant_type", json!("password")), 400, "unsupported_grant_type"),
        (with("grant_type", Value::Null), 400, "invalid_request"),
        (with("scope", json!("x")), 400, "invalid_request"),
    ] {
        let (got, body) = exchange(&stage, bad).await;
        assert_eq!((got, &body["error"]), (status, &json!(code)), "{body}");
        assert!(body["error_description"].as_str().unwrap().starts_with("spec A.20"));
    }
    let (status, body) = exchange(&stage, good.clone()).await;
    assert_eq!((status, &body["access_token"]), (200, &Value::Null));
    let claims = verify(&stage, body["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!((&claims["installation_id"], &claims["type"]), (&json!(id), &json!("id_token")));
    assert_eq!(exchange(&stage, good).await.1["error_description"], "spec A.20: the code was used already");
    let refresh = json!({
        "refresh_token": body["refresh_token"], "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        "grant_type": "refresh_token",
    });
    // Each grant has a body of its own, closed.
    let mut both = refresh.clone();
    both["code"] = json!("x");
    let (status, answer) = exchange(&stage, both).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")), "{answer}");
    let (status, body) = exchange(&stage, refresh.clone()).await;
    assert!(status == 200 && verify(&stage, body["id_token"].as_str().unwrap()).await.is_ok());
    assert!(body["access_token"].is_string() && body["token_type"].is_string() && body["expires_in"].is_number());
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(refresh.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap())))
        .finish();
    let request = http::Request::post(format!("{}/v1/integrations/sso/token", stage.url));
    let request = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(stage.raw(request, &form).await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_form_is_exchanged_too_and_a_code_expires() {
    let stage = Stage::new().await;
    let (id, _) = stage.install().await;
    for (wait, status) in [("1m", 200), ("6m", 400)] {
        let (_, answer) = stage.control("POST", "/_sim/sso", json!({ "installationId": id })).await;
        let code = query(answer["url"].as_str().unwrap(), "code");
        stage.advance(wait).await;
        let form =
            format!("code={code}&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&grant_type=authorization_code");
        let request = http::Request::post(format!("{}/v1/integrations/sso/token", stage.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into())
            .unwrap();
        let network = tradepost_marketplace::http_door::Network::new("test").unwrap();
        let answer =
            tradepost_marketplace::http_door::Http::send(&network, request, std::time::Duration::from_secs(20));
        assert_eq!(answer.await.unwrap().status().as_u16(), status);
    }
}

#[tokio::test]
async fn a_credential_is_rotated_and_the_old_one_revoked() {
    let stage = Stage::new().await;
    let (id, old) = stage.install().await;
    let path = |rest: &str| format!("/v1/installations/{id}/{rest}");
    let secret = json!({ "client_secret": CLIENT_SECRET });
    let revoke = |token: &str| json!({ "client_secret": CLIENT_SECRET, "token": token });
    let (status, body) = stage.vercel(&old, "POST", &path("credentials/revoke"), revoke(&old)).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (409, &json!("spec A.6: the last live credential cannot be revoked"))
    );
    let (status, body) =
        stage.vercel(&old, "POST", &path("credentials/rotate"), json!({ "client_secret": "no" })).await;
    assert_eq!(status, 403, "{body}");
    let (_, body) = stage.vercel(&old, "POST", &path("credentials/rotate"), secret).await;
    let new = body["access_token"].as_str().unwrap();
    assert_eq!(body["token_type"], "oauth2-token");
    assert_eq!(stage.vercel(&old, "GET", &path("account"), Value::Null).await.0, 200);
    let (_, body) = stage.vercel(new, "POST", &path("credentials/revoke"), revoke(&old)).await;
    assert_eq!(body, json!({ "revoked": true, "alreadyRevoked": false }));
    assert_eq!(stage.vercel(&old, "GET", &path("account"), Value::Null).await.0, 401);
    assert_eq!(stage.vercel(new, "GET", &path("account"), Value::Null).await.0, 200);
}

#[tokio::test]
async fn the_hook_is_told_every_secret_it_makes() {
    let stage = Stage::new().await;
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = told.clone();
    stage.simulator.on_secret(std::sync::Arc::new(move |secret| kept.lock().unwrap().push(secret.to_owned())));
    let (id, token) = stage.install().await;
    let (_, answer) = stage.control("POST", "/_sim/sso", json!({ "installationId": id })).await;
    stage.control("POST", "/_sim/webhooks", json!({ "type": "test-webhook", "payload": {} })).await;
    let seen = stage.partner.seen();
    let jwt = seen[0].header("authorization").trim_start_matches("Bearer ").to_owned();
    let signature = seen[1].header("x-vercel-signature").to_owned();
    let told = told.lock().unwrap().clone();
    for secret in [token, jwt.clone(), signature, query(answer["url"].as_str().unwrap(), "code")] {
        assert!(told.contains(&secret), "{secret}");
    }
    let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
    assert!(String::from_utf8(payload).unwrap().contains("user_role"));
}
