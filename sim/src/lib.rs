#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod args;
pub mod camera;
pub mod cloud;
pub mod family;
mod listener;
mod page;
pub mod program;
mod registry;
pub mod tlss;
