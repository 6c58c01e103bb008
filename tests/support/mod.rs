//! The two platforms, played on real sockets for the real binaries: what `tests/platform*.rs` and the
//! host's own tests stand on.
//!
//! [`release`] builds the functions as Vercel does; [`lambda`] is the Runtime API; [`vercel`] is Vercel's
//! side of a function, and plain localhost; [`process`] is the child process in a clean environment, killed
//! when dropped; [`wire`] reads and writes the HTTP/1.1 of all of them. All of it is synchronous, on free
//! ports, and waits for what it needs instead of sleeping. Whatever goes wrong is a panic that shows what
//! the process wrote.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]
#![allow(clippy::expect_used, reason = "a test fails by panicking, and this is only for tests")]

pub mod events;
pub mod lambda;
pub mod process;
pub mod release;
pub mod vercel;
pub mod wire;
