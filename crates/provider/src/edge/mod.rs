//! The edge: what a request and a response look like before and after a flow.

pub mod answer;
pub mod body;
pub mod canonical;
pub mod error;
pub mod layer;
pub(crate) mod measured;
pub mod said;
mod trace;
pub mod wide;

pub use error::{ApiError, Envelope, Problem};
