//! The schedule and the decision, as tables.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::client::Refusal;

const LONG: Duration = Duration::from_secs(1_000);
const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn the_schedule_as_a_table() {
    let schedule = RetrySchedule { base: MS(200), cap: MS(1_000), tries: 5 };
    let half = 1_u64 << 63;
    for (made, asked, draw, left, delay) in [
        (1, None, half, LONG, Some(MS(100))),
        (2, None, half, LONG, Some(MS(200))),
        (3, None, half, LONG, Some(MS(400))),
        (4, None, half, LONG, Some(MS(500))), // capped
        (5, None, half, LONG, None),          // no tries left
        (6, None, half, LONG, None),
        (1, None, 0, LONG, Some(MS(0))),
        (1, Some(MS(3_000)), 0, LONG, Some(MS(3_000))),
        (1, Some(MS(3_000)), half, LONG, Some(MS(3_100))),
        (1, Some(MS(3_000)), half, MS(3_100), None), // would reach the deadline
        (1, Some(MS(3_000)), half, MS(3_101), Some(MS(3_100))),
        (1, None, 0, MS(0), None),
    ] {
        assert_eq!(schedule.delay(made, asked, draw, left), delay, "{made} {asked:?} {draw} {left:?}");
    }
    assert_eq!(RetrySchedule::ONCE.delay(1, None, 0, LONG), None);
}

proptest! {
    #[test]
    fn a_delay_stays_within_its_bounds(made in 0_u32..200, asked in 0_u64..100_000, draw: u64, left in 0_u64..200_000) {
        let schedule = RetrySchedule { tries: 150, ..RetrySchedule::default() };
        let delay = schedule.delay(made, Some(MS(asked)), draw, MS(left));
        prop_assert!(made < 150 || delay.is_none());
        if let Some(delay) = delay {
            prop_assert!(delay >= MS(asked) && delay < MS(left) && delay <= MS(asked) + schedule.cap);
        }
    }
}

