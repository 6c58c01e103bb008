#![doc = include_str!("../README.md")]

pub mod canaries;
pub mod config;
pub mod control;
pub mod demo;
pub mod dev;
pub mod development;
pub mod dynamodb;
pub mod history;
pub mod local;
pub mod log;
pub mod provisioner;
pub mod simulate;
pub mod terminal;
mod whole;
