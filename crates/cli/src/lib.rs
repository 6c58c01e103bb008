//! `tradepost`: the local provider, the simulated Vercel, and the month between them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`dev`] | `tradepost dev`: everything in one process, ready to be developed against |
//! | [`simulate`] | `tradepost simulate`: the simulated Vercel alone |
//! | [`demo`] | `tradepost demo`: one customer's month, checked to the cent by a referee of its own |
//! | [`local`] | one process with provider, simulator, embedded DynamoDB and demo provisioner |
//! | [`provisioner`] | the demo provisioner, in effect a second program behind signed HTTP |
//! | [`development`] | the fixed keys of all of this, refused off loopback |
//!
//! Everything goes through real sockets, so what passes here has gone through OIDC, signatures, HTTP and
//! DynamoDB's protocol. Errors are `anyhow` with a way out in their text; exit codes are 0 (done, balanced), 1 (not
//! balanced, or failed) and 2 (usage).

pub mod canaries;
pub mod control;
pub mod demo;
pub mod dev;
pub mod development;
pub mod local;
pub mod log;
pub mod provisioner;
pub mod simulate;
pub mod terminal;
