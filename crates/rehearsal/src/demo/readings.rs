//! Readings of the month: what was measured, in billionths, as integers.

use std::fmt;

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};

use super::script::{HOURS, RESOURCES, instant};

/// Billionths in one unit.
pub const NANO: i128 = 1_000_000_000;

/// How busy each resource is, against the others.
const SHARES: [i128; 3] = [3, 2, 1];

/// The meters of the demo's product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meter {
    /// Queries, added up.
    Queries,
    /// Storage in GB, by its peak.
    Storage,
    /// Egress in GB, added up.
    Egress,
}

impl Meter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queries, Self::Storage, Self::Egress];

    /// Its id in the catalog.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Storage => "storage_gb",
            Self::Egress => "egress_gb",
        }
    }

    /// Its name, as Vercel is shown it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queries => "Queries",
            Self::Storage => "Storage",
            Self::Egress => "Egress",
        }
    }

    /// One figure of two.
    pub fn join(self, one: i128, other: i128) -> i128 {
        match self {
            Self::Queries | Self::Egress => one + other,
            Self::Storage => one.max(other),
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Unique in the month.
    pub id: String,
    /// Of which of [`RESOURCES`].
    pub resource: usize,
    /// By which meter.
    pub meter: Meter,
    /// When.
    pub at: Timestamp,
    /// How much, in billionths.
    pub nano: i128,
}

/// Billionths as a decimal text.
pub fn decimal(nano: i128) -> String {
    let sign = if nano < 0 { "-" } else { "" };
    let (whole, fraction) = (nano.abs() / NANO, nano.abs() % NANO);
    let fraction = format!("{fraction:09}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADecimal;

impl fmt::Display for NotADecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a quantity: digits, at most 12 before and 9 after a decimal point")
    }
}

/// Reads a decimal text, or a JSON number in plain notation.
pub fn parse_decimal(text: &str) -> Result<i128, NotADecimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.trim_start_matches('0').len() > 12 || fraction.len() > 9 {
        return Err(NotADecimal);
    }
    let whole: i128 = whole.parse().map_err(|_| NotADecimal)?;
    let fraction: i128 = format!("{fraction:0<9}").parse().map_err(|_| NotADecimal)?;
    Ok(whole * NANO + fraction)
}

/// The month as the seed draws it: every hour, every resource, every meter, in the middle of the hour.
pub fn drawn(seed: u64) -> Vec<Reading> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, format!("tradepost demo usage, seed {seed}").as_bytes());
    let mut readings = Vec::new();
    for hour in 0..HOURS {
        let at = instant(hour, SignedDuration::from_mins(30));
        for ((resource, spec), share) in RESOURCES.iter().enumerate().zip(SHARES) {
            for meter in Meter::ALL {
                let id = format!("h{hour:03}-{}-{}", spec.name, meter.id());
                let draw = draw(&key, &id);
                let nano = quantity(meter, hour, share, draw);
                readings.push(Reading { id, resource, meter, at, nano });
            }
        }
    }
    readings
}

fn draw(key: &hmac::Key, name: &str) -> i128 {
    let tag = hmac::sign(key, name.as_bytes());
    tag.as_ref().iter().take(8).fold(0_i128, |sum, byte| (sum << 8) | i128::from(*byte))
}

/// Storage grows; what it peaks at costs.
fn quantity(meter: Meter, hour: i64, share: i128, draw: i128) -> i128 {
    let milli = NANO / 1_000;
    match meter {
        Meter::Queries => (draw % (600 * share)) * NANO,
        Meter::Storage => (2_000 * share + i128::from(hour) * 9 + draw % 500) * milli,
        Meter::Egress => (draw % (140_000 * share)) * (milli / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_month_again_and_another_seed_another() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(7).len(), 744 * 9);
    }

    #[test]
    fn decimals_are_exact() {
        for (text, nano) in
            [("0", 0), ("12.5", 12_500_000_000), ("0.000000001", 1), ("999999999999.999999999", 10_i128.pow(21) - 1)]
        {
            assert_eq!(parse_decimal(text), Ok(nano));
            assert_eq!(decimal(nano), text);
        }
        for bad in ["", "-1", "+1", "1e3", ".5", "5.", "1,5", "1234567890123", "0.0000000001", " 1"] {
            assert_eq!(parse_decimal(bad), Err(NotADecimal), "{bad:?}");
        }
    }
}
