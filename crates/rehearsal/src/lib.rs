#![doc = include_str!("../README.md")]

pub mod canaries;
pub mod control;
pub mod demo;
pub mod development;
pub mod history;
pub mod local;
pub mod provisioner;
pub mod simulation;
mod whole;
pub mod world;
