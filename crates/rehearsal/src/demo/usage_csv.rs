//! `--usage FILE.csv`: the readings of the month from a file.
//!
//! Header `at,resource,meter,quantity`; `at` is RFC 3339 in UTC and lies in January 2027; `resource` is `orders`,
//! `search` or `docs`; `meter` is `queries`, `storage_gb` or `egress_gb`; `quantity` has a decimal point, at most 12
//! digits before and 9 after it. At most 10 MiB. What fails names the line.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::readings::{Meter, Reading, parse_decimal};
use super::script::{RESOURCES, end, start};

/// The largest file.
pub const BYTES_MAX: u64 = 10 * 1024 * 1024;
/// The header.
pub const HEADER: [&str; 4] = ["at", "resource", "meter", "quantity"];

/// Reads a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Reading>> {
    let named = || format!("the usage file {}", path.display());
    let file = fs::File::open(path).with_context(named)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).with_context(named)?;
    parse(&bytes).with_context(named)
}

/// Reads the bytes of a file.
pub fn parse(bytes: &[u8]) -> anyhow::Result<Vec<Reading>> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        bail!("it is longer than {BYTES_MAX} bytes; split it by month");
    }
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = rows.headers().context("line 1")?;
    if header.iter().ne(HEADER) {
        bail!("line 1: the header must be {}", HEADER.join(","));
    }
    let mut readings = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            anyhow::anyhow!("line {line}: it must have {} fields in UTF-8: {}", HEADER.len(), HEADER.join(","))
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        readings.push(reading(line, &row).with_context(|| format!("line {line}"))?);
    }
    readings.sort_by_key(|reading| reading.at);
    Ok(readings)
}

fn reading(line: u64, row: &csv::StringRecord) -> anyhow::Result<Reading> {
    let field = |n: usize| row.get(n).unwrap_or_default();
    let at = read_at(field(0))?;
    let resource = RESOURCES.iter().position(|spec| spec.name == field(1));
    let resource = resource.with_context(|| {
        let names = RESOURCES.map(|spec| spec.name).join(", ");
        format!("there is no resource {:?}; the demo has {names}", field(1))
    })?;
    let meter = Meter::ALL.into_iter().find(|meter| meter.id() == field(2));
    let meter = meter.with_context(|| {
        let ids = Meter::ALL.map(Meter::id).join(", ");
        format!("there is no meter {:?}; the demo has {ids}", field(2))
    })?;
    let nano = parse_decimal(field(3)).map_err(|error| anyhow::anyhow!("{:?} is {error}", field(3)))?;
    Ok(Reading { id: format!("line-{line}"), resource, meter, at, nano })
}

fn read_at(text: &str) -> anyhow::Result<Timestamp> {
    let parsed = text.parse::<Timestamp>().ok().filter(|_| text.ends_with('Z') || text.ends_with("+00:00"));
    let at = parsed.with_context(|| format!("{text:?} is not an RFC 3339 instant in UTC, such as {}", start()))?;
    if at < start() || at >= end() {
        bail!("{at} is not in the demo's month, from {} to {}", start(), end());
    }
    Ok(at)
}
