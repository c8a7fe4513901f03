//! An answer whose body is read as it comes.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::wire::Response;
use crate::{Error, Kind, Result};

/// An answer whose head has come, and whose body has no end. Dropping it closes the connection. At most 64 KiB are held
/// that nobody has read yet; beyond that the camera waits.
pub struct Open(Response);

impl Open {
    pub(super) fn new(response: Response) -> Self {
        Self(response)
    }

    /// The status; 401 as [`Http::send`](super::Http::send) says.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The value of a header; `None` where it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// The next bytes of the body, at least one and at most 64 KiB, however the camera has cut them; `None` at the end of
    /// the body. A call that is dropped before it returns loses nothing.
    ///
    /// # Errors
    /// `Timeout` when nothing came for `silence`, `Other` when the connection broke.
    pub async fn chunk(&mut self, silence: Duration) -> Result<Option<Bytes>> {
        let op = self.0.op();
        match timeout(silence, self.0.piece()).await {
            Ok(piece) => piece,
            Err(_) => Err(Error::new(op, Kind::Timeout)),
        }
    }
}
