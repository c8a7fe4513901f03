//! A request to a camera's web server.

use bytes::Bytes;

/// One request. It is not `Debug`, since the target and the body may hold a password.
#[derive(Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// A path that begins with a slash, and its query, both escaped. They are sent as they are.
    pub target: String,
    /// The body; `None` for a request without one.
    pub body: Option<Body>,
}

/// The HTTP methods that cameras know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, which reads and has no body.
    Get,
    /// POST, which gives an order.
    Post,
    /// PUT, which sets something.
    Put,
}

/// The body of a request.
#[derive(Clone)]
pub struct Body {
    /// The content type, such as `application/xml`.
    pub content_type: String,
    /// The bytes, which are sent unchanged, again with each exchange that the login needs.
    pub bytes: Bytes,
}

impl Request {
    /// A GET of `target`.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: Method::Get, target: target.into(), body: None }
    }

    /// A request that sends `bytes` to `target`.
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
    /// The method as the request line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}
