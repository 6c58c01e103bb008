//! `--usage`: what is read, and how each wrong line is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use tradepost_rehearsal::demo::readings::Meter;
use tradepost_rehearsal::demo::usage_csv::{BYTES_MAX, parse};

const HEADER: &str = "at,resource,meter,quantity\n";

fn error(text: &str) -> String {
    format!("{:#}", parse(text.as_bytes()).unwrap_err())
}

fn row_error(row: &str) -> String {
    error(&format!("{HEADER}2027-01-01T00:30:00Z,orders,queries,1\n{row}\n"))
}

#[test]
fn readings_come_in_the_order_of_time_with_exact_quantities() {
    let text = format!(
        "{HEADER}2027-01-02T00:00:00Z,docs,storage_gb,12.345678901\n2027-01-01T23:59:59.999Z , orders , queries , 7\n"
    );
    let readings = parse(text.as_bytes()).unwrap();
    let seen: Vec<_> =
        readings.iter().map(|it| (it.id.as_str(), it.resource, it.meter, it.at.to_string(), it.nano)).collect();
    assert_eq!(
        seen,
        [
            ("line-3", 0, Meter::Queries, "2027-01-01T23:59:59.999Z".to_owned(), 7_000_000_000),
            ("line-2", 2, Meter::Storage, "2027-01-02T00:00:00Z".to_owned(), 12_345_678_901),
        ]
    );
    assert!(parse(HEADER.as_bytes()).unwrap().is_empty());
}

#[test]
fn a_wrong_line_is_named() {
    for (row, says) in [
        ("yesterday,orders,queries,1", "line 3: \"yesterday\" is not an RFC 3339 instant in UTC"),
        ("2027-01-01T00:00:00+02:00,orders,queries,1", "line 3: \"2027-01-01T00:00:00+02:00\" is not an RFC 3339"),
        ("2027-02-01T00:00:00Z,orders,queries,1", "line 3: 2027-02-01T00:00:00Z is not in the demo's month"),
        ("2026-12-31T23:59:59Z,orders,queries,1", "line 3: 2026-12-31T23:59:59Z is not in the demo's month"),
        ("2027-01-01T00:00:00Z,order,queries,1", "line 3: there is no resource \"order\"; the demo has orders, search"),
        (
            "2027-01-01T00:00:00Z,orders,query,1",
            "line 3: there is no meter \"query\"; the demo has queries, storage_gb",
        ),
        ("2027-01-01T00:00:00Z,orders,queries,-1", "line 3: \"-1\" is not a quantity"),
        ("2027-01-01T00:00:00Z,orders,queries,1.0000000001", "line 3: \"1.0000000001\" is not a quantity"),
        ("2027-01-01T00:00:00Z,orders,queries,\"1,5\"", "line 3: \"1,5\" is not a quantity"),
        ("2027-01-01T00:00:00Z,orders,queries", "line 3: it must have 4 fields"),
    ] {
        let told = row_error(row);
        assert!(told.starts_with(says), "{row}: {told}");
    }
}

#[test]
fn a_wrong_header_and_a_file_too_long_are_refused() {
    assert_eq!(error("when,what\n"), "line 1: the header must be at,resource,meter,quantity");
    assert_eq!(error(""), "line 1: the header must be at,resource,meter,quantity");
    let long = vec![b'x'; usize::try_from(BYTES_MAX).unwrap() + 1];
    assert!(parse(&long).unwrap_err().to_string().contains("longer than 10485760 bytes"));
}
