#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod badnet;
pub mod conformance;
pub mod report;
pub mod scenario;
mod slip;
pub mod start;
mod terminal;
