//! The Vercel Marketplace protocol for providers.
#![doc = include_str!("../README.md")]

pub mod doors;
pub mod http_door;
pub mod ids;
pub mod money;
