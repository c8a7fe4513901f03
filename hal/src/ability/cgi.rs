//! The camera's own web interface.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// Runs commands of the camera's own web server.
#[async_trait]
pub trait Cgi: Send + Sync {
    /// GETs `path`, which begins with a slash, with `query`, which is escaped already and may be empty;
    /// both are sent as they are. Whatever the camera answers is a success, also 404; a redirect is not
    /// followed. Answers within 10 s, and in bounded memory.
    ///
    /// # Errors
    /// `Invalid` for a path or query that cannot be sent, `Offline`, `Timeout`, or `Other` for a broken
    /// answer.
    async fn get(&self, path: &str, query: &str) -> Result<Answer>;
}

/// What a web server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// The reason phrase beside the status; may be empty.
    pub reason: String,
    /// Names and values in the order they came; a name may come more than once, in whatever letters.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The bytes as they were sent, without the transfer's own framing; never decoded.
    pub body: Bytes,
}
