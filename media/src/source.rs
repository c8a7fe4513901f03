//! Where frames come from. Not here: the pull that keeps a source open, see `pull`.

use async_trait::async_trait;

use crate::frame::Frame;

/// One open connection to one stream of one camera. An error ends it; the pull opens a new one.
/// No wait is longer than the source's own silence limit.
#[async_trait]
pub trait FrameSource: Send {
    /// Returns once the camera sends, also when `frame` has nothing to give yet: some cameras tell
    /// their parameters only with a key frame, and that may be a minute away. A frame met here is
    /// kept for `frame`. Cancel safe. The default is for sources that send as soon as they are
    /// open.
    async fn arriving(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// The next frame in decode order, stamped by the camera's clock: where that is set or stands
    /// still, so do the times, and the pull straightens them. Frames from before the first key
    /// frame may come, too; after a loss the next is a key frame. Cancel safe.
    async fn frame(&mut self) -> Result<Frame, SourceError>;

    /// Frames lost on the way here, or given up because they could not be decoded, since opening.
    fn dropped(&self) -> u64 {
        0
    }
}

/// Opens sources of one stream. The one seam between the camera and everything downstream.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Opens the stream, within a bounded time.
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError>;

    /// Waits, within a bounded time, until the camera has let go of the sources that were dropped.
    async fn settle(&self) {}
}

/// Why a camera gives no frames. The text names the peer and never holds a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or it was lost.
    #[error("camera {peer} is unreachable: {reason}")]
    Unreachable {
        /// Address without credentials.
        peer: String,
        /// What failed.
        reason: String,
    },
    /// The camera refused the name or the password.
    #[error("camera {peer} refused the login: check its user name and password")]
    Unauthorized {
        /// Address without credentials.
        peer: String,
    },
    /// The camera sent something that is no stream we know.
    #[error("camera {peer}: {reason}")]
    Protocol {
        /// Address without credentials.
        peer: String,
        /// What was expected, and what came.
        reason: String,
    },
    /// Nothing came for too long.
    #[error("camera {peer}: no frame for {seconds} s")]
    Silent {
        /// Address without credentials.
        peer: String,
        /// The limit that passed.
        seconds: u64,
    },
    /// Neither video nor audio of a kind the agent carries.
    #[error("camera {peer} offers no stream the agent can carry: {reason}")]
    Unsupported {
        /// Address without credentials.
        peer: String,
        /// What was offered.
        reason: String,
    },
}
