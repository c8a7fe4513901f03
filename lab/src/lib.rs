#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// No simulator runs on a camera's ARMv5, which has no 64-bit atomics.
#![allow(clippy::disallowed_types)]

pub mod badnet;
pub mod conformance;
pub mod login;
pub mod report;
pub mod scenario;
mod slip;
pub mod start;
mod terminal;
