//! Frames in, bytes out: knows no cloud and no camera model.
#![forbid(unsafe_code)]

pub mod backoff;
mod drift;
pub mod flv;
pub mod frame;
pub mod hub;
pub mod pull;
pub mod rtmp;
pub mod source;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod timeline;
