//! Tokens that Vercel could have signed, and that are not for us, not now, or not what they claim.

use super::*;

fn user_with(name: &str, value: impl Into<Value>) -> String {
    sign(&with(user(), name, value))
}

fn system_with(name: &str, value: impl Into<Value>) -> String {
    sign(&with(system(), name, value))
}

/// Signs claims in which a number is written in a way that `Value` has not.
fn user_with_number(name: &str, number: &str) -> String {
    let claims = with(user(), name, "the number").to_string().replace("\"the number\"", number);
    sign_texts(key(0), &RSA_PKCS1_SHA256, &header().to_string(), &claims)
}

fn issuer_and_audience() -> Vec<Row> {
    let (iss, aud) = (TokenError::Issuer, TokenError::Audience);
    vec![
        ("another issuer", user_with("iss", "https://evil.test"), iss),
        ("the issuer and a slash", user_with("iss", format!("{ISSUER}/")), iss),
        ("the issuer without TLS", user_with("iss", "http://marketplace.test"), iss),
        ("the issuer's subdomain", user_with("iss", "https://a.marketplace.test"), iss),
        ("the issuer as a subdomain", user_with("iss", format!("{ISSUER}.evil.test")), iss),
        ("the issuer as a user", user_with("iss", format!("{ISSUER}@evil.test")), iss),
        ("the issuer in upper case", user_with("iss", ISSUER.to_uppercase()), iss),
        ("the issuer and a port", user_with("iss", format!("{ISSUER}:443")), iss),
        ("the issuer and a path", user_with("iss", format!("{ISSUER}/x")), iss),
        ("the issuer after a space", user_with("iss", format!(" {ISSUER}")), iss),
        ("the host alone", user_with("iss", "marketplace.test"), iss),
        ("an empty issuer", user_with("iss", ""), iss),
        ("no issuer", sign(&without(user(), "iss")), TokenError::ClaimMissing("iss")),
        ("a null issuer", user_with("iss", Value::Null), TokenError::ClaimMissing("iss")),
        ("a list of issuers", user_with("iss", json!([ISSUER])), TokenError::ClaimInvalid("iss")),
        ("another audience", user_with("aud", "oac_2"), aud),
        ("a longer audience", user_with("aud", "oac_11"), aud),
        ("a shorter audience", user_with("aud", "oac_"), aud),
        ("an audience in upper case", user_with("aud", "OAC_1"), aud),
        ("an empty audience", user_with("aud", ""), aud),
        ("other audiences", user_with("aud", json!(["oac_2", "oac_3"])), aud),
        ("ours after another audience", user_with("aud", json!(["oac_2", CLIENT])), aud),
        ("ours before another audience", user_with("aud", json!([CLIENT, "oac_2"])), aud),
        ("an empty list of audiences", user_with("aud", json!([])), aud),
        ("audiences in one text", user_with("aud", "oac_1 oac_2"), aud),
        ("no audience", sign(&without(user(), "aud")), TokenError::ClaimMissing("aud")),
        ("a null audience", user_with("aud", Value::Null), TokenError::ClaimMissing("aud")),
        ("an audience in a map", user_with("aud", json!({"oac_1": true})), TokenError::ClaimInvalid("aud")),
        ("a number as audience", user_with("aud", 1), TokenError::ClaimInvalid("aud")),
        ("null among audiences", user_with("aud", json!([CLIENT, null])), TokenError::ClaimInvalid("aud")),
    ]
}

fn times() -> Vec<Row> {
    let now = now().as_second();
    let invalid = TokenError::ClaimInvalid;
    vec![
        ("expired by the leeway", user_with("exp", now - LEEWAY_SECONDS), TokenError::Expired),
        ("expired by more", user_with("exp", now - LEEWAY_SECONDS - 1), TokenError::Expired),
        ("expired for an hour", user_with("exp", now - 3_600), TokenError::Expired),
        ("expired in 1970", user_with("exp", 0), TokenError::Expired),
        ("expired before 1970", user_with("exp", -1), TokenError::Expired),
        ("expires in the last century, with a fraction", user_with_number("exp", "900000000.999"), TokenError::Expired),
        ("no expiry", sign(&without(user(), "exp")), TokenError::ClaimMissing("exp")),
        ("a null expiry", user_with("exp", Value::Null), TokenError::ClaimMissing("exp")),
        ("expiry a text", user_with("exp", "soon"), invalid("exp")),
        ("expiry a number in a text", user_with("exp", (now + 600).to_string()), invalid("exp")),
        ("expiry true", user_with("exp", true), invalid("exp")),
        ("expiry a list", user_with("exp", json!([now + 600])), invalid("exp")),
        ("expiry beyond time", user_with("exp", i64::MAX), invalid("exp")),
        ("expiry before time", user_with("exp", i64::MIN), invalid("exp")),
        ("expiry in milliseconds of the year 5000", user_with("exp", 95_617_584_000_000_i64), invalid("exp")),
        ("expiry beyond i64", user_with_number("exp", "9223372036854775808"), invalid("exp")),
        ("expiry with an exponent", user_with_number("exp", "1e400"), invalid("exp")),
        ("not valid yet", user_with("nbf", now + LEEWAY_SECONDS + 1), TokenError::NotYetValid),
        ("not valid for a year", user_with("nbf", now + 31_536_000), TokenError::NotYetValid),
        ("not valid ever", user_with("nbf", i64::MAX), TokenError::NotYetValid),
        ("not-before a text", user_with("nbf", "now"), invalid("nbf")),
        ("not-before beyond i64", user_with_number("nbf", "-9223372036854775809"), invalid("nbf")),
        ("issued in the future", user_with("iat", now + LEEWAY_SECONDS + 1), TokenError::IssuedInFuture),
        ("issued next year", user_with("iat", now + 31_536_000), TokenError::IssuedInFuture),
        ("issued at a text", user_with("iat", "now"), invalid("iat")),
        ("the system's, expired", system_with("exp", now - LEEWAY_SECONDS), TokenError::Expired),
        ("the system's, without expiry", sign(&without(system(), "exp")), TokenError::ClaimMissing("exp")),
    ]
}

