//! The bytes that a camera with quirks sends for a request.

/// The bytes that go out for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// These bytes go out.
    Bytes(Vec<u8>),
    /// Nothing goes out.
    Nothing,
    /// These bytes go out, and then the connection is closed.
    Last(Vec<u8>),
    /// The first bytes go out once, and then the second ones again and again until the client has had enough.
    Endless(Vec<u8>, Vec<u8>),
}
