#![doc = include_str!("../README.md")]

pub mod config;
pub mod demo;
pub mod dev;
pub mod dynamodb;
pub mod history;
pub mod log;
pub mod simulate;
pub mod terminal;
