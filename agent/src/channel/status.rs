//! The status of a channel, joined at the moment of reading from what the owners of its parts show.

use tokio::sync::watch;

use super::reachability::Reachability;
use super::recordings::Recordings;

/// The status of a channel at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the camera can be reached.
    pub reachability: Reachability,
    /// Name of the stream that the server is receiving.
    pub live: Option<String>,
    /// Name of the session that records.
    pub recording: Option<String>,
    /// One bit per raised alarm, in the Keepalive's numbering.
    pub alarm: u32,
}

/// Where the status of one channel is read. Each part has one writer: the observer of the camera,
/// the task of the live stream, the task of the recording, and whoever watches the camera's alarms.
#[derive(Clone)]
pub struct StatusSource {
    pub(super) reachability: watch::Receiver<Reachability>,
    pub(super) live: watch::Receiver<Option<String>>,
    pub(super) recordings: watch::Receiver<Recordings>,
    pub(super) alarm: watch::Receiver<u32>,
}

impl StatusSource {
    /// The status of this moment.
    pub fn now(&self) -> Status {
        Status {
            reachability: *self.reachability.borrow(),
            live: self.live.borrow().clone(),
            recording: self.recordings.borrow().current().map(str::to_owned),
            alarm: *self.alarm.borrow(),
        }
    }

    /// Returns once the reachability of the camera is known, or the channel has ended.
    pub async fn known(&mut self) {
        self.reachability.wait_for(|known| *known != Reachability::Unknown).await.ok();
    }
}
