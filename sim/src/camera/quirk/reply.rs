//! What a camera with quirks sends for a request.

/// What goes out for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// This.
    Bytes(Vec<u8>),
    /// Nothing.
    Nothing,
    /// This, and then the connection is closed.
    Last(Vec<u8>),
    /// The first, and then the second again and again until the client has had enough.
    Endless(Vec<u8>, Vec<u8>),
}
