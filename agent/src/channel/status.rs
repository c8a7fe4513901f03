//! How a channel is, joined at the moment of reading from what its owners show.

use tokio::sync::watch;

use super::reachability::Reachability;
use super::recordings::Recordings;

/// How a channel is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the camera can be reached.
    pub reachability: Reachability,
    /// The stream that the server is receiving.
    pub live: Option<String>,
    /// The session that records.
    pub recording: Option<String>,
    /// One bit per alarm that is raised, as numbered by the Keepalive.
    pub alarm: u32,
}

/// Where the status of one channel is read. Each part is written by its one owner: by the observer
/// of the camera, the task of the live stream, the task of the recording and whoever watches the
/// camera's alarms.
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

    /// Returns when the camera was asked once or has shown itself, or when the channel has ended.
    pub async fn known(&mut self) {
        self.reachability.wait_for(|known| *known != Reachability::Unknown).await.ok();
    }
}
