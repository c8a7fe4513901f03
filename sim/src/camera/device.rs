//! The state of the camera that all its clients share.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;

use super::auth::{Credentials, Scheme};
use super::channel::Channel;
use super::feed::Feed;
use super::make::Make;
use super::quirk::Quirks;
use super::transport::Transports;

/// A camera, as the listener and all sessions see it.
pub struct Camera {
    pub channels: Vec<Channel>,
    pub make: Make,
    pub credentials: Option<Credentials>,
    pub scheme: Scheme,
    pub transports: Transports,
    pub packet_at_a_time: bool,
    pub join_mid_gop: bool,
    pub session_timeout: Duration,
    pub quirks: Quirks,
    pub connections: AtomicU64,
    /// Whether the camera is rebooting.
    pub away: watch::Sender<bool>,
}

impl Camera {
    /// Ends every stream.
    pub fn stop(&self) {
        self.channels.iter().flat_map(Channel::feeds).for_each(Feed::stop);
    }
}
