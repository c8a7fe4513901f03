//! Sources of frames. The pull that keeps a source open is in [`crate::pull`].

use async_trait::async_trait;

use crate::frame::Frame;

/// One open connection to one stream of one camera. An error ends it; the pull opens a new one.
/// No wait is longer than the source's own silence limit.
#[async_trait]
pub trait FrameSource: Send {
    /// Returns once pictures come that can be decoded from the next key frame on, which may be a
    /// minute away: parameter sets are known, and a picture was there. A frame met here is kept for
    /// `frame`. Cancel safe. The default is for sources that send as soon as they are open.
    ///
    /// # Errors
    ///
    /// The source has ended.
    async fn arriving(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// The next frame in decode order, stamped by the camera's clock: where that is set or stands
    /// still, so do the times, and the pull straightens them. Frames from before the first key
    /// frame may come, too; after a loss the next is a key frame. Cancel safe.
    ///
    /// # Errors
    ///
    /// The source has ended.
    async fn frame(&mut self) -> Result<Frame, SourceError>;

    /// Whether the source declares sound. Who begins with its pictures waits a little for the first
    /// of it.
    fn has_sound(&self) -> bool {
        false
    }

    /// What was lost on the way here, since opening.
    fn losses(&self) -> Losses {
        Losses::default()
    }
}

/// What a source did not give, counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames lost, or given up because they could not be decoded.
    pub frames: u64,
    /// Packets that never came, told by the numbers of those that did.
    pub packets: u64,
    /// Packets that are no part of any frame: empty, doubled, of a kind nobody asked for.
    pub skipped: u64,
}

/// Opens sources of one stream. The one seam between the camera and everything downstream.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Opens the stream, within a bounded time.
    ///
    /// # Errors
    ///
    /// The camera gives no stream that the agent can carry.
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError>;

    /// Waits, within a bounded time, until the camera has let go of the sources that were dropped.
    async fn settle(&self) {}

    /// What the source being opened, or open and without a picture yet, waits for: a clause for a
    /// person, e.g. `packets come, but no parameter sets (SPS, PPS)`. `None` where there is nothing
    /// to tell.
    fn awaits(&self) -> Option<String> {
        None
    }

    /// What openings had to put up with, since the opener was made.
    fn incidents(&self) -> Incidents {
        Incidents::default()
    }
}

/// How often a camera was not as it was asked to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    /// The camera sent us to another address.
    pub redirects: u64,
    /// The camera did not send by the transport asked for.
    pub transports_refused: u64,
    /// The camera described sound, and none could be had.
    pub sounds_left_out: u64,
}

/// Why a camera gives no frames. The text names the peer and never holds a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no connection, or it was lost.
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
