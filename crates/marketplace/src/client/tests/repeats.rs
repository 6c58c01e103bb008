//! What is repeated, how long apart, and what a failure claims.

use std::time::Duration;

use super::*;
use crate::http_door::HttpError;

type Script = fn() -> Vec<Step>;

/// An outcome in words: the error's name, and what it says of a repeat.
fn kind(result: Result<(), ClientError>) -> String {
    let Err(error) = result else { return "done".to_owned() };
    let name = name_of(&error);
    let retry = if error.is_retryable() { " retry" } else { "" };
    let maybe = if error.maybe_done() { " maybe" } else { "" };
    format!("{name}{retry}{maybe}")
}

/// One row: the script, how often it is tried, and what comes out, for an operation of each class.
#[tokio::test]
async fn repeats_and_conclusions_as_a_table() {
    let rows: [(&str, Script, usize, &str); 37] = [
        // Repeatable
        ("event", || vec![no_answer(), refused(500), not_sent(), refused(429), answer(201, "")], 5, "done"),
        ("event", || (0..5).map(|_| not_sent()).collect(), 5, "NotSent retry"),
        ("event", || (0..5).map(|_| no_answer()).collect(), 5, "NoAnswer retry maybe"),
        ("event", || (0..5).map(|_| refused(503)).collect(), 5, "Server retry maybe"),
        ("event", || (0..5).map(|_| refused(429)).collect(), 5, "RateLimited retry"),
        ("event", || vec![no_answer(), not_sent(), not_sent(), not_sent(), not_sent()], 5, "NoAnswer retry maybe"),
        (
            "event",
            || vec![refused(502), refused(429), refused(429), refused(429), refused(429)],
            5,
            "NoAnswer retry maybe",
        ),
        ("event", || vec![refused(400)], 1, "Rejected"),
        ("event", || vec![refused(401)], 1, "Rejected"),
        ("event", || vec![refused(302)], 1, "Rejected"),
        ("event", || vec![refused(408), answer(201, "")], 2, "done"),
        ("event", || vec![answer(404, "<html>"), answer(308, ""), answer(403, ""), answer(201, "")], 4, "done"),
        ("event", || vec![refused(410)], 1, "Gone"),
        ("event", || vec![no_answer(), refused(409)], 2, "Rejected"),
        ("event", || vec![Step::Fail(HttpError::TooLarge)], 1, "Unreadable maybe"),
        // ByExternalId
        ("submit", || vec![no_answer(), answer(200, SUBMITTED)], 2, "done"),
        ("submit", || vec![refused(409)], 1, "Rejected"),
        ("submit", || vec![answer(404, "<html>"), refused(409)], 2, "MaybeDuplicate maybe"),
        ("submit", || (0..5).map(|_| answer(404, "<html>")).collect(), 5, "Foreign retry maybe"),
        ("submit", || vec![not_sent(), refused(409)], 2, "Rejected"),
        ("submit", || vec![refused(429), refused(409)], 2, "Rejected"),
        ("submit", || vec![no_answer(), refused(409)], 2, "MaybeDuplicate maybe"),
        ("submit", || vec![refused(500), refused(409)], 2, "MaybeDuplicate maybe"),
        ("submit", || vec![no_answer(), refused(400)], 2, "Rejected"),
        ("submit", || vec![answer(200, r#"{"validationErrors":["bad"],"test":true}"#)], 1, "InvalidInvoice"),
        ("submit", || vec![answer(200, "{}")], 1, "Unreadable maybe"),
        ("submit", || vec![answer(200, "not json")], 1, "Unreadable maybe"),
        // Last
        ("finalize", || vec![no_answer(), refused(403)], 2, "MaybeDuplicate maybe"),
        ("finalize", || vec![no_answer(), refused(410)], 2, "Gone"),
        ("finalize", || vec![refused(403)], 1, "Rejected"),
        // Never
        ("refund", || vec![not_sent(), refused(429), answer(204, "")], 3, "done"),
        ("refund", || vec![no_answer()], 1, "NoAnswer retry maybe"),
        ("refund", || vec![answer(404, "<html>")], 1, "Foreign retry maybe"),
        ("refund", || vec![refused(500)], 1, "Server retry maybe"),
        ("refund", || vec![not_sent(), no_answer()], 2, "NoAnswer retry maybe"),
        ("exchange", || vec![no_answer()], 1, "NoAnswer retry maybe"),
        ("exchange", || vec![not_sent(), answer(200, r#"{"id_token":"a"}"#)], 2, "done"),
    ];
    for (operation, script, tries, outcome) in rows {
        let bench = Bench::new(script());
        let result = match operation {
            "event" => bench.event().await,
            "submit" => bench.submit().await.map(drop),
            "finalize" => bench.client.finalize_installation(&bench.call()).await,
            "refund" => bench.refund().await,
            _ => bench.exchange().await.map(drop),
        };
        let row = format!("{operation} {:?}", result.as_ref().err());
        assert_eq!((bench.tries(), bench.world.unspent(), kind(result).as_str()), (tries, 0, outcome), "{row}");
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_request_to_the_byte() {
    let bench = Bench::new(vec![no_answer(), answer(200, SUBMITTED)]);
    bench.submit().await.unwrap();
    let requests = bench.world.requests.lock().unwrap();
    let [(first, _), (second, _)] = requests.as_slice() else { panic!() };
    assert_eq!((first.uri(), first.headers(), first.body()), (second.uri(), second.headers(), second.body()));
}

#[tokio::test]
async fn delays_follow_the_schedule_and_what_vercel_asks() {
    let asks = Step::Answer(429, &[("retry-after", "3")], String::new());
    let bench = Bench::new(vec![no_answer(), no_answer(), asks, answer(201, "")]);
    bench.event().await.unwrap();
    let ms = |list: &[u64]| list.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
    assert_eq!(*bench.world.slept.lock().unwrap(), ms(&[100, 200, 3_400]));
}

#[tokio::test]
async fn the_deadline_bounds_tries_and_waits() {
    // A wait that would reach the deadline is not begun, and the caller hears how long it would be.
    let asks = Step::Answer(429, &[("retry-after", "90")], String::new());
    let bench = Bench::new(vec![asks]);
    let error = bench.event().await.unwrap_err();
    assert_eq!(error, ClientError::RateLimited { retry_after: Some(Duration::from_secs(90)) });
    assert!(bench.world.slept.lock().unwrap().is_empty());

    // A try gets what is left of the deadline, at most its own timeout.
    let slow = |seconds| Step::After(Duration::from_secs(seconds), Box::new(no_answer()));
    let bench = Bench::new(vec![slow(10), slow(45), slow(5)]);
    assert_eq!(bench.event().await, Err(ClientError::NoAnswer));
    let timeouts: Vec<_> = bench.world.requests.lock().unwrap().iter().map(|(_, timeout)| *timeout).collect();
    assert_eq!(timeouts[..2], [TRY_TIMEOUT, TRY_TIMEOUT]);
    assert_eq!(timeouts[2], Duration::from_millis(4_700));

    // Past the deadline nothing is sent.
    let bench = Bench::new(vec![]);
    bench.world.advance(DEADLINE);
    assert_eq!(bench.event().await, Err(ClientError::Deadline));
    assert_eq!(bench.tries(), 0);
}
