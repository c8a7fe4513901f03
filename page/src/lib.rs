#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// A file that a browser is sent.
#[derive(Debug)]
pub struct Asset {
    /// Where it is found: `/parts/NAME` for a part of every page, `/NAME` for a file of the device's page.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its entity tag, which differs for any other content.
    pub tag: &'static str,
    /// Its bytes, compressed by gzip.
    pub gzip: &'static [u8],
}

mod assets {
    use super::Asset;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

pub use assets::PARTS;
#[cfg(feature = "device")]
pub use assets::{API, DEVICE};
