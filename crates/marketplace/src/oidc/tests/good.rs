//! Tokens that are good, what they say, and what they let their bearers do.

use super::*;
use crate::ids::AccountId;

#[tokio::test]
async fn good_tokens_say_who_is_calling() {
    let verifier = Issuer::new().verifier();
    let token = verify(&verifier, &sign(&user())).await.unwrap();
    assert_eq!(token.user().map(|claims| claims.user_id.as_str()), Some("u1"));
    assert_eq!(token.account_id().map(AccountId::as_str), Some("0aF"));
    let Claims::User(claims) = token else { panic!() };
    assert_eq!((claims.user_id.as_str(), &claims.role, claims.account_id.as_str()), ("u1", &Role::Admin, "0aF"));
    assert_eq!(claims.installation_id.as_ref().unwrap().as_str(), "icfg_1");
    assert_eq!((claims.user_email.as_deref(), claims.user_name.as_deref()), (Some("ann@example.com"), Some("Ann")));
    assert_eq!(claims.token_use, Some(TokenUse::Access));
    assert_eq!(claims.expires_at.as_second(), now().as_second() + 600);
    let shown = format!("{claims:?}");
    assert!(shown.contains("u1") && !shown.contains("ann") && !shown.contains("Ann"), "{shown}");

    let token = verify(&verifier, &sign(&system())).await.unwrap();
    assert_eq!((token.user(), token.account_id().map(AccountId::as_str)), (None, Some("0aF")));
    let Claims::System(claims) = token else { panic!() };
    assert_eq!((claims.installation_id, claims.account_id.unwrap().as_str()), (None, "0aF"));
}

#[tokio::test]
async fn the_longest_token_is_looked_at_and_keys_come_through_the_door_that_was_put_in() {
    let issuer = Issuer::new();
    let good = sign(&user());
    let longest = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX - good.len()));
    let refused = verify(&issuer.verifier(), &longest).await.unwrap_err();
    assert!(matches!(refused, TokenError::Signature | TokenError::Malformed("signature")), "{refused}");
    let broken = Issuer::new();
    broken.break_down();
    let through = issuer.verifier().through(|_| broken.clone());
    assert!(format!("{through:?}").contains("KeyStore"));
    assert_eq!(verify(&through, &good).await, Err(TokenError::KeysUnavailable(KeysError::NoAnswer)));
}

#[tokio::test]
async fn what_is_odd_and_harmless_is_tolerated() {
    let verifier = Issuer::new().verifier();
    let second = now().as_second();
    for claims in [
        with(system(), "sub", Value::Null),
        without(system(), "sub"),
        without(system(), "account_id"),
        without(system(), "installation_id"),
        with(system(), "installation_id", "icfg_1"),
        with(system(), "type", "access_token"),
        without(user(), "type"),
        with(user(), "type", Value::Null),
        with(user(), "aud", json!([CLIENT])),
        with(user(), "aud", json!([CLIENT, CLIENT])),
        with(user(), "user_role", "OWNER"),
        without(user(), "user_email"),
        with(user(), "user_name", Value::Null),
        with(user(), "user_avatar_url", ""),
        // The edges of the leeway, to the second.
        with(user(), "exp", second - LEEWAY_SECONDS + 1),
        with(user(), "nbf", second + LEEWAY_SECONDS),
        with(user(), "iat", second + LEEWAY_SECONDS),
        with(user(), "exp", 253_402_207_200_i64),
        without(without(user(), "nbf"), "iat"),
        with(user(), "jti", json!({"any": "thing"})),
    ] {
        assert!(verify(&verifier, &sign(&claims)).await.is_ok(), "{claims}");
    }
    let exp = format!("\"exp\":{}", second + 600);
    let fraction = user().to_string().replace(&exp, &format!("{exp}.75"));
    assert_ne!(fraction, user().to_string());
    let token = sign_texts(key(0), &RSA_PKCS1_SHA256, &header().to_string(), &fraction);
    assert!(verify(&verifier, &token).await.is_ok());
}

