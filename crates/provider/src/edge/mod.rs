//! The edge: what a request and a response look like before and after a flow, and what is logged of them. Knows no
//! state and no provider.

pub mod body;
pub mod canonical;
pub mod error;
pub(crate) mod measured;
pub mod said;
pub(crate) mod trace;
pub mod wide;

pub use error::{ApiError, Envelope, Problem};
