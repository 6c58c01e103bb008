//! What the fuzz targets do with their bytes: each calls what a function calls, and asks more of it than not to panic.
//!
//! Used by `fuzz_targets/` under libFuzzer, and by the workspace's test `corpora`, which runs each target over its
//! committed corpus. A target fails by a panic.
//!
//! | target | bytes from outside | what must hold |
//! | --- | --- | --- |
//! | [`webhook`] | a delivery of Vercel's | no wrong signature passes; what is read is written again as the same; a repeat changes nothing |
//! | [`partner_api`] | a body of Vercel's, for every route that takes one | an answer of ours, the same at a repeat; Vercel can still read what is stored |
//! | [`partner_call`] | a partner system's `data`, for every type | as above; no wrong signature passes |
//! | [`token`] | a token, or claims that the issuer signed | none that the issuer did not sign; what the claims say, judged again |
//! | [`sso_query`] | the query of a sign-on | each value within its limit; a target only at an allowed origin |
//! | [`usage_csv`] | a usage file | each reading in the month, and the same when it is written again |
//! | [`catalog`] | a catalog | every plan can be priced, shown, and compared |

#![allow(unreachable_pub, reason = "it is a crate under libFuzzer, and a module of a test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by a panic")]

pub mod catalog;
pub mod issuer;
pub mod partner_api;
pub mod partner_call;
pub mod sso_query;
pub mod table;
pub mod token;
pub mod usage_csv;
pub mod webhook;
pub mod world;

/// A name, and what runs an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("webhook", webhook::run),
    ("partner_api", partner_api::run),
    ("partner_call", partner_call::run),
    ("token", token::run),
    ("sso_query", sso_query::run),
    ("usage_csv", usage_csv::run),
    ("catalog", catalog::run),
];