#[test]
fn the_clocks_may_differ_by_ten_seconds_at_most() {
    assert!((1..=10).contains(&LEEWAY_SECONDS));
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
        let result = verifier.verify(token, auth, now(), later(0)).await;
        assert_eq!(result.err(), (!agrees).then_some(TokenError::AuthHeaderMismatch), "{auth:?}");
    }
    for (value, read) in [
        (None, Ok(AuthHeader::Missing)),
        (Some("user"), Ok(AuthHeader::User)),
        (Some("User"), Ok(AuthHeader::User)),
        (Some("system"), Ok(AuthHeader::System)),
        (Some(""), Err(TokenError::UnknownAuthHeader)),
        (Some("etc"), Err(TokenError::UnknownAuthHeader)),
        (Some("user, system"), Err(TokenError::UnknownAuthHeader)),
        (Some(" user"), Err(TokenError::UnknownAuthHeader)),
    ] {
        assert_eq!(AuthHeader::from_value(value), read, "{value:?}");
    }
}

#[tokio::test]
async fn a_sign_on_is_somebody_s_and_by_its_own_token() {
    let verifier = Issuer::new().verifier();
    let sign_on = async |claims: Value| verifier.verify_sign_on(&sign(&claims).into(), now(), later(0)).await;
    assert_eq!(sign_on(with(user(), "type", "id_token")).await.unwrap().user_id.as_str(), "u1");
    assert!(sign_on(without(user(), "type")).await.is_ok());
    for (claims, why) in [
        (user(), TokenError::TokenUse),
        (with(user(), "type", "other"), TokenError::TokenUse),
        (system(), TokenError::NotAUser),
        (with(with(user(), "type", "id_token"), "aud", "oac_2"), TokenError::Audience),
        (with(with(user(), "type", "id_token"), "exp", 0), TokenError::Expired),
    ] {
        assert_eq!(sign_on(claims.clone()).await, Err(why), "{claims}");
    }
}

#[tokio::test]
async fn a_good_token_lets_in_by_role_kind_and_installation() {
    let verifier = Issuer::new().verifier();
    let claims = async |claims: Value| verify(&verifier, &sign(&claims)).await.unwrap();
    let admin = claims(user()).await;
    let viewer = claims(with(user(), "user_role", "USER")).await;
    let unknown = claims(with(user(), "user_role", "admin")).await;
    let system_there = claims(with(system(), "installation_id", "icfg_1")).await;
    let nowhere = claims(system()).await;

    assert_eq!(admin.require_admin().unwrap().user_id.as_str(), "u1");
    for person in [&viewer, &unknown] {
        assert_eq!(person.require_admin(), Err(Forbidden::NotAdmin));
        assert_eq!(person.require_admin_or_system(), Err(Forbidden::NotAdmin));
    }
    assert_eq!(system_there.require_admin(), Err(Forbidden::NotAUser));
    assert_eq!((admin.require_admin_or_system(), nowhere.require_admin_or_system()), (Ok(()), Ok(())));
    assert!(nowhere.require_system().is_ok());
    assert_eq!(admin.require_system(), Err(Forbidden::NotSystem));

    for token in [&admin, &viewer, &system_there] {
        assert_eq!(token.require_installation("icfg_1").unwrap().as_str(), "icfg_1");
        for foreign in ["icfg_2", "icfg_11", "icfg_", "", "ICFG_1", "icfg_1/"] {
            assert_eq!(token.require_installation(foreign), Err(Forbidden::OtherInstallation), "{foreign}");
        }
    }
    let person_nowhere = claims(without(user(), "installation_id")).await;
    let person_of_null = claims(with(user(), "installation_id", Value::Null)).await;
    for token in [&nowhere, &person_nowhere, &person_of_null] {
        for path in ["icfg_1", "", "null"] {
            assert_eq!(token.require_installation(path), Err(Forbidden::NoInstallation), "{path}");
        }
    }
}
