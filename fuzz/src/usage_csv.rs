//! The file of `tradepost demo --usage`.

use std::fmt::Write as _;

use tradepost_rehearsal::demo::readings::decimal;
use tradepost_rehearsal::demo::script::{RESOURCES, end, start};
use tradepost_rehearsal::demo::usage_csv::{HEADER, parse};

/// Runs the target.
pub fn run(data: &[u8]) {
    let Ok(readings) = parse(data) else { return };
    let mut text = format!("{}\n", HEADER.join(","));
    let mut last = start();
    for reading in &readings {
        assert!(reading.at >= last && reading.at < end(), "out of order, or not in the month: {}", reading.at);
        last = reading.at;
        assert!(reading.nano >= 0 && reading.nano < 10_i128.pow(21), "{}", reading.nano);
        let resource = RESOURCES[reading.resource].name;
        let _ = writeln!(text, "{},{resource},{},{}", reading.at, reading.meter.id(), decimal(reading.nano));
    }
    let again = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error:#}: {text}"));
    assert_eq!(again.len(), readings.len());
    for (one, other) in readings.iter().zip(&again) {
        assert_eq!((one.at, one.resource, one.meter, one.nano), (other.at, other.resource, other.meter, other.nano));
    }
}
