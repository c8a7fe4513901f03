#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alert;
pub mod annexb;
mod bits;
pub mod clip;
pub mod coalesce;
pub mod command;
pub mod dts;
pub mod flv;
pub mod fmp4;
pub mod frame;
mod g711;
mod hold;
pub mod hub;
mod join;
pub mod pattern;
pub mod publish;
pub mod pull;
mod record;
pub mod reserve;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
pub mod segment;
pub mod source;
mod sps;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod timeline;
#[cfg(feature = "g711-aac")]
mod transcode;
pub mod ts;
pub mod viewer;
