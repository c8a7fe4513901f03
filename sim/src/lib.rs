#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// No simulator runs on a camera's ARMv5, which has no 64-bit atomics.
#![allow(clippy::disallowed_types)]

pub mod args;
pub mod camera;
pub mod cloud;
pub mod family;
pub mod host;
pub mod interfaces;
mod listener;
pub mod page;
mod patience;
mod pieces;
pub mod port;
pub mod program;
mod registry;
pub mod tlss;
