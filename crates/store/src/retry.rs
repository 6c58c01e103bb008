//! The one bounded retry for each way in which a call fails for a moment. Pure values, tested alone.

use std::time::Duration;

use crate::backend::BackendError;

/// How often and how patiently one kind of failure is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How it is called in the log.
    pub name: &'static str,
    /// The most retries after the first try.
    pub retries_max: u32,
    /// The delay before the first retry; it doubles with each.
    pub base: Duration,
    /// The longest delay.
    pub longest: Duration,
}

/// Another transaction holds an item: it is gone within milliseconds.
pub const CONFLICT: Policy = Policy {
    name: "transaction_conflict",
    retries_max: 8,
    base: Duration::from_millis(10),
    longest: Duration::from_millis(400),
};

/// The table or a partition is over its throughput: it needs up to seconds.
pub const THROTTLED: Policy =
    Policy { name: "throttled", retries_max: 6, base: Duration::from_millis(50), longest: Duration::from_secs(2) };

/// No answer: each try has cost a timeout already.
pub const TIMEOUT: Policy =
    Policy { name: "timeout", retries_max: 3, base: Duration::from_millis(20), longest: Duration::from_millis(200) };

impl Policy {
    /// The delay before retry `n` (from 0): between half and all of `base × 2ⁿ`, at most `longest`.
    pub fn delay(&self, n: u32, draw: u64) -> Duration {
        let full = self.base.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(self.longest);
        let half = full / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        half + Duration::from_micros(draw % spread.saturating_add(1))
    }
}

/// The retries one call of the store has used so far, each kind counted alone.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    conflict: u32,
    throttled: u32,
    timeout: u32,
}

impl Retries {
    /// The policy and the number of the retry that is due now; `None` when the error is final.
    pub(crate) fn next(&mut self, error: &BackendError) -> Option<(Policy, u32)> {
        let (policy, used) = match error {
            BackendError::Conflict => (CONFLICT, &mut self.conflict),
            BackendError::Throttled => (THROTTLED, &mut self.throttled),
            BackendError::Timeout { .. } => (TIMEOUT, &mut self.timeout),
            // The identity has a pause of its own between two tries.
            BackendError::Condition { .. }
            | BackendError::Format(_)
            | BackendError::TokenMismatch
            | BackendError::Identity(_)
            | BackendError::Other(_) => return None,
        };
        let n = *used;
        *used += 1;
        (n < policy.retries_max).then_some((policy, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_stay_between_half_and_the_longest() {
        for policy in [CONFLICT, THROTTLED, TIMEOUT] {
            assert_eq!(policy.delay(0, 0), policy.base / 2);
            for n in 0..80 {
                for draw in [0, 1, 7_777, u64::MAX] {
                    let delay = policy.delay(n, draw);
                    assert!(delay >= policy.base / 2 && delay <= policy.longest, "{policy:?} {n} {delay:?}");
                }
            }
            assert!(policy.delay(79, 0) == policy.longest / 2);
        }
        assert_eq!(THROTTLED.delay(2, 0), Duration::from_millis(100));
    }

    #[test]
    fn each_kind_has_its_own_bound_and_the_rest_is_final() {
        let mut retries = Retries::default();
        let mut granted = |error: &BackendError| (0..100).filter(|_| retries.next(error).is_some()).count();
        assert_eq!(granted(&BackendError::Conflict), 8);
        assert_eq!(granted(&BackendError::Timeout { maybe_done: true }), 3);
        assert_eq!(granted(&BackendError::Throttled), 6);
        assert_eq!(granted(&BackendError::Condition { failed: vec![0] }), 0);
        assert_eq!(granted(&BackendError::TokenMismatch), 0);
    }
}
