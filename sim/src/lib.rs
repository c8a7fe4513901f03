#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod args;
pub mod camera;
pub mod cloud;
mod host;
mod listener;
mod page;
mod patience;
pub mod program;
mod registry;
pub mod tlss;
