//! A client for RTSP cameras (RFC 2326): strict in what it says, lenient in what it hears, bounded
//! in what it takes. Reconnecting is in [`crate::pull`], packets and frames are in [`crate::rtp`].

#[cfg(test)]
mod camera;
mod connection;
mod error;
mod header;
mod keepalive;
mod leave;
pub mod media;
pub mod message;
mod open;
mod progress;
pub mod sdp;
pub mod session;
mod setup;
mod source;
#[cfg(test)]
mod tests;
mod track;
pub mod tracks;
mod udp;

use std::sync::Arc;
use std::time::Duration;

use ivt_base::auth::Credentials;
use ivt_base::tls::ClientConfig;

pub use ivt_base::transport::Transport;
pub use open::RtspOpener;

/// How a camera is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The camera's login.
    pub credentials: Option<Credentials>,
    /// How RTP travels.
    pub transport: Transport,
    /// How long the camera may take.
    pub patience: Patience,
    /// Whom `rtsps://` trusts; without it such an address is refused.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whether a camera that redirects to another host is given the login there, too.
    pub login_follows_redirects: bool,
}

/// How long a camera may take before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Longest wait for the answer to DESCRIBE; some cameras start their encoder first.
    pub describe: Duration,
    /// Longest time from PLAY to the first packet; some cameras wait for a key frame.
    pub first_packet: Duration,
    /// Longest time between two pictures or, from a camera without pictures, between two pieces of
    /// sound.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { describe: seconds(15), first_packet: seconds(20), silence: seconds(10) }
    }
}
