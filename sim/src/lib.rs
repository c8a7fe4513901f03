#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod args;
pub mod camera;
pub mod cloud;
pub mod family;
mod host;
pub mod interfaces;
mod listener;
mod page;
mod patience;
pub mod port;
pub mod program;
mod registry;
pub mod tlss;
