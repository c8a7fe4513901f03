#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod args;
pub mod camera;
pub mod cloud;
pub mod family;
pub mod host;
mod listener;
pub mod page;
mod patience;
pub mod program;
mod registry;
pub mod tlss;
