//! The simulator over real sockets, with a fake provider on the other side.

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
