//! Faults on calls from the provider: armed by `/_sim/faults`, drawn by hash, so that a seed replays them.

use http::HeaderName;
use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::derive::Seed;
use crate::refusal::Refusal;
use crate::table::Row;
use crate::world::World;

/// The most faults armed at once.
pub(crate) const FAULTS_MAX: usize = 1_000;
/// The longest delay.
pub(crate) const DELAY_MS_MAX: u64 = 120_000;
const BILLION: u64 = 1_000_000_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// Another status instead of acting.
    Status,
    /// Acting, later.
    Delay,
    /// The connection is cut before anything happened.
    ResetBefore,
    /// It happened, then the connection is cut.
    ResetAfter,
    /// It happened, and the body of the answer is no JSON.
    Garbage,
    /// A gateway on the way answers, with a page and without Vercel's envelope; nothing happened.
    Foreign,
}

impl FaultKind {
    /// As it is called in `/_sim/faults` and `/_sim/requests`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Delay => "delay",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::Garbage => "garbage",
            Self::Foreign => "foreign",
        }
    }
}

/// What goes wrong, in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The status of `status`, 503 if it is not said, and of `foreign`, 404 if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The milliseconds of `delay`, of real time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ms: Option<u64>,
}

/// `"reset_after"` stands for `{"kind": "reset_after"}`.
fn fault<'de, D: Deserializer<'de>>(from: D) -> Result<Fault, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    if raw.get().starts_with('"') {
        let kind = serde_json::from_str(raw.get()).map_err(de::Error::custom)?;
        return Ok(Fault { kind, status: None, headers: BTreeMap::new(), ms: None });
    }
    serde_json::from_str(raw.get()).map_err(de::Error::custom)
}

/// Which calls a fault is for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// A prefix; with a `*` anywhere, a pattern for the whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
}

impl Match {
    fn covers(&self, method: &str, path: &str) -> bool {
        // The issuer's documents are not Vercel's API: a fault must mean them to hit them.
        let is_meant = !path.starts_with("/.well-known") || self.path.as_ref().is_some_and(|p| p.starts_with("/.well"));
        let method_fits = self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let path_fits = self.path.as_ref().is_none_or(|pattern| {
            if pattern.contains('*') { glob(pattern, path) } else { path.starts_with(pattern.as_str()) }
        });
        is_meant && method_fits && path_fits
    }
}

/// `*` stands for any run of characters, slashes included.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// One element of `PUT /_sim/faults`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultOrder {
    #[serde(default, rename = "match")]
    pub(crate) matches: Match,
    #[serde(deserialize_with = "fault")]
    pub(crate) fault: Fault,
    /// How often it fires at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    /// Fires on every n-th matching call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<u64>,
    /// A decimal from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<Box<RawValue>>,
}

impl FaultOrder {
    /// Checks what serde does not.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let wrong = |what: &str| Err(Refusal::bad_request(format!("faults: {what}")));
        if self.every == Some(0) || self.times == Some(0) {
            return wrong("`every` and `times` count from 1");
        }
        if self.probability.is_some() && self.billionths().is_none() {
            return wrong("`probability` is a number from 0 to 1, without an exponent");
        }
        if self.fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return wrong("`status` is from 200 to 599");
        }
        if self.fault.ms.is_some_and(|ms| ms > DELAY_MS_MAX) {
            return wrong("`ms` is at most 120000");
        }
        let is_header = |(name, value): (&String, &String)| {
            HeaderName::try_from(name.as_str()).is_ok() && HeaderValue::try_from(value.as_str()).is_ok()
        };
        if !self.fault.headers.iter().all(is_header) {
            return wrong("`headers` are not HTTP headers");
        }
        Ok(())
    }

    /// The probability, in billionths.
    fn billionths(&self) -> Option<u64> {
        let text = self.probability.as_ref()?.get().trim_matches('"');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let value: u64 = format!("{whole}{fraction:0<9}").parse().ok()?;
        (value <= BILLION).then_some(value)
    }
}

/// A fault, and how often it came up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ArmedFault {
    pub(crate) order: FaultOrder,
    /// Matching calls so far.
    pub(crate) seen: u64,
    /// How often it fired.
    pub(crate) fired: u64,
    /// Matching calls so far of each method and path: what a draw is named by.
    pub(crate) occurrences: BTreeMap<String, u64>,
}

impl Row for ArmedFault {}

impl ArmedFault {
    pub(crate) fn new(order: FaultOrder) -> Self {
        Self { order, seen: 0, fired: 0, occurrences: BTreeMap::new() }
    }

