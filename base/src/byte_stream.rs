//! What a connection is to whoever reads and writes it.

use std::fmt::Debug;

use tokio::io::{AsyncRead, AsyncWrite};

/// Any connection that bytes travel on both ways: TCP, TLS, or a pipe in a test.
pub trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> ByteStream for T {}