fn callers() -> Vec<Row> {
    let missing = TokenError::ClaimMissing;
    let invalid = TokenError::ClaimInvalid;
    let mut table = vec![
        ("id without role", sign(&without(user(), "user_role")), TokenError::MixedClaims),
        ("role without id", sign(&without(user(), "user_id")), TokenError::MixedClaims),
        ("a null role", user_with("user_role", Value::Null), TokenError::MixedClaims),
        ("the system's with a role", system_with("user_role", "ADMIN"), TokenError::MixedClaims),
        ("the system's with a person", system_with("user_id", "u1"), TokenError::MixedClaims),
        ("a person's without the person", sign(&without(without(user(), "user_id"), "user_role")), TokenError::Subject),
        ("a role that is a list", user_with("user_role", json!(["ADMIN"])), invalid("user_role")),
        ("a role that is a number", user_with("user_role", 1), invalid("user_role")),
        ("a person that is a number", user_with("user_id", 1), invalid("user_id")),
        ("a person that is a space", user_with("user_id", " "), invalid("user_id")),
        ("a person without a name", user_with("user_id", ""), invalid("user_id")),
        ("a person that is a path", user_with("user_id", "../u2"), invalid("user_id")),
        ("a person beyond the longest id", user_with("user_id", "u".repeat(257)), invalid("user_id")),
        ("an empty installation", user_with("installation_id", ""), invalid("installation_id")),
        (
            "an installation that is a path",
            user_with("installation_id", "icfg_1/../icfg_2"),
            invalid("installation_id"),
        ),
        ("an installation that is a query", user_with("installation_id", "icfg_1?x"), invalid("installation_id")),
        ("an installation that is a key", user_with("installation_id", "icfg_1#R"), invalid("installation_id")),
        ("an installation with a zero byte", user_with("installation_id", "icfg_1\0"), invalid("installation_id")),
        ("an installation beyond ASCII", user_with("installation_id", "icfg_\u{661}"), invalid("installation_id")),
        ("a list of installations", user_with("installation_id", json!(["icfg_1"])), invalid("installation_id")),
        ("the system's in an odd installation", system_with("installation_id", "icfg 1"), invalid("installation_id")),
        ("no account", sign(&without(user(), "account_id")), missing("account_id")),
        ("an empty account", user_with("account_id", ""), invalid("account_id")),
        ("an account that is a number", user_with("account_id", 7), invalid("account_id")),
        ("the system's of an odd account", system_with("account_id", "a b"), invalid("account_id")),
        ("an address that is a list", user_with("user_email", json!(["a@example.com"])), invalid("user_email")),
        ("a person without a subject", sign(&without(user(), "sub")), missing("sub")),
        ("a person with a null subject", user_with("sub", Value::Null), missing("sub")),
        ("a subject that is a number", user_with("sub", 1), invalid("sub")),
        ("the system's with a number as subject", system_with("sub", 1), invalid("sub")),
        ("a sign-on's token", user_with("type", "id_token"), TokenError::TokenUse),
        ("the system's sign-on's token", system_with("type", "id_token"), TokenError::TokenUse),
        ("a token of an unknown use", user_with("type", "refresh_token"), TokenError::TokenUse),
        ("a token of an empty use", user_with("type", ""), TokenError::TokenUse),
        ("a use that is a list", user_with("type", json!(["access_token"])), invalid("type")),
    ];
    for sub in [
        "",
        "account:0aF",
        "account::user:9e",
        "account:0aF:user:",
        "account:xyz:user:9e",
        "account:0aF:user:9g",
        "account:0aF:user:9e:x",
        "account:0aF:user:9e ",
        "Account:0aF:user:9e",
        "account:0aF:system:9e",
        "user:9e:account:0aF",
        "user:9e",
    ] {
        table.push((sub, user_with("sub", sub), TokenError::Subject));
    }
    for sub in ["account:", "account:0aF:", "account:0aF:user:1", "account:é", "0aF", " account:0aF"] {
        table.push((sub, system_with("sub", sub), TokenError::Subject));
    }
    table
}

#[tokio::test]
async fn each_bad_claim_is_refused_for_its_own_reason() {
    let verifier = Issuer::new().verifier();
    let table: Vec<Row> = [issuer_and_audience(), times(), callers()].into_iter().flatten().collect();
    assert!(table.len() >= 100, "{}", table.len());
    assert_refused(&verifier, &table).await;
    assert!(verify(&verifier, &sign(&user())).await.is_ok());
}

#[tokio::test]
async fn the_first_rule_that_is_broken_is_named() {
    let verifier = Issuer::new().verifier();
    let mut claims = with(user(), "exp", 0);
    assert_eq!(verify(&verifier, &sign(&claims)).await, Err(TokenError::Expired));
    claims = with(claims, "aud", "oac_2");
    assert_eq!(verify(&verifier, &sign(&claims)).await, Err(TokenError::Audience));
    claims = with(claims, "iss", "https://evil.test");
    assert_eq!(verify(&verifier, &sign(&claims)).await, Err(TokenError::Issuer));
    // Nothing of the claims is looked at, or told, before the signature is good.
    let forged = sign_with(key(1), &RSA_PKCS1_SHA256, &header(), &claims);
    assert_eq!(verify(&verifier, &forged).await, Err(TokenError::Signature));
}
