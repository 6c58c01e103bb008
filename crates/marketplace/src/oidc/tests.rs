//! Tokens, good and bad, of an issuer that lives in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::endpoint::checked;
use crate::http_door::{Http, HttpError};

const ISSUER: &str = "https://marketplace.test";
const CLIENT: &str = "oac_1";

fn key(index: usize) -> &'static RsaKeyPair {
    static KEYS: [OnceLock<RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[index].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn sign_with(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "k0"})
}

fn sign(claims: &Value) -> String {
    sign_with(key(0), &RSA_PKCS1_SHA256, &header(), claims)
}

/// The public key as an entry of a key set. Its DER is a sequence of a 257-byte and a 3-byte integer.
fn jwk(index: usize, kid: &str) -> Value {
    let der = key(index).public_key().as_ref();
    let n = URL_SAFE_NO_PAD.encode(&der[9..265]);
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB"})
}

fn now() -> Timestamp {
    "2027-01-15T12:00:00Z".parse().unwrap()
}

fn user() -> Value {
    let now = now().as_second();
    json!({
        "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 600, "sub": "account:0aF:user:9e", "account_id": "0aF",
        "installation_id": "icfg_1", "user_id": "u1", "user_role": "ADMIN", "user_email": "ann@example.com",
        "user_name": "Ann", "type": "access_token", "unknown": [1],
    })
}

fn system() -> Value {
    let now = now().as_second();
    json!({"iss": ISSUER, "aud": CLIENT, "exp": now + 600, "sub": "account:0aF", "account_id": "0aF", "installation_id": null})
}

/// `claims` with one claim changed, or removed where the value is null.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    let map = claims.as_object_mut().unwrap();
    if value.is_null() {
        map.remove(name)
    } else {
        map.insert(name.to_owned(), value)
    };
    claims
}

/// The issuer's two documents, and how often they were asked for.
struct Issuer {
    discovery: Mutex<Value>,
    keys: Mutex<Value>,
    fault: Mutex<Option<Result<u16, HttpError>>>,
    asked: AtomicUsize,
}

impl Issuer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            discovery: Mutex::new(json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks")})),
            keys: Mutex::new(json!({"keys": [jwk(0, "k0")]})),
            fault: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }

    fn verifier(self: &Arc<Self>) -> Verifier {
        let http = Arc::clone(self) as Arc<dyn Http>;
        Verifier::new(http, checked(ISSUER).unwrap(), ClientId::new(CLIENT).unwrap())
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    fn break_down(&self) {
        *self.fault.lock().unwrap() = Some(Err(HttpError::NotSent("down".to_owned())));
    }
}

#[async_trait]
impl Http for Issuer {
    async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let fault = self.fault.lock().unwrap().clone();
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => self.discovery.lock().unwrap().to_string(),
            "/.well-known/jwks" => self.keys.lock().unwrap().to_string(),
            other => panic!("asked for {other}"),
        };
        match fault {
            Some(Err(error)) => Err(error),
            Some(Ok(status)) => Ok(Response::builder().status(status).body(Bytes::new()).unwrap()),
            None => Ok(Response::new(Bytes::from(body))),
        }
    }
}

async fn verify(verifier: &Verifier, token: &str) -> Result<Claims, TokenError> {
    verifier.verify(token, AuthHeader::Missing, now(), now()).await
}

/// Later in lease time by so many seconds.
fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn good_tokens_say_who_is_calling() {
    let verifier = Issuer::new().verifier();
    let Claims::User(claims) = verify(&verifier, &sign(&user())).await.unwrap() else { panic!() };
    assert_eq!((claims.user_id.as_str(), &claims.role, claims.account_id.as_str()), ("u1", &Role::Admin, "0aF"));
    assert_eq!(claims.installation_id.as_ref().unwrap().as_str(), "icfg_1");
    assert_eq!((claims.token_use.as_ref(), claims.expires_at), (Some(&TokenUse::Access), later(600)));
    let shown = format!("{claims:?}");
    assert!(!shown.contains("ann") && !shown.contains("Ann"), "{shown}");

    let Claims::System(claims) = verify(&verifier, &sign(&system())).await.unwrap() else { panic!() };
    assert_eq!((claims.installation_id, claims.account_id.as_deref()), (None, Some("0aF")));

    let tolerated = [
        with(system(), "sub", Value::Null),
        with(system(), "account_id", Value::Null),
        with(system(), "installation_id", json!("icfg_1")),
        with(user(), "aud", json!(["oac_0", CLIENT])),
        with(user(), "user_role", json!("OWNER")),
        with(user(), "user_email", Value::Null),
        with(user(), "exp", json!(now().as_second() - 9)),
        with(user(), "nbf", json!(now().as_second() + 10)),
    ];
    for claims in tolerated {
        assert!(verify(&verifier, &sign(&claims)).await.is_ok(), "{claims}");
    }
    let fraction = user()
        .to_string()
        .replace(&format!("\"exp\":{}", later(600).as_second()), &format!("\"exp\":{}.75", later(600).as_second()));
    assert_ne!(fraction, user().to_string());
    assert!(verify(&verifier, &sign(&serde_json::from_str(&fraction).unwrap())).await.is_ok());
}

