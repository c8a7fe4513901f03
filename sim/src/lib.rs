//! The other side, for QA and for our tests: a camera on the network and a cloud.
#![forbid(unsafe_code)]

pub mod args;
pub mod camera;
pub mod cloud;
