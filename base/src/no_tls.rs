//! In place of TLS, in a program built without it: whoever asks for it is told so.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The feature `tls` is off.
    #[error("this program is built without TLS")]
    Absent,
    /// The system did not let us try.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Nobody has one.
#[derive(Clone, Debug)]
pub enum ClientConfig {}

/// Always an error.
pub fn client_config(
    _ca_file: Option<&Path>,
    _clock: Clock,
) -> Result<Arc<ClientConfig>, TlsError> {
    Err(TlsError::Absent)
}

/// Never called, for want of a configuration.
pub async fn connect<S>(config: Arc<ClientConfig>, _host: &str, _io: S) -> Result<S, TlsError> {
    match *config {}
}