    /// Counts a matching call, and says whether the fault fires on it.
    fn comes_up(&mut self, seed: &Seed, method: &str, path: &str) -> bool {
        self.seen += 1;
        let is_spent = self.order.times.is_some_and(|times| self.fired >= times);
        let is_turn = self.order.every.is_none_or(|every| self.seen.is_multiple_of(every));
        let is_drawn = self.order.billionths().is_none_or(|billionths| {
            let call = format!("{method} {path}");
            let n = self.occurrences.entry(call.clone()).or_default();
            *n += 1;
            seed.draw(&format!("fault/{call}/{n}")) % BILLION < billionths
        });
        !is_spent && is_turn && is_drawn
    }
}

/// Counts a call with every fault that matches it; the first that comes up is the one that happens.
pub(crate) fn draw(world: &mut World, method: &str, path: &str) -> Option<Fault> {
    let covers = |fault: &ArmedFault| fault.order.matches.covers(method, path);
    let keys: Vec<String> = world.faults.iter().filter(|(_, row)| covers(row)).map(|(key, _)| key.clone()).collect();
    let seed = world.seed.clone();
    let mut happening = None;
    for key in keys {
        let fault = world.faults.update(&key, |row| {
            let fires = row.comes_up(&seed, method, path) && happening.is_none();
            row.fired += u64::from(fires);
            fires.then(|| row.order.fault.clone())
        });
        happening = happening.or(fault.flatten());
    }
    happening
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(text: &str) -> ArmedFault {
        let order: FaultOrder = serde_json::from_str(text).unwrap();
        order.check().unwrap();
        ArmedFault::new(order)
    }

    fn fires(fault: &mut ArmedFault, seed: u64, calls: u32) -> Vec<bool> {
        (0..calls)
            .map(|_| {
                let fires = fault.comes_up(&Seed::new(seed), "GET", "/v1/x");
                fault.fired += u64::from(fires);
                fires
            })
            .collect()
    }

    #[test]
    fn paths_match_by_prefix_or_pattern() {
        for (pattern, path, fits) in [
            ("/v1/installations", "/v1/installations/a/billing", true),
            ("/v1/*/billing", "/v1/installations/a/billing", true),
            ("/v1/*/billing", "/v1/installations/a/billing/invoices", false),
            ("*/billing*", "/v1/installations/a/billing/invoices", true),
            ("/v1/*/resources/*/secrets", "/v1/i/resources/r/secrets", true),
            ("*", "/.well-known/jwks", false),
            ("/.well-known", "/.well-known/jwks", true),
        ] {
            let matches = Match { method: Some("get".into()), path: Some(pattern.into()) };
            assert_eq!(matches.covers("GET", path), fits, "{pattern} {path}");
            assert!(!matches.covers("POST", path));
        }
    }

    #[test]
    fn a_fault_fires_on_its_turns_and_stops() {
        let mut third = armed(r#"{"fault":"reset_after","every":3,"times":2}"#);
        assert_eq!(third.order.fault.kind, FaultKind::ResetAfter);
        let turns = fires(&mut third, 1, 12);
        assert_eq!(
            turns.iter().enumerate().filter(|(_, fires)| **fires).map(|(n, _)| n + 1).collect::<Vec<_>>(),
            [3, 6]
        );
    }

    #[test]
    fn a_draw_replays_with_its_seed() {
        let fault = armed(r#"{"fault":{"kind":"status","status":429},"probability":0.25}"#);
        let first = fires(&mut fault.clone(), 7, 400);
        assert_eq!(first, fires(&mut fault.clone(), 7, 400));
        assert_ne!(first, fires(&mut fault.clone(), 8, 400));
        let count = first.iter().filter(|fires| **fires).count();
        assert!((60..140).contains(&count), "{count} of 400 at 0.25");
    }

    #[test]
    fn orders_that_make_no_sense_are_refused() {
        for bad in [
            r#"{"fault":"status","every":0}"#,
            r#"{"fault":"status","probability":1.5}"#,
            r#"{"fault":"status","probability":"1e-3"}"#,
            r#"{"fault":{"kind":"status","status":99}}"#,
            r#"{"fault":{"kind":"delay","ms":999999999}}"#,
        ] {
            let order: FaultOrder = serde_json::from_str(bad).unwrap();
            assert!(order.check().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<FaultOrder>(r#"{"fault":"explode"}"#).is_err());
    }
}
