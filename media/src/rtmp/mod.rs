//! RTMP, both sides.

pub mod amf;
