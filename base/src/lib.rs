#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "net")]
pub mod address_rule;
pub mod auth;
pub mod backoff;
#[cfg(feature = "net")]
pub mod byte_stream;
pub mod clock;
pub mod date;
#[cfg(feature = "net")]
pub mod dial;
pub mod mask;
#[cfg(feature = "process")]
pub mod process_group;
#[cfg(feature = "net")]
pub mod resolver;
pub mod retry_after;
pub mod say;
pub mod secret;
pub mod short_time;
#[cfg(feature = "net")]
pub mod task;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(all(feature = "net", not(feature = "tls")))]
#[path = "no_tls.rs"]
pub mod tls;
pub mod told;
pub mod transport;
pub mod wall_time;
