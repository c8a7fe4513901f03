//! Yardsticks for `make bench`: see `bin/floor.rs` and `bin/latency.rs`.
#![forbid(unsafe_code)]

pub mod h264;
pub mod pictures;
pub mod proxy;
pub mod rtmp;
pub mod rtsp;
