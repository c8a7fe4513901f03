//! The encoder: where a camera's streams come from.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "emulator")]
use std::sync::Arc;

use async_trait::async_trait;
use ivt_base::auth::Credentials;
use ivt_base::transport::Transport;

use crate::Result;
#[cfg(feature = "emulator")]
use crate::emulator::World;

/// Describes the streams of one camera. Describing is cheap; only `reach` talks to the camera.
#[async_trait]
pub trait Encoder: Send + Sync {
    /// Describes where `stream` can be pulled from.
    ///
    /// # Errors
    /// `Unsupported` from a camera that lacks the stream.
    async fn source(&self, stream: Stream) -> Result<Source>;
    /// Bits per second that the encoder is set to for `stream`; `None` if the camera cannot tell.
    ///
    /// # Errors
    /// `Offline`, `Timeout` or `Refused` if the camera has to be asked and gives no answer.
    async fn bitrate(&self, stream: Stream) -> Result<Option<u32>>;
    /// Succeeds when the camera can be reached now; answers within 5 s.
    ///
    /// # Errors
    /// `Offline` or `Timeout` while the camera cannot be reached.
    async fn reach(&self) -> Result<()>;
}

/// The two encodings that cameras offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Full resolution.
    Main,
    /// Reduced resolution.
    Sub,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Sub => "sub",
        })
    }
}

/// Bits per second that an encoder is set to, for cameras that cannot tell; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitrates {
    /// The rate of the main stream, also where it serves as the sub stream.
    pub main: Option<u32>,
    /// The rate of the sub stream, if there is one.
    pub sub: Option<u32>,
}

/// Where a stream comes from. Media opens it; the HAL only describes it.
#[derive(Clone)]
pub enum Source {
    /// A camera on the network.
    Rtsp(RtspSource),
    /// A looping FLV file.
    Clip {
        /// Path of the file.
        file: PathBuf,
        /// The stream that it stands for.
        stream: Stream,
    },
    /// The live test pattern of an emulated camera.
    #[cfg(feature = "emulator")]
    Pattern {
        /// The stream, which decides the size.
        stream: Stream,
        /// What the pattern shows.
        world: Arc<World>,
    },
    /// A program that writes H.264 in Annex B form to its standard output, and its arguments. It
    /// comes from the local configuration only.
    Command(Vec<String>),
}

/// Patterns are the same if they show the same camera.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rtsp(a), Self::Rtsp(b)) => a == b,
            (Self::Clip { file: a, stream: c }, Self::Clip { file: b, stream: d }) => {
                (a, c) == (b, d)
            }
            #[cfg(feature = "emulator")]
            (Self::Pattern { stream: c, world: a }, Self::Pattern { stream: d, world: b }) => {
                c == d && Arc::ptr_eq(a, b)
            }
            (Self::Command(a), Self::Command(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Source {}

/// How to reach an RTSP stream.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspSource {
    /// `rtsp://` or `rtsps://` address without user name and password, so that it can be printed.
    pub url: String,
    /// The camera's login; never printed.
    pub credentials: Option<Credentials>,
    /// How the camera sends.
    pub transport: Transport,
}
