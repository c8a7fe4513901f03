//! The agent's own HTTP client: what recordings, pictures and firmware share.
//!
//! Answers are bounded, every wait has an end, and only servers that the rule for addresses allows are asked,
//! also behind a redirect. Addresses may carry signatures in their queries: no text here shows more of an
//! address than scheme, host and path.
//!
//! Not here: a camera's web server, see `ivt_hal::http`.

pub mod address;
mod answer;
mod body;
mod client;
mod connections;
#[cfg(feature = "update")]
mod download;
mod error;
#[cfg(test)]
pub(crate) mod scripted;
pub(crate) mod words;

pub use body::Body;
#[cfg(feature = "update")]
pub use body::Resume;
pub(crate) use client::Wanted;
pub use client::{Deadlines, Http};
#[cfg(feature = "update")]
pub use download::Download;
pub use error::HttpError;
