//! `simulation FUNCTION`: one of the functions as a process on localhost, at the time of a simulated Vercel.
//!
//! Built with the feature `simulation` only, and a binary of its own: nothing of it can get into a function.

use std::process::ExitCode;

fn main() -> ExitCode {
    tradepost_rehearsal::simulation::main(std::env::args().nth(1).as_deref())
}