#[tokio::test]
async fn each_forged_token_is_refused_for_its_own_reason() {
    let verifier = Issuer::new().verifier();
    let rs256 = |header: &Value| sign_with(key(0), &RSA_PKCS1_SHA256, header, &user());
    let unsigned = |alg: &str| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": alg, "kid": "k0"})), part(&user()))
    };
    let good = sign(&user());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let hmac = {
        // The classic confusion: the public key's bytes as an HMAC secret.
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "k0"}).to_string());
        let message = format!("{head}.{}", parts[1]);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key(0).public_key().as_ref());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
    };
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[100] ^= 1;

    let table = [
        ("empty", String::new(), TokenError::Malformed("shape")),
        ("one part", "abc".to_owned(), TokenError::Malformed("shape")),
        ("two parts", signed.to_owned(), TokenError::Malformed("shape")),
        ("four parts", format!("{good}.x"), TokenError::Malformed("shape")),
        ("too long", format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)), TokenError::TooLong),
        ("header not base64", format!("!.{}.{signature}", parts[1]), TokenError::Malformed("header")),
        ("header not json", format!("AAAA.{}.{signature}", parts[1]), TokenError::Malformed("header")),
        ("payload not base64", format!("{}.+/=.{signature}", parts[0]), TokenError::Malformed("payload")),
        ("bearer inside", format!("Bearer {good}"), TokenError::Malformed("header")),
        ("alg none", unsigned("none"), TokenError::Algorithm),
        ("alg None", unsigned("None"), TokenError::Algorithm),
        ("alg empty", unsigned(""), TokenError::Algorithm),
        ("alg rs256", unsigned("rs256"), TokenError::Algorithm),
        ("HS256 with the public key", hmac, TokenError::Algorithm),
        (
            "RS512",
            sign_with(key(0), &RSA_PKCS1_SHA512, &json!({"alg": "RS512", "kid": "k0"}), &user()),
            TokenError::Algorithm,
        ),
        ("RS512 called RS256", sign_with(key(0), &RSA_PKCS1_SHA512, &header(), &user()), TokenError::Signature),
        ("no alg", rs256(&json!({"kid": "k0"})), TokenError::Malformed("header")),
        ("crit", rs256(&json!({"alg": "RS256", "kid": "k0", "crit": ["exp"]})), TokenError::Critical),
        ("no kid", rs256(&json!({"alg": "RS256"})), TokenError::NoKeyId),
        ("empty kid", rs256(&json!({"alg": "RS256", "kid": ""})), TokenError::NoKeyId),
        ("unknown kid", rs256(&json!({"alg": "RS256", "kid": "k9"})), TokenError::UnknownKey),
        (
            "own key in the header",
            sign_with(key(1), &RSA_PKCS1_SHA256, &json!({"alg": "RS256", "kid": "k9", "jwk": jwk(1, "k9")}), &user()),
            TokenError::UnknownKey,
        ),
        ("another key", sign_with(key(1), &RSA_PKCS1_SHA256, &header(), &user()), TokenError::Signature),
        ("no signature", format!("{signed}."), TokenError::Signature),
        ("half a signature", format!("{signed}.{}", &signature[..100]), TokenError::Signature),
        ("a flipped bit", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped)), TokenError::Signature),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                parts[0],
                URL_SAFE_NO_PAD.encode(with(user(), "user_role", json!("USER")).to_string())
            ),
            TokenError::Signature,
        ),
    ];
    for (what, token, reason) in &table {
        assert_eq!(verify(&verifier, token).await.as_ref(), Err(reason), "{what}");
    }
    assert!(verify(&verifier, &good).await.is_ok());
}

