//! Digests, and hex.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 over length-prefixed parts: no two lists of parts share a digest by concatenation.
pub fn digest_of(parts: &[&[u8]]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    hex(digest(&SHA256, &bytes).as_ref())
}
