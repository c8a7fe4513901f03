//! Single pictures.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Result, Stream};

/// Takes pictures.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// Takes a picture and returns it as a JPEG file, in the size of `stream` where the camera has
    /// several. Answers within 10 s.
    ///
    /// # Errors
    /// `Offline` or `Timeout` without an answer, `Refused` if the login is refused, `Unsupported`
    /// from a camera without pictures, `Other` for an answer that is no JPEG file.
    async fn jpeg(&self, stream: Stream) -> Result<Bytes>;
}