#[test]
fn what_vercel_asks_for_is_understood_in_every_form() {
    let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let second = now.as_second();
    let date = "Fri, 01 Jan 2027 00:00:07 GMT";
    let reset = |at: i64| format!(r#"{{"error":{{"code":"rate_limited","limit":{{"total":1,"reset":{at}}}}}}}"#);
    let beside = format!(r#"{{"error":{{"code":"rate_limited"}},"limit":{{"reset":{}}}}}"#, second + 4);
    for (headers, body, asked) in [
        (vec![("retry-after-ms", "1500"), ("retry-after", "9")], "", Some(MS(1_500))),
        (vec![("retry-after", "9")], "", Some(MS(9_000))),
        (vec![("retry-after", "0")], "", Some(MS(0))),
        (vec![("retry-after", date)], "", Some(MS(7_000))),
        (vec![("retry-after", date), ("date", "Fri, 01 Jan 2027 00:00:05 GMT")], "", Some(MS(2_000))),
        (vec![("retry-after", date), ("date", "Fri, 01 Jan 2027 00:01:00 GMT")], "", Some(MS(0))),
        (vec![("retry-after", "soon")], "", None),
        (vec![("retry-after", "-1")], "", None),
        (vec![("retry-after", "99999999")], "", Some(ASKED_DELAY_MAX)),
        (vec![], &reset(second + 3), Some(MS(3_000))),
        (vec![], &beside, Some(MS(4_000))),
        (vec![("date", "Fri, 01 Jan 2027 00:00:02 GMT")], &reset(second + 3), Some(MS(1_000))),
        (vec![], &reset(i64::MAX), None),
        (vec![], "not json", None),
        (vec![("x-ratelimit-reset", "1798761605")], "", Some(MS(5_000))),
        (vec![("x-ratelimit-reset", "1798761605")], &reset(second + 3), Some(MS(3_000))),
        (vec![("x-ratelimit-reset", "1798761605"), ("retry-after", "9")], "", Some(MS(9_000))),
        (vec![("x-ratelimit-reset", "1798761605"), ("date", "Fri, 01 Jan 2027 00:00:04 GMT")], "", Some(MS(1_000))),
        (vec![("x-ratelimit-reset", "1798761599")], "", Some(MS(0))),
        (vec![("x-ratelimit-reset", "99999999999999999999")], "", None),
        (vec![("x-ratelimit-reset", "soon")], "", None),
        (vec![], "", None),
    ] {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(asked_delay(&map, body.as_bytes(), now), asked, "{headers:?} {body}");
        // Only a 429 speaks of a limit: a reset header on any other answer is no wish to wait.
        let other = headers.iter().any(|(name, _)| name.starts_with("retry-after")).then_some(asked).flatten();
        assert_eq!(retry_after(&map, now), other, "{headers:?}");
    }
}

#[allow(clippy::unnecessary_box_returns, reason = "as the errors hold it")]
fn refusal(status: u16, retry_after: Option<Duration>) -> Box<Refusal> {
    Box::new(Refusal { status, code: String::new(), message: String::new(), vercel_id: None, retry_after })
}

/// Every error that a try may end with, by name, with what Vercel asks for where it can.
fn failures(asked: Option<Duration>) -> Vec<(&'static str, ClientError)> {
    let mut failures = vec![
        ("not sent", ClientError::NotSent),
        ("no answer", ClientError::NoAnswer),
        ("gone", ClientError::Gone),
        ("limited", ClientError::RateLimited { retry_after: asked }),
        ("unreadable", ClientError::Unreadable),
        ("invalid", ClientError::InvalidInvoice(vec!["bad".to_owned()])),
        ("unwritable", ClientError::Unwritable("bad".to_owned())),
        ("server", ClientError::Server(refusal(408, asked))),
    ];
    failures.extend((500..600).map(|status| ("server", ClientError::Server(refusal(status, asked)))));
    let others = (300..500).filter(|status| !matches!(status, 408 | 410 | 429));
    failures.extend(others.map(|status| ("rejected", ClientError::Rejected(refusal(status, asked)))));
    failures
}

/// What follows, said a second time: by the name of the failure, not by the client's own predicates.
fn expected(class: RetryClass, failure: &str, status: Option<u16>, unsure: bool, in_time: bool) -> &'static str {
    let again = match failure {
        "not sent" | "limited" => true,
        "no answer" | "server" => class != RetryClass::Never,
        _ => false,
    };
    let duplicates: &[u16] = match class {
        RetryClass::ByExternalId => &[409],
        RetryClass::Conditional => &[409, 412],
        RetryClass::Removal => &[404],
        RetryClass::Last => &[401, 403, 404, 409],
        RetryClass::Repeatable | RetryClass::Never => &[],
    };
    match failure {
        _ if again && in_time => "again",
        "not sent" | "limited" if unsure => "no answer",
        "rejected" if unsure && duplicates.contains(&status.unwrap()) => "maybe duplicate",
        _ => "as it is",
    }
}

#[test]
fn what_follows_each_failure_as_a_table() {
    let schedule = RetrySchedule { base: MS(200), cap: MS(1_000), tries: 3 };
    let half = 1_u64 << 63;
    let nano = Duration::from_nanos(1);
    let mut rows = 0;
    for asked in [None, Some(MS(3_000))] {
        for (name, error) in failures(asked) {
            let hint = if matches!(name, "limited" | "server") { asked.unwrap_or_default() } else { MS(0) };
            for (made, jitter) in [(1, MS(100)), (2, MS(200)), (3, MS(0))] {
                let wait = hint + jitter;
                for (left, in_time) in
                    [(wait + nano, true), (wait, false), (wait.saturating_sub(nano), false), (MS(0), false)]
                {
                    for class in RetryClass::ALL {
                        for unsure in [false, true] {
                            let in_time = in_time && made < schedule.tries;
                            let got = next(&schedule, class, made, unsure, error.clone(), || half, left);
                            let row = format!("{class:?} {error:?} made {made} unsure {unsure} left {left:?}");
                            match expected(class, name, error.status(), unsure, in_time) {
                                "again" => assert_eq!(got, Next::Again(wait), "{row}"),
                                "no answer" => assert_eq!(got, Next::End(ClientError::NoAnswer), "{row}"),
                                "maybe duplicate" => {
                                    let status = error.status().unwrap();
                                    let duplicate = ClientError::MaybeDuplicate(refusal(status, asked));
                                    assert_eq!(got, Next::End(duplicate), "{row}");
                                }
                                _ => assert_eq!(got, Next::End(error.clone()), "{row}"),
                            }
                            rows += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(rows > 80_000, "{rows}");
}

#[test]
fn nothing_is_drawn_where_nothing_is_repeated() {
    let draw = || panic!("a draw");
    let schedule = RetrySchedule::default();
    for (class, error) in [(RetryClass::Never, ClientError::NoAnswer), (RetryClass::Repeatable, ClientError::Gone)] {
        assert_eq!(next(&schedule, class, 1, false, error.clone(), draw, LONG), Next::End(error));
    }
}
