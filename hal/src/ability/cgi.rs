//! Commands of the camera's own web server.

use async_trait::async_trait;
use bytes::Bytes;
use ivt_base::mask::Known;

use crate::Result;

/// Runs commands of the camera's own web server.
#[async_trait]
pub trait Cgi: Send + Sync {
    /// GETs `path`, which begins with a slash, with `query`, which is escaped already and may be
    /// empty; both are sent as they are. Any answer of the camera is a success, also 404; redirects
    /// are not followed. Answers within 10 s, and in bounded memory.
    ///
    /// # Errors
    /// `Invalid` for a path or query that cannot be sent, `Offline`, `Timeout`, or `Other` for a broken
    /// answer.
    async fn get(&self, path: &str, query: &str) -> Result<Answer>;

    /// The login that the web server is told, to be hidden where an answer repeats it; none by default.
    fn login(&self) -> Known {
        Known::default()
    }
}

/// The answer of a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// The reason phrase behind the status code; may be empty.
    pub reason: String,
    /// Names and values of the headers in the order they came. A name may come more than once, in
    /// upper or lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as it was sent, without the framing of the transfer; never decoded.
    pub body: Bytes,
}
