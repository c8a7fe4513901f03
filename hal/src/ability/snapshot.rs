//! Single pictures.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Result, Stream};

/// Takes pictures.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// A picture of the moment as a JPEG file, of the size of `stream` where the camera has several.
    /// Answers within 10 s.
    ///
    /// # Errors
    /// `Offline` or `Timeout` without an answer, `Refused` for a login that does not pass, `Unsupported`
    /// by a camera without pictures, `Other` for what is no JPEG file.
    async fn jpeg(&self, stream: Stream) -> Result<Bytes>;
}
