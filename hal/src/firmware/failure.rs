//! What goes wrong with a firmware, in words for whoever reads the log.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Kind};

/// What is wrong with the configuration of the firmware, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

/// Why a firmware is not taken, or the device cannot tell.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or a block device.
    #[error("{}: {said}", path.display())]
    Disk { path: PathBuf, said: io::Error },
    /// Not now; the words say when.
    #[error("{0}")]
    Refused(String),
    /// The device has no place for an image of this size.
    #[error("{0}")]
    NoRoom(String),
    /// More is written than the image has bytes.
    #[error("the image has {size} bytes, and more are written")]
    TooLong { size: u64 },
    /// The end of the image is missing.
    #[error("{written} of the image's {size} bytes were written")]
    NotWhole { written: u64, size: u64 },
    /// What is read is not what was written.
    #[error("{}: holds something else than was written; the flash may have a bad block", path.display())]
    ReadBack { path: PathBuf },
    /// A call before was given up in the middle.
    #[error("a write before was given up; open the image again")]
    GivenUp,
    /// The configuration, or what the device has become since it was read.
    #[error("{0}")]
    Setup(String),
}

/// Result of what is done to the disk.
pub type Checked<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure at `path`, to be made from what the system says.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |said| Self::Disk { path, said }
    }

    /// The error that the caller of `op` gets.
    pub fn of(self, op: &'static str) -> Error {
        let kind = match self {
            Self::NoRoom(_) | Self::TooLong { .. } | Self::NotWhole { .. } => Kind::Invalid,
            Self::Refused(_) => Kind::Refused,
            _ => Kind::Other,
        };
        Error::new(op, kind).because(self)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Setup(error.0)
    }
}
