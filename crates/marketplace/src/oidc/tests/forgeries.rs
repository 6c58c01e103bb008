//! Tokens that nobody at Vercel made: wrong shape, wrong algorithm, wrong key, wrong signature.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
};

use super::*;

fn malformed() -> Vec<Row> {
    let good = sign(&user());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!() };
    let shape = TokenError::Malformed("shape");
    let header = TokenError::Malformed("header");
    let texts = |header: &str, claims: &str| sign_texts(key(0), &RSA_PKCS1_SHA256, header, claims);
    let plain = |header: &str| texts(header, &user().to_string());
    let claimed = |claims: &str| texts(r#"{"alg":"RS256","kid":"k0"}"#, claims);
    vec![
        ("nothing", String::new(), shape),
        ("one part", "abc".to_owned(), shape),
        ("two parts", format!("{head}.{claims}"), shape),
        ("four parts", format!("{good}.x"), shape),
        ("five parts, as encrypted", format!("{good}.x.y"), shape),
        ("dots only", "..".to_owned(), header),
        ("too long", format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)), TokenError::TooLong),
        ("too long by one", format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX + 1 - good.len())), TokenError::TooLong),
        ("the scheme inside", format!("Bearer {good}"), header),
        ("a line feed before", format!("\n{good}"), header),
        ("a line feed after", format!("{good}\n"), TokenError::Malformed("signature")),
        ("quoted", format!("\"{good}\""), header),
        ("header not base64", format!("!.{claims}.{signature}"), header),
        ("header padded", format!("{head}=.{claims}.{signature}"), header),
        ("header in the other alphabet", format!("{head}+/.{claims}.{signature}"), header),
        ("header not json", format!("AAAA.{claims}.{signature}"), header),
        ("header a list", plain("[]"), header),
        ("header null", plain("null"), header),
        ("header cut off", plain(r#"{"alg":"RS256","kid":"k0""#), header),
        ("header and more", plain(r#"{"alg":"RS256","kid":"k0"}{}"#), header),
        ("payload not base64", format!("{head}.+/=.{signature}"), TokenError::Malformed("payload")),
        ("signature not base64", format!("{head}.{claims}.+/="), TokenError::Malformed("signature")),
        ("signature padded", format!("{good}=="), TokenError::Malformed("signature")),
        ("key id a number", plain(r#"{"alg":"RS256","kid":0}"#), TokenError::Malformed("key id")),
        ("key id a list", plain(r#"{"alg":"RS256","kid":["k0"]}"#), TokenError::Malformed("key id")),
        ("algorithm twice", plain(r#"{"alg":"RS256","kid":"k0","alg":"none"}"#), TokenError::Repeated("header")),
        ("key id twice", plain(r#"{"alg":"RS256","kid":"k0","kid":"k0"}"#), TokenError::Repeated("header")),
        ("claims a list", claimed("[1]"), TokenError::Malformed("claims")),
        ("claims null", claimed("null"), TokenError::Malformed("claims")),
        ("claims empty", claimed(""), TokenError::Malformed("claims")),
        ("claims cut off", claimed(&user().to_string()[..99]), TokenError::Malformed("claims")),
        ("claims and more", claimed(&format!("{}x", user())), TokenError::Malformed("claims")),
        ("a bare token as claims", claimed(&good), TokenError::Malformed("claims")),
        (
            "installation twice",
            claimed(&user().to_string().replacen('{', r#"{"installation_id":"icfg_2","#, 1)),
            TokenError::Repeated("claims"),
        ),
        (
            "issuer twice, once escaped",
            claimed(&user().to_string().replacen('{', r#"{"\u0069ss":"https://marketplace.test","#, 1)),
            TokenError::Repeated("claims"),
        ),
        (
            "an unknown claim twice",
            claimed(&user().to_string().replacen('{', r#"{"unknown":1,"#, 1)),
            TokenError::Repeated("claims"),
        ),
    ]
}

/// A signature that is good by another algorithm than RS256, called what it is.
fn other_algorithms() -> Vec<Row> {
    let claims = user();
    let named = |alg: &str| json!({"alg": alg, "typ": "JWT", "kid": "k0"});
    let unsigned = |alg: &str| format!("{}.{}.", part(named(alg).to_string()), part(claims.to_string()));
    let rsa = |alg: &str, padding| sign_with(key(0), padding, &named(alg), &claims);
    let hmac = |alg: &str, secret: &[u8]| {
        let message = format!("{}.{}", part(named(alg).to_string()), part(claims.to_string()));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        format!("{message}.{}", part(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
    };
    let ecdsa = {
        let message = format!("{}.{}", part(named("ES256").to_string()), part(claims.to_string()));
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        format!("{message}.{}", part(key.sign(&SystemRandom::new(), message.as_bytes()).unwrap()))
    };
    let plain = |header: Value| sign_with(key(0), &RSA_PKCS1_SHA256, &header, &claims);
    let why = TokenError::Algorithm;
    vec![
        ("none", unsigned("none"), why),
        ("None", unsigned("None"), why),
        ("NONE", unsigned("NONE"), why),
        ("RS256 in lower case", unsigned("rs256"), why),
        ("an empty algorithm", unsigned(""), why),
        ("none over a good signature", plain(named("none")), why),
        ("HS256 by the public key", hmac("HS256", key(0).public_key().as_ref()), why),
        ("HS256 by the modulus", hmac("HS256", modulus(0)), why),
        ("HS256 by the text of the modulus", hmac("HS256", part(modulus(0)).as_bytes()), why),
        ("HS256 by nothing", hmac("HS256", b""), why),
        ("RS384", rsa("RS384", &RSA_PKCS1_SHA384), why),
        ("RS512", rsa("RS512", &RSA_PKCS1_SHA512), why),
        ("PS256", rsa("PS256", &RSA_PSS_SHA256), why),
        ("ES256", ecdsa, why),
        ("EdDSA", plain(named("EdDSA")), why),
        ("no algorithm", plain(json!({"kid": "k0"})), why),
        ("a null algorithm", plain(json!({"alg": null, "kid": "k0"})), why),
        ("a list of algorithms", plain(json!({"alg": ["RS256"], "kid": "k0"})), why),
        ("RS256 and a space", plain(named("RS256 ")), why),
        // Called RS256, and something else.
        ("HS256 called RS256", hmac("RS256", key(0).public_key().as_ref()), TokenError::Signature),
        ("RS384 called RS256", rsa("RS256", &RSA_PKCS1_SHA384), TokenError::Signature),
        ("RS512 called RS256", rsa("RS256", &RSA_PKCS1_SHA512), TokenError::Signature),
        ("PS256 called RS256", rsa("RS256", &RSA_PSS_SHA256), TokenError::Signature),
    ]
}

/// A token that would choose its own key, or asks for more than it may.
fn own_keys() -> Vec<Row> {
    let by = |index: usize, header: Value| sign_with(key(index), &RSA_PKCS1_SHA256, &header, &user());
    let also = |kid: &str, name: &str, value: Value| with(json!({"alg": "RS256", "kid": kid}), name, value);
    let address = json!("https://evil.test/jwks");
    vec![
        ("no key id", by(0, json!({"alg": "RS256"})), TokenError::NoKeyId),
        ("an empty key id", by(0, json!({"alg": "RS256", "kid": ""})), TokenError::NoKeyId),
        ("a null key id", by(0, json!({"alg": "RS256", "kid": null})), TokenError::NoKeyId),
        ("an unknown key id", by(0, json!({"alg": "RS256", "kid": "k9"})), TokenError::UnknownKey),
        ("a key id in upper case", by(0, json!({"alg": "RS256", "kid": "K0"})), TokenError::UnknownKey),
        ("a path as key id", by(0, json!({"alg": "RS256", "kid": "../k0"})), TokenError::UnknownKey),
        ("a very long key id", by(0, json!({"alg": "RS256", "kid": "k".repeat(4096)})), TokenError::UnknownKey),
        ("own key, unknown id", by(1, also("k9", "jwk", jwk(1, "k9"))), TokenError::UnknownKey),
        ("own key, known id", by(1, also("k0", "jwk", jwk(1, "k0"))), TokenError::Signature),
        ("own key set, known id", by(1, also("k0", "jku", address.clone())), TokenError::Signature),
        ("own key set, unknown id", by(1, also("k9", "jku", address.clone())), TokenError::UnknownKey),
        ("own certificate, known id", by(1, also("k0", "x5u", address)), TokenError::Signature),
        ("own chain, known id", by(1, also("k0", "x5c", json!([part(modulus(1))]))), TokenError::Signature),
        ("an extension", by(0, also("k0", "crit", json!(["exp"]))), TokenError::Critical),
        ("no extension", by(0, also("k0", "crit", json!([]))), TokenError::Critical),
        ("a null extension", by(0, also("k0", "crit", Value::Null)), TokenError::Critical),
        (
            "an unencoded payload",
            by(0, with(also("k0", "b64", json!(false)), "crit", json!(["b64"]))),
            TokenError::Critical,
        ),
    ]
}

fn broken_signatures() -> Vec<Row> {
    let good = sign(&user());
    let (signed, text) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(text).unwrap();
    let of = |bytes: &[u8]| format!("{signed}.{}", part(bytes));
    let flipped = |index: usize, bit: u8| {
        let mut bytes = signature.clone();
        bytes[index] ^= bit;
        of(&bytes)
    };
    let claims = |value: Value| format!("{head}.{}.{text}", part(value.to_string()));
    let other = sign_with(key(1), &RSA_PKCS1_SHA256, &header(), &user());
    let why = TokenError::Signature;
    let mut longer = signature.clone();
    longer.push(0);
    let mut shifted = vec![0];
    shifted.extend_from_slice(&signature);
    vec![
        ("another key", other, why),
        ("the signature of another token", format!("{signed}.{}", sign(&system()).rsplit_once('.').unwrap().1), why),
        ("no signature", format!("{signed}."), why),
        ("half a signature", of(&signature[..128]), why),
        ("a byte less", of(&signature[..255]), why),
        ("a byte more", of(&longer), why),
        ("a zero before", of(&shifted), why),
        ("zeros", of(&[0; 256]), why),
        ("ones", of(&[255; 256]), why),
        ("the modulus as signature", of(modulus(0)), why),
        ("the first bit flipped", flipped(0, 0x80), why),
        ("a bit in the middle flipped", flipped(128, 0x10), why),
        ("the last bit flipped", flipped(255, 1), why),
        ("another role", claims(with(user(), "user_role", "USER")), why),
        ("another installation", claims(with(user(), "installation_id", "icfg_2")), why),
        ("a space more", format!("{head}.{}.{text}", part(format!("{} ", user()))), why),
        (
            "another header",
            format!("{}.{}", part(json!({"kid": "k0", "alg": "RS256"}).to_string()), &good[head.len() + 1..]),
            why,
        ),
    ]
}

#[tokio::test]
async fn each_forged_token_is_refused_for_its_own_reason() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    assert!(verify(&verifier, &sign(&user())).await.is_ok());
    let table: Vec<Row> =
        [malformed(), other_algorithms(), own_keys(), broken_signatures()].into_iter().flatten().collect();
    assert!(table.len() >= 80, "{}", table.len());
    assert_refused(&verifier, &table).await;
    // A token that was refused leaves no trace, and none made us ask elsewhere or again (see `Issuer::send`).
    assert!(verify(&verifier, &sign(&user())).await.is_ok());
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn what_a_header_says_besides_is_ignored() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    for (name, value) in [
        ("typ", json!("at+jwt")),
        ("typ", json!(7)),
        ("cty", json!("JWT")),
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("https://evil.test/x5u")),
        ("jwk", jwk(1, "k0")),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        let token = sign_with(key(0), &RSA_PKCS1_SHA256, &with(header(), name, value.clone()), &user());
        assert!(verify(&verifier, &token).await.is_ok(), "{name}: {value}");
    }
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let claims = user().to_string().replacen('{', &format!(r#"{{"deep":{deep},"#), 1);
    let token = sign_texts(key(0), &RSA_PKCS1_SHA256, &header().to_string(), &claims);
    assert!(verify(&verifier, &token).await.is_ok());
    assert_eq!(issuer.asked(), 2);
}
