//! Stands in for TLS in a program built without it: whoever asks for TLS is told so.

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

/// A configuration that cannot be made without TLS.
#[derive(Clone, Debug)]
pub enum ClientConfig {}

/// Fails, since this program has no TLS.
///
/// # Errors
///
/// Always [`TlsError::Absent`].
pub fn client_config(
    _ca_file: Option<&Path>,
    _clock: Clock,
) -> Result<Arc<ClientConfig>, TlsError> {
    Err(TlsError::Absent)
}

/// Cannot be called, since there is no configuration.
///
/// # Errors
///
/// None.
pub async fn connect<S>(config: Arc<ClientConfig>, _host: &str, _io: S) -> Result<S, TlsError> {
    match *config {}
}
