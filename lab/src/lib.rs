#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod badnet;
pub mod conformance;
pub mod report;
pub mod scenario;
pub mod start;
