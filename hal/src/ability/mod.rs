//! One file per ability. A new one lands with two backends and the request that uses it.

pub mod cgi;
pub mod encoder;
pub mod snapshot;
