//! Frames in, bytes out: knows no cloud and no camera model.
#![forbid(unsafe_code)]

pub mod flv;
pub mod frame;
pub mod hub;
pub mod rtmp;
pub mod source;
