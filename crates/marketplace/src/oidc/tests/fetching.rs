//! How often the issuer is asked, and what holds while it does not answer.

use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;

use super::*;

/// A token of the second key, under any id.
fn of(kid: &str) -> String {
    sign_with(key(1), &RSA_PKCS1_SHA256, &json!({"alg": "RS256", "kid": kid}), &user())
}

#[tokio::test]
async fn business_time_judges_tokens_and_lease_time_judges_fetching() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    assert!(verifier.verify(&token, AuthHeader::Missing, now(), later(0)).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    let expired = verifier.verify(&token, AuthHeader::Missing, now() + SignedDuration::from_secs(610), later(0)).await;
    assert_eq!(expired, Err(TokenError::Expired));
    // A month of business time fetches nothing.
    let _ = verifier.verify(&token, AuthHeader::Missing, now() + SignedDuration::from_secs(2_678_400), later(1)).await;
    assert_eq!(issuer.asked(), 0);
    // A month of lease time expires nothing.
    assert!(verifier.verify(&token, AuthHeader::Missing, now(), later(2_678_400)).await.is_ok());
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
async fn a_thousand_forged_key_ids_cause_one_fetch_a_minute() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    assert!(verify(&verifier, &sign(&user())).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    // One signature for all: only the id counts, and it is looked up before.
    let good = sign(&user());
    let (_, rest) = good.split_once('.').unwrap();
    let forged = |n: usize| format!("{}.{rest}", part(json!({"alg": "RS256", "kid": format!("x{n}")}).to_string()));
    let tokens: Vec<String> = (0..1_000).map(forged).collect();
    for minute in 0..5 {
        // All at once, then one after the other over the whole minute.
        let at = later(60 * minute);
        let at_once = join_all(tokens.iter().map(|token| verifier.verify(token, AuthHeader::Missing, now(), at))).await;
        assert!(at_once.iter().all(|refused| *refused == Err(TokenError::UnknownKey)));
        for (n, token) in (0_i64..).zip(&tokens) {
            let at = at.after(SignedDuration::from_millis(n * 59_999 / 999));
            assert_eq!(verifier.verify(token, AuthHeader::Missing, now(), at).await, Err(TokenError::UnknownKey));
        }
        // The first minute is that of the first fetch.
        assert_eq!(issuer.asked(), usize::from(minute > 0), "minute {minute}");
        assert!(verifier.verify(&good, AuthHeader::Missing, now(), at).await.is_ok());
    }
}

#[tokio::test]
async fn a_new_key_is_found_by_the_next_minute() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let at = async |kid: &str, seconds| verifier.verify(&of(kid), AuthHeader::Missing, now(), later(seconds)).await;
    assert_eq!(at("k1", 0).await, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 2);
    issuer.set_keys(&[jwk(0, "k0"), jwk(1, "k1")]);
    assert_eq!(at("k1", 59).await, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 0);
    assert!(at("k1", 60).await.is_ok());
    assert_eq!(issuer.asked(), 1, "the address of the keys is remembered");
    assert!(at("k1", 61).await.is_ok());
    assert_eq!(issuer.asked(), 0);
    // A clock set back by more than a minute does not silence the fetching.
    assert_eq!(at("k2", -1_000).await, Err(TokenError::UnknownKey));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_key_changed_under_its_id_counts_from_the_next_fetch() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let at = async |token: &str, seconds| verifier.verify(token, AuthHeader::Missing, now(), later(seconds)).await;
    assert!(at(&sign(&user()), 0).await.is_ok());
    issuer.set_keys(&[jwk(1, "k0")]);
    assert!(at(&sign(&user()), 3_599).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    assert_eq!(at(&sign(&user()), 3_600).await, Err(TokenError::Signature));
    assert!(at(&of("k0"), 3_601).await.is_ok());
    assert_eq!(issuer.asked(), 1);
}

/// An hour without the issuer, a call every ten seconds, in each way of being down.
#[tokio::test]
async fn an_issuer_that_is_down_for_an_hour_locks_nobody_out() {
    let downs: [&dyn Fn(&Issuer); 6] = [
        &|issuer| issuer.break_down(),
        &|issuer| *issuer.fault.lock().unwrap() = Some(Err(HttpError::NoAnswer("reset".to_owned()))),
        &|issuer| *issuer.fault.lock().unwrap() = Some(Ok(503)),
        &|issuer| *issuer.fault.lock().unwrap() = Some(Ok(302)),
        &|issuer| *issuer.keys.lock().unwrap() = "<html>".to_owned(),
        &|issuer| issuer.set_keys(&[]),
    ];
    for (way, down) in downs.iter().enumerate() {
        let issuer = Issuer::new();
        let verifier = issuer.verifier();
        let token = sign(&user());
        let at = async |seconds| verifier.verify(&token, AuthHeader::Missing, now(), later(seconds)).await;
        assert!(at(0).await.is_ok());
        down(&issuer);
        issuer.asked();
        // The hour begins when the keys are due to be fetched again.
        for seconds in (3_600..7_200).step_by(10) {
            assert!(at(seconds).await.is_ok(), "way {way}, second {seconds}");
        }
        // One round a minute: at most two documents, each tried twice.
        let asked = issuer.asked();
        assert!((60..=60 * 4).contains(&asked), "way {way}: {asked}");

        let unknown = verifier.verify(&of("k1"), AuthHeader::Missing, now(), later(7_200)).await;
        assert!(matches!(unknown, Err(TokenError::KeysUnavailable(_))), "way {way}: {unknown:?}");
        assert!(unknown.unwrap_err().is_unavailable() && !TokenError::UnknownKey.is_unavailable());

        issuer.repair();
        issuer.set_keys(&[jwk(1, "k1")]);
        assert_eq!(at(7_260).await, Err(TokenError::UnknownKey), "a withdrawn key goes");
        assert!(verifier.verify(&of("k1"), AuthHeader::Missing, now(), later(7_261)).await.is_ok());
    }
}

#[tokio::test]
async fn known_keys_do_not_wait_for_a_fetch() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    assert!(verify(&verifier, &token).await.is_ok());
    let mut context = Context::from_waker(Waker::noop());
    // Somebody asks for an unknown key and hangs in the fetch.
    let unknown = of("k1");
    let mut hanging = Box::pin(verifier.verify(&unknown, AuthHeader::Missing, now(), later(60)));
    assert!(hanging.as_mut().poll(&mut context).is_pending());
    let mut known = Box::pin(verifier.verify(&token, AuthHeader::Missing, now(), later(3_600)));
    assert!(matches!(known.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    // Whoever goes away in the middle of a fetch has used up the minute, and breaks nothing.
    drop(hanging);
    issuer.asked();
    let refused = verifier.verify(&unknown, AuthHeader::Missing, now(), later(61)).await;
    assert_eq!((refused, issuer.asked()), (Err(TokenError::KeysUnavailable(KeysError::NoAnswer)), 0));
    let refused = verifier.verify(&unknown, AuthHeader::Missing, now(), later(120)).await;
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn an_issuer_that_was_down_at_the_start_is_asked_again_soon() {
    let issuer = Issuer::new();
    let verifier = issuer.verifier();
    let token = sign(&user());
    let at = async |seconds| verifier.verify(&token, AuthHeader::Missing, now(), later(seconds)).await;
    issuer.break_down();
    let down = Err(TokenError::KeysUnavailable(KeysError::NoAnswer));
    assert_eq!((at(0).await, at(1).await), (down.clone(), down));
    assert_eq!(issuer.asked(), 2);
    issuer.repair();
    assert!(at(2).await.is_ok());
}
