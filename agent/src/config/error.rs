//! Why a configuration is refused.

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Path of the file.
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
        /// Path of the file.
        file: String,
    },
    /// The file may be written by everyone.
    #[error(
        "{file}: is writable by everyone, who could let the agent do anything; do `chmod o-w {file}` or start \
         with --allow-world-readable"
    )]
    WorldWritable {
        /// Path of the file.
        file: String,
    },
    /// The file may be exchanged by everyone.
    #[error(
        "{file}: everyone may exchange it, since its folder is writable by everyone; do `chmod o-w {folder}` or \
         start with --allow-world-readable"
    )]
    OpenFolder {
        /// Path of the file.
        file: String,
        /// Path of the folder.
        folder: String,
    },
    /// A value, a key or the syntax of the file is wrong.
    #[error("{file}:{line}: {message}")]
    Value {
        /// Path of the file.
        file: String,
        /// Line of the file, counted from 1.
        line: usize,
        /// What is expected; never a secret.
        message: String,
    },
}
