//! Which traces are kept: `OTEL_TRACES_SAMPLER` and its `_ARG`, as OpenTelemetry's specification names them.

use tradepost_marketplace::trace_context::TraceContext;

/// The digits of a ratio that count.
const DIGITS: usize = 9;
const WHOLE: u64 = 1_000_000_000;

/// A decision by the trace alone, so that all who see the trace decide alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sampler {
    /// How many of a thousand million traces.
    kept: u64,
    /// Whether the caller's decision counts where there is one.
    follows_caller: bool,
}

impl Sampler {
    /// By its name; `argument` is for the ratios. `None` where either cannot be used.
    pub(super) fn named(name: &str, argument: Option<&str>) -> Option<Self> {
        let (root, follows_caller) = match name.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (name, false),
        };
        let kept = match root {
            "always_on" => WHOLE,
            "always_off" => 0,
            "traceidratio" => argument.map_or(Some(WHOLE), ratio)?,
            _ => return None,
        };
        Some(Self { kept, follows_caller })
    }

    pub(super) fn keeps(self, context: &TraceContext) -> bool {
        if self.follows_caller && context.parent.is_some() {
            return context.sampled;
        }
        // The lower half of the id: the part that whoever draws fewer bits draws, too.
        let low = context.trace.0[8..].iter().fold(0_u64, |low, byte| (low << 8) | u64::from(*byte));
        ((u128::from(low) * u128::from(WHOLE)) >> 64) < u128::from(self.kept)
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self { kept: WHOLE, follows_caller: true }
    }
}

/// A decimal from 0 to 1 as thousand-millionths.
fn ratio(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > DIGITS || !is_number(whole) || !is_number(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole: u64 = format!("0{whole}").parse().ok()?;
    let fraction: u64 = format!("{fraction:0<DIGITS$}").parse().ok()?;
    whole.checked_mul(WHOLE)?.checked_add(fraction).filter(|parts| *parts <= WHOLE)
}

#[cfg(test)]
mod tests {
    use tradepost_marketplace::trace_context::{SpanId, TraceId};

    use super::*;

    fn context(low: u64, parent: Option<bool>) -> TraceContext {
        let mut id = [7; 16];
        id[8..].copy_from_slice(&low.to_be_bytes());
        let span = parent.map(|_| SpanId([1; 8]));
        TraceContext { trace: TraceId(id), parent: span, sampled: parent.unwrap_or(false) }
    }

    #[test]
    fn a_ratio_keeps_its_share_and_the_parent_counts_where_it_is_asked() {
        let named = |name, argument| Sampler::named(name, argument).unwrap();
        let quarter = named("traceidratio", Some("0.25"));
        let at = |share: u64| u64::MAX / 100 * share;
        assert!(quarter.keeps(&context(0, None)) && quarter.keeps(&context(at(24), None)));
        assert!(!quarter.keeps(&context(at(26), None)) && !quarter.keeps(&context(u64::MAX, Some(true))));
        let follows = named("parentbased_traceidratio", Some("0"));
        assert!(follows.keeps(&context(at(99), Some(true))) && !follows.keeps(&context(0, None)));
        assert!(
            !Sampler::default().keeps(&context(0, Some(false))) && Sampler::default().keeps(&context(u64::MAX, None))
        );
        assert!(!named("always_off", None).keeps(&context(0, Some(true))));
        assert!(named("always_on", None).keeps(&context(u64::MAX, Some(false))));
    }

    #[test]
    fn what_is_no_sampler_is_none() {
        for (name, argument) in [
            ("sometimes", None),
            ("traceidratio", Some("1.1")),
            ("traceidratio", Some("-1")),
            ("traceidratio", Some("")),
            ("traceidratio", Some(".")),
            ("parentbased_traceidratio", Some("a")),
            ("", None),
        ] {
            assert_eq!(Sampler::named(name, argument), None, "{name} {argument:?}");
        }
        assert_eq!(ratio("1"), Some(WHOLE));
        assert_eq!(ratio("1.0"), Some(WHOLE));
        assert_eq!(ratio(".5"), Some(WHOLE / 2));
    }
}
