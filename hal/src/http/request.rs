//! What a camera's web server is asked.

use bytes::Bytes;

/// One request. Not `Debug`: the target and the body may hold a password.
#[derive(Clone)]
pub struct Request {
    /// What is to be done with the target.
    pub method: Method,
    /// A path, which begins with a slash, and its query, escaped already: it is sent as it is.
    pub target: String,
    /// What is sent along.
    pub body: Option<Body>,
}

/// The methods that cameras know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks; has no body.
    Get,
    /// Orders.
    Post,
    /// Sets.
    Put,
}

/// The body of a request.
#[derive(Clone)]
pub struct Body {
    /// Such as `application/xml`.
    pub content_type: String,
    /// Sent as they are, again with each exchange that the login needs.
    pub bytes: Bytes,
}

impl Request {
    /// Asks for `target`.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: Method::Get, target: target.into(), body: None }
    }

    /// Sends `bytes` to `target`.
    pub fn with_body(
        method: Method,
        target: impl Into<String>,
        content_type: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let body = Body { content_type: content_type.into(), bytes: bytes.into() };
        Self { method, target: target.into(), body: Some(body) }
    }

    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.body.as_ref().map_or_else(Bytes::new, |body| body.bytes.clone())
    }
}

impl Method {
    /// As it stands in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}