#[tokio::test]
async fn each_bad_claim_is_refused_for_its_own_reason() {
    let verifier = Issuer::new().verifier();
    let second = now().as_second();
    let mut table: Vec<(&str, String, TokenError)> = vec![
        ("claims a list", sign(&json!([1])), TokenError::Malformed("claims")),
        ("exp a text", sign(&with(user(), "exp", json!("soon"))), TokenError::Malformed("claims")),
        ("exp true", sign(&with(user(), "exp", json!(true))), TokenError::Malformed("claims")),
        ("exp beyond time", sign(&with(user(), "exp", json!(i64::MAX))), TokenError::ClaimInvalid("exp")),
        (
            "a path as installation",
            sign(&with(user(), "installation_id", json!("icfg_1/../icfg_2"))),
            TokenError::ClaimInvalid("installation_id"),
        ),
        (
            "no installation name",
            sign(&with(user(), "installation_id", json!(""))),
            TokenError::ClaimInvalid("installation_id"),
        ),
        ("a space as user", sign(&with(user(), "user_id", json!(" "))), TokenError::ClaimInvalid("user_id")),
        ("another issuer", sign(&with(user(), "iss", json!("https://evil.test"))), TokenError::Issuer),
        ("a longer issuer", sign(&with(user(), "iss", json!(format!("{ISSUER}.evil.test")))), TokenError::Issuer),
        ("another audience", sign(&with(user(), "aud", json!("oac_2"))), TokenError::Audience),
        ("other audiences", sign(&with(user(), "aud", json!(["oac_2", "oac_11"]))), TokenError::Audience),
        ("no audience in a list", sign(&with(user(), "aud", json!([]))), TokenError::Audience),
        ("expired", sign(&with(user(), "exp", json!(second - 10))), TokenError::Expired),
        ("expired long ago", sign(&with(user(), "exp", json!(i64::from(i32::MIN)))), TokenError::Expired),
        ("not yet valid", sign(&with(user(), "nbf", json!(second + 11))), TokenError::NotYetValid),
        ("id without role", sign(&with(user(), "user_role", Value::Null)), TokenError::MixedClaims),
        ("role without id", sign(&with(user(), "user_id", Value::Null)), TokenError::MixedClaims),
        ("a user without sub", sign(&with(user(), "sub", Value::Null)), TokenError::ClaimMissing("sub")),
        (
            "a user's sub for the system",
            sign(&with(system(), "sub", json!("account:0aF:user:9e"))),
            TokenError::Subject,
        ),
        ("a number as sub", sign(&with(user(), "sub", json!(1))), TokenError::Malformed("claims")),
    ];
    for name in ["iss", "aud", "exp", "account_id"] {
        table.push((name, sign(&with(user(), name, Value::Null)), TokenError::ClaimMissing(name)));
    }
    for sub in [
        "account:0aF",
        "account::user:9e",
        "account:0aF:user:",
        "account:xyz:user:9e",
        "account:0aF:user:9e:x",
        "user:9e",
        "",
    ] {
        table.push(("sub", sign(&with(user(), "sub", json!(sub))), TokenError::Subject));
    }
    for (what, token, reason) in &table {
        assert_eq!(verify(&verifier, token).await.as_ref(), Err(reason), "{what}");
    }
}

#[tokio::test]
async fn the_header_must_agree_with_the_claims() {
    let verifier = Issuer::new().verifier();
    let (user, system) = (sign(&user()), sign(&system()));
    for (token, auth, agrees) in [
        (&user, AuthHeader::User, true),
        (&user, AuthHeader::Missing, true),
        (&user, AuthHeader::System, false),
        (&system, AuthHeader::System, true),
        (&system, AuthHeader::Missing, true),
        (&system, AuthHeader::User, false),
    ] {
        let result = verifier.verify(token, auth, now(), now()).await;
        assert_eq!(result.err(), (!agrees).then_some(TokenError::AuthHeaderMismatch), "{auth:?}");
    }
    assert_eq!(AuthHeader::from_value(Some("User")), Ok(AuthHeader::User));
    assert_eq!(AuthHeader::from_value(None), Ok(AuthHeader::Missing));
    assert_eq!(AuthHeader::from_value(Some("etc")), Err(TokenError::UnknownAuthHeader));
    assert!(verifier.verify_sign_on(&user.as_str().into(), now(), now()).await.is_ok());
    let refused = verifier.verify_sign_on(&system.as_str().into(), now(), now()).await;
    assert_eq!(refused, Err(TokenError::AuthHeaderMismatch));
}

