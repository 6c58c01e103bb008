//! Money, as pure functions: what usage costs, and how it is booked.
//!
//! Nothing here reads a table, calls anybody or looks at a clock: this crate depends on nothing that could, so the
//! compiler keeps it that way. Times come in as values. The hourly push and the invoice go through the same
//! [`pricing::bill`] over the same totals, so what the customer watched is what the customer pays.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`catalog`] | products, plans, prices and meters, read from `catalog.toml` |
//! | [`period`] | billing periods: where they begin and end, and the segments of a resource's plans |
//! | [`metering`] | readings become totals: which period and segment each counts in |
//! | [`pricing`] | totals and plans become the lines of a bill; what is carried on or written off |
//! | [`ledger`] | double entry over what was invoiced, paid, refunded, written off |

pub mod catalog;
pub mod ledger;
pub mod metering;
pub mod period;
pub mod pricing;
