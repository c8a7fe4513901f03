#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod auth;
pub mod backoff;
#[cfg(feature = "net")]
pub mod byte_stream;
pub mod clock;
pub mod date;
#[cfg(feature = "net")]
pub mod dial;
pub mod mask;
pub mod secret;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(all(feature = "net", not(feature = "tls")))]
#[path = "no_tls.rs"]
pub mod tls;
pub mod told;
pub mod transport;
