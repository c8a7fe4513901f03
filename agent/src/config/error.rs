//! Why a configuration is refused.

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Its path.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file may be read by everyone.
    #[error(
        "{file}: is readable by everyone, and such a file may hold passwords; do `chmod 600 {file}` \
         or start with --allow-world-readable"
    )]
    WorldReadable {
        /// Its path.
        file: String,
    },
    /// Something in it is wrong.
    #[error("{file}:{line}: {message}")]
    Value {
        /// Its path.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is expected; never a secret.
        message: String,
    },
}
