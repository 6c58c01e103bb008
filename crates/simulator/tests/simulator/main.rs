//! The simulator over real sockets, with a fake provider on the other side.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::similar_names, reason = "state and status are the field's own words")]

mod control;
mod experimentation;
mod faults;
mod import;
mod invoices;
mod operations;
mod page;
mod partner;
mod purchases;
mod rows;
mod rules;
mod scene;
mod seed;
mod stage;
mod store;
mod switches;
mod table;
mod time;
mod tokens;
mod transfers;
mod vercel;
