//! Documents of the issuer that lie, are broken, or hold keys that must not be used.

use super::*;

async fn refused(issuer: &Arc<Issuer>, why: KeysError, what: &str) {
    let result = verify(&issuer.verifier(), &sign(&user())).await;
    assert_eq!(result, Err(TokenError::KeysUnavailable(why)), "{what}");
}

#[tokio::test]
async fn a_discovery_document_that_leads_astray_is_refused_for_its_own_reason() {
    let keys = format!("{ISSUER}/.well-known/jwks");
    let of = |issuer: &str, address: &str| json!({"issuer": issuer, "jwks_uri": address}).to_string();
    let at = |address: &str| of(ISSUER, address);
    let long = json!({"issuer": ISSUER, "jwks_uri": keys, "x": "x".repeat(64 * 1024)}).to_string();
    for (what, discovery, why) in [
        ("another issuer", of("https://evil.test", &keys), KeysError::OtherIssuer),
        ("the issuer and a slash", of("https://marketplace.test/", &keys), KeysError::OtherIssuer),
        ("the issuer in upper case", of("https://MARKETPLACE.test", &keys), KeysError::OtherIssuer),
        ("keys on another host", at("https://evil.test/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys on a subdomain", at("https://a.marketplace.test/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys on a look-alike", at("https://marketplace.test.evil.test/jwks"), KeysError::KeysElsewhere),
        ("keys on another port", at("https://marketplace.test:8443/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys without TLS", at("http://marketplace.test/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys on this machine", at("http://127.0.0.1/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys on this machine by name", at("https://localhost/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys for a user", at("https://u:p@marketplace.test/.well-known/jwks"), KeysError::KeysElsewhere),
        ("keys for a user without a password", at("https://u@marketplace.test/jwks"), KeysError::KeysElsewhere),
        ("keys for a password without a user", at("https://:p@marketplace.test/jwks"), KeysError::KeysElsewhere),
        ("the issuer as a user", at("https://marketplace.test@evil.test/jwks"), KeysError::KeysElsewhere),
        ("keys in a file", at("file:///etc/keys"), KeysError::KeysElsewhere),
        ("keys in the address", at("data:application/json,{}"), KeysError::KeysElsewhere),
        ("keys at a path", at("/.well-known/jwks"), KeysError::KeysElsewhere),
        ("an empty address", at(""), KeysError::KeysElsewhere),
        ("no address", json!({"issuer": ISSUER}).to_string(), KeysError::Unreadable),
        ("no issuer", json!({"jwks_uri": keys}).to_string(), KeysError::Unreadable),
        (
            "two issuers",
            format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{keys}"}}"#),
            KeysError::Unreadable,
        ),
        ("a list", "[]".to_owned(), KeysError::Unreadable),
        ("a page", "<html>".to_owned(), KeysError::Unreadable),
        ("nothing", String::new(), KeysError::Unreadable),
        ("too long", long, KeysError::TooLong),
    ] {
        let issuer = Issuer::new();
        *issuer.discovery.lock().unwrap() = discovery;
        refused(&issuer, why, what).await;
    }
    let issuer = Issuer::new();
    *issuer.discovery.lock().unwrap() = at("https://MARKETPLACE.test:443/.well-known/jwks");
    assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok(), "the same origin, written otherwise");
}

#[tokio::test]
async fn a_key_that_must_not_be_used_is_left_out() {
    let changed = |name: &str, value: Value| vec![with(jwk(0, "k0"), name, value)];
    let long = [&[0x80][..], &[1; 1024]].concat();
    for (what, keys) in [
        ("no key", vec![]),
        ("a secret", changed("kty", json!("oct"))),
        ("an elliptic curve", vec![json!({"kty": "EC", "crv": "P-256", "kid": "k0", "x": "AA", "y": "AA"})]),
        ("to encrypt with", changed("use", json!("enc"))),
        ("of an empty use", changed("use", json!(""))),
        ("to sign with only", changed("key_ops", json!(["sign"]))),
        ("for nothing", changed("key_ops", json!([]))),
        ("for RS512", changed("alg", json!("RS512"))),
        ("for HS256", changed("alg", json!("HS256"))),
        ("without an id", vec![without(jwk(0, "k0"), "kid")]),
        ("with an empty id", changed("kid", json!(""))),
        ("with a number as id", changed("kid", json!(0))),
        ("without a modulus", vec![without(jwk(0, "k0"), "n")]),
        ("with an empty modulus", changed("n", json!(""))),
        ("with a modulus of zeros", changed("n", json!(part([0; 256])))),
        ("with an unreadable modulus", changed("n", json!("!"))),
        ("of 512 bits", changed("n", json!(part(&modulus(0)[..64])))),
        ("of 1,024 bits", changed("n", json!(part(&modulus(0)[..128])))),
        ("of 1,024 bits behind zeros", changed("n", json!(part([&[0; 128], &modulus(0)[..128]].concat())))),
        ("of 2,047 bits", changed("n", json!(part([&[0x7f], &modulus(0)[1..]].concat())))),
        ("of 8,200 bits", changed("n", json!(part(long)))),
        ("with the exponent 1", changed("e", json!("AQ"))),
        ("with the exponent 1 behind zeros", changed("e", json!("AAAB"))),
        ("with an even exponent", changed("e", json!("AQAA"))),
        ("with an empty exponent", changed("e", json!(""))),
        ("with a huge exponent", changed("e", json!(part([0xff; 256])))),
    ] {
        let issuer = Issuer::new();
        issuer.set_keys(&keys);
        refused(&issuer, KeysError::NoUsableKey, what).await;
        // Beside a good key it does no harm, and is not known.
        issuer.set_keys(&[keys, vec![jwk(1, "k1")]].concat());
        assert_eq!(verify(&issuer.verifier(), &sign(&user())).await, Err(TokenError::UnknownKey), "{what}");
    }
    for keys in [json!({}), json!([]), json!({"keys": {}}), json!({"keys": null}), json!("keys")] {
        let issuer = Issuer::new();
        *issuer.keys.lock().unwrap() = keys.to_string();
        refused(&issuer, KeysError::Unreadable, &keys.to_string()).await;
    }
    let issuer = Issuer::new();
    *issuer.keys.lock().unwrap() = json!({"keys": [jwk(0, "k0")], "x": "x".repeat(64 * 1024)}).to_string();
    refused(&issuer, KeysError::TooLong, "too long").await;
    // To the byte.
    let padded = |bytes: usize| {
        let short = json!({"keys": [jwk(0, "k0")], "x": ""}).to_string();
        json!({"keys": [jwk(0, "k0")], "x": "x".repeat(bytes - short.len())}).to_string()
    };
    let issuer = Issuer::new();
    *issuer.keys.lock().unwrap() = padded(64 * 1024);
    assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok());
    let issuer = Issuer::new();
    *issuer.keys.lock().unwrap() = padded(64 * 1024 + 1);
    refused(&issuer, KeysError::TooLong, "too long by one").await;
}

#[tokio::test]
async fn a_key_may_say_less_and_the_first_of_an_id_counts() {
    for least in ["use", "alg"] {
        let issuer = Issuer::new();
        issuer.set_keys(&[without(jwk(0, "k0"), least)]);
        assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok(), "{least}");
    }
    let issuer = Issuer::new();
    issuer.set_keys(&[with(jwk(0, "k0"), "key_ops", json!(["sign", "verify"]))]);
    assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok());
    let issuer = Issuer::new();
    issuer.set_keys(&[json!(1), jwk(0, "k0"), jwk(1, "k0")]);
    assert!(verify(&issuer.verifier(), &sign(&user())).await.is_ok());
    let issuer = Issuer::new();
    issuer.set_keys(&[jwk(1, "k0"), jwk(0, "k0")]);
    assert_eq!(verify(&issuer.verifier(), &sign(&user())).await, Err(TokenError::Signature));
    // Other exponents than the usual one are keys, too: another signature's.
    for exponent in [&[3][..], &[1, 0, 0, 1]] {
        let issuer = Issuer::new();
        issuer.set_keys(&[with(jwk(0, "k0"), "e", json!(part(exponent)))]);
        assert_eq!(verify(&issuer.verifier(), &sign(&user())).await, Err(TokenError::Signature), "{exponent:?}");
    }
    // Of very many keys, some are taken.
    let issuer = Issuer::new();
    let many: Vec<Value> = (0..100).map(|n| jwk(1, &format!("x{n}"))).chain([jwk(0, "k0")]).collect();
    issuer.set_keys(&many);
    let refused = verify(&issuer.verifier(), &sign(&user())).await;
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn an_answer_other_than_200_is_no_document() {
    for status in [201, 204, 301, 302, 307, 308, 401, 403, 404, 429, 500, 503] {
        let issuer = Issuer::new();
        *issuer.fault.lock().unwrap() = Some(Ok(status));
        refused(&issuer, KeysError::Status(status), "a status").await;
    }
    for error in [HttpError::NoAnswer("reset".to_owned()), HttpError::NotSent("down".to_owned()), HttpError::TooLarge] {
        let issuer = Issuer::new();
        *issuer.fault.lock().unwrap() = Some(Err(error));
        refused(&issuer, KeysError::NoAnswer, "no answer").await;
    }
}
