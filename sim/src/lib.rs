#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

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