#[tokio::test]
async fn business_time_judges_tokens_and_lease_time_judges_fetching() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    assert!(verifier.verify(&token, AuthHeader::Missing, now(), later(0)).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    let expired = verifier.verify(&token, AuthHeader::Missing, later(610), later(0)).await;
    assert_eq!(expired, Err(TokenError::Expired));
    // A month of business time fetches nothing.
    let _ = verifier.verify(&token, AuthHeader::Missing, later(2_678_400), later(1)).await;
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    let results = join_all((0..50).map(|_| verify(&verifier, &token))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn unknown_keys_make_it_fetch_once_a_minute_and_a_new_key_is_found() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let of = |kid: &str| sign_with(key(1), &RSA_PKCS1_SHA256, &json!({"alg": "RS256", "kid": kid}), &user());
    let at = async |kid: &str, seconds| verifier.verify(&of(kid), AuthHeader::Missing, now(), later(seconds)).await;
    for n in 0..20 {
        assert_eq!(at(&format!("x{n}"), n).await, Err(TokenError::UnknownKey));
    }
    assert_eq!(issuer.asked(), 2);
    *issuer.keys.lock().unwrap() = json!({"keys": [jwk(0, "k0"), jwk(1, "k1")]});
    assert_eq!(at("k1", 59).await, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 0);
    assert!(at("k1", 60).await.is_ok());
    assert_eq!(issuer.asked(), 1, "the address of the keys is remembered");
    assert!(at("k1", 61).await.is_ok());
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn known_keys_serve_while_the_issuer_is_down_and_go_when_they_are_withdrawn() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    let at = async |seconds| verifier.verify(&token, AuthHeader::Missing, now(), later(seconds)).await;
    assert!(at(0).await.is_ok());
    issuer.break_down();
    issuer.asked();
    for seconds in [3_600, 3_601, 100_000] {
        assert!(at(seconds).await.is_ok());
    }
    assert_eq!(issuer.asked(), 4, "two rounds of two tries");
    let unknown = sign_with(key(1), &RSA_PKCS1_SHA256, &json!({"alg": "RS256", "kid": "k1"}), &user());
    let refused = verifier.verify(&unknown, AuthHeader::Missing, now(), later(100_001)).await;
    assert_eq!(refused, Err(TokenError::KeysUnavailable));
    assert!(TokenError::KeysUnavailable.is_unavailable());

    *issuer.fault.lock().unwrap() = None;
    *issuer.keys.lock().unwrap() = json!({"keys": [jwk(1, "k1")]});
    assert_eq!(at(100_060).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn an_issuer_that_was_down_at_the_start_is_asked_again_soon() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    let at = async |seconds| verifier.verify(&token, AuthHeader::Missing, now(), later(seconds)).await;
    issuer.break_down();
    assert_eq!(at(0).await, Err(TokenError::KeysUnavailable));
    assert_eq!(at(1).await, Err(TokenError::KeysUnavailable));
    assert_eq!(issuer.asked(), 2);
    *issuer.fault.lock().unwrap() = None;
    assert!(at(2).await.is_ok());
}

#[tokio::test]
async fn documents_that_lie_or_are_broken_give_no_key() {
    let elsewhere = |jwks_uri: &str| json!({"issuer": ISSUER, "jwks_uri": jwks_uri});
    for discovery in [
        json!({"issuer": "https://evil.test", "jwks_uri": format!("{ISSUER}/.well-known/jwks")}),
        elsewhere("http://marketplace.test/.well-known/jwks"),
        elsewhere("http://127.0.0.1/.well-known/jwks"),
        elsewhere("https://localhost/.well-known/jwks"),
        elsewhere("/.well-known/jwks"),
        json!({}),
        json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks"), "x": "x".repeat(64 * 1024)}),
    ] {
        let issuer = Issuer::new();
        *issuer.discovery.lock().unwrap() = discovery.clone();
        assert_eq!(
            verify(&issuer.verifier(), &sign(&user())).await,
            Err(TokenError::KeysUnavailable),
            "{discovery:.99}"
        );
    }
    let changed = |name: &str, value: Value| json!({"keys": [with(jwk(0, "k0"), name, value)]});
    for keys in [
        json!({"keys": []}),
        json!({}),
        changed("kty", json!("oct")),
        changed("use", json!("enc")),
        changed("alg", json!("RS512")),
        changed("kid", Value::Null),
        changed("n", json!("!")),
    ] {
        let issuer = Issuer::new();
        *issuer.keys.lock().unwrap() = keys.clone();
        assert_eq!(verify(&issuer.verifier(), &sign(&user())).await, Err(TokenError::KeysUnavailable), "{keys:.99}");
    }
    let issuer = Issuer::new();
    *issuer.fault.lock().unwrap() = Some(Ok(500));
    assert_eq!(verify(&issuer.verifier(), &sign(&user())).await, Err(TokenError::KeysUnavailable));
    // What is unreadable beside a good key does no harm; of two keys of one id the first counts.
    let issuer = Issuer::new();
    *issuer.keys.lock().unwrap() = json!({"keys": [1, {"kty": "EC", "kid": "e"}, jwk(0, "k0"), jwk(1, "k0")]});
    assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok());
}
