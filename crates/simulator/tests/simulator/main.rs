//! The simulator over real sockets, with a fake provider on the other side.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::similar_names, reason = "state and status are the field's own words")]

mod control;
mod faults;
mod invoices;
mod partner;
mod rules;
mod stage;
mod store;
mod time;
mod tokens;
mod vercel;
