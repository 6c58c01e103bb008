//! `POST /_sim/clock`: moves time, from one due instant to the next.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::clock::later;
use crate::control::{Act, Answer};
use crate::refusal::{Refusal, json_response};
use crate::wire::Datetime;

/// The farthest one call moves.
const ADVANCE_MAX: SignedDuration = SignedDuration::from_hours(24 * 400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockBody {
    /// Such as `90s`, `1h`, `31d` or `1d12h`.
    advance: Option<String>,
    to: Option<Datetime>,
}

impl ClockBody {
    fn target(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let target = match (&self.advance, self.to) {
            (Some(text), None) => later(now, duration(text)?),
            (None, Some(to)) => to.0,
            _ => return Err(Refusal::bad_request("say either advance or to")),
        };
        if target < now {
            return Err(Refusal::bad_request(format!("it is {now} already; only a reset turns the clock back")));
        }
        if target > later(now, ADVANCE_MAX) {
            return Err(Refusal::bad_request("one call moves at most 400 days"));
        }
        Ok(target)
    }
}

/// `1d12h`: whole numbers of days, hours, minutes and seconds.
fn duration(text: &str) -> Result<SignedDuration, Refusal> {
    let wrong = || Refusal::bad_request(format!("advance: {text:?} is no duration such as 90s, 1h, 31d or 1d12h"));
    let (mut seconds, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let scale = match unit.chars().next() {
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(scale).and_then(|part| part.checked_add(seconds)).ok_or_else(wrong)?;
        rest = &unit[1..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(SignedDuration::from_secs(seconds)) }
}

/// Moves the clock. Under an idempotency key the target is decided once, so a repeat does not move twice.
pub(crate) async fn advance(act: &Act<'_>, body: ClockBody) -> Answer {
    let simulator = act.simulator;
    let target = act.decide(|| body.target(simulator.now()).map(|target| target.to_string()))?;
    let target = target.parse().map_err(|_| Refusal::internal("the decided instant is damaged"))?;
    simulator.advance(target).await?;
    Ok(json_response(StatusCode::OK, &json!({ "now": simulator.now() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90s", 90), ("1h", 3_600), ("31d", 2_678_400), ("1d12h", 129_600), ("0s", 0)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for bad in ["", "h", "1", "1w", "-1h", "1.5h", "99999999999999999999s", "9223372036854775807d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
