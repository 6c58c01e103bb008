//! The trace that a request belongs to: W3C Trace Context, level 1, as the header `traceparent` carries it.
//!
//! A trace context is only a pair of numbers that ties lines and spans of several systems together; it lets nobody
//! in. So it is taken from any caller, and a malformed one counts as none. `tracestate` is not passed on.

use std::fmt;

/// The header.
pub const TRACEPARENT: &str = "traceparent";

/// The target of spans that are for traces only: whoever keeps traces asks for it, logs leave it out.
pub const TARGET: &str = "tradepost::trace";

/// The bytes of a header of version 00: `00-{32 hex}-{16 hex}-{2 hex}`.
const BYTES: usize = 55;
/// The flag that says that the caller may have recorded the trace.
const SAMPLED: u8 = 1;

/// The 16 bytes of a trace's id, never all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The 8 bytes of a span's id, never all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

/// Which trace, and what in it caused the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span; none where the trace begins.
    pub parent: Option<SpanId>,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a header. A version that we do not know is read as far as version 00 goes, as the standard asks.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (known, rest) = header.split_at_checked(BYTES)?;
        let version = byte(&known[..2])?;
        let ends = if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|next| *next == b'-') };
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        if version == 0xff || !ends || !dashes {
            return None;
        }
        let trace = TraceId(bytes(&known[3..35])?);
        let parent = SpanId(bytes(&known[36..52])?);
        let sampled = byte(&known[53..])? & SAMPLED != 0;
        Some(Self { trace, parent: Some(parent), sampled })
    }

    /// The header for a call that `span` makes.
    pub fn header(&self, span: SpanId) -> String {
        format!("00-{}-{span}-{:02x}", self.trace, u8::from(self.sampled))
    }
}

impl SpanId {
    /// Reads 16 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        bytes(text.as_bytes()).map(Self)
    }
}

impl TraceId {
    /// Reads 32 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        bytes(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As many bytes as the digits say; not all zero.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (index, pair) in digits.chunks_exact(2).enumerate() {
        bytes[index] = byte(pair)?;
    }
    bytes.iter().any(|byte| *byte != 0).then_some(bytes)
}

/// Two digits. Capital letters are no digits here.
fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |at: u8| match at {
        b'0'..=b'9' => Some(at - b'0'),
        b'a'..=b'f' => Some(at - b'a' + 10),
        _ => None,
    };
    match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_passed_on_with_the_span_that_calls() {
        let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((context.parent, context.sampled), (SpanId::parse("00f067aa0ba902b7"), true));
        let span = SpanId::parse("00000000000000ff").unwrap();
        assert_eq!(context.header(span), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ff-01");
        assert!(!TraceContext::parse(GOOD.replace("-01", "-02").as_bytes()).unwrap().sampled);
        assert!(TraceContext::parse(GOOD.replace("-01", "-03").as_bytes()).unwrap().sampled);
        let later = GOOD.replacen("00-", "cc-", 1);
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(context));
        assert_eq!(TraceContext::parse(format!("{later}-more").as_bytes()), Some(context));
    }

    #[test]
    fn what_is_not_the_standards_counts_as_none() {
        let wrong = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            GOOD.replacen("00-", "ff-", 1),
            format!("{}x", GOOD.replacen("00-", "cc-", 1)),
            GOOD.to_uppercase(),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf9", "4bg9"),
            GOOD.replace("-00f0", "_00f0"),
            GOOD.replace("00f0", "\u{e9}f0"),
        ];
        for header in wrong {
            assert_eq!(TraceContext::parse(header.as_bytes()), None, "{header}");
        }
    }
}
