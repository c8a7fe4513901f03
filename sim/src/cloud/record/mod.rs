//! The recording service with its object store (field notes, "Cloud recording upload").

mod api;
mod body;
mod demux;
mod faults;
mod form;
mod info;
pub(super) mod misbehave;
mod objects;
mod replay;
mod routes;
mod service;
mod session;
mod store;
mod timeline;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use url::Url;

pub use faults::{RecordFault, RecordFaults, StepFault};
pub use info::{Calls, DropReport, RecordingInfo, Rule, SegmentInfo, SegmentState, Violation};
pub use store::Bodies;
pub use timeline::{Span, SpanKind, Timeline};

use crate::registry::{Named, Registry};
pub(super) use body::receive;
pub(super) use routes::{device_routes, page_routes};
pub(super) use service::called;
pub(super) use session::Refused;
pub(super) use store::Store;

/// Most sessions remembered; beyond them, the oldest that is in nobody's hands makes room.
const MAX_SESSIONS: usize = 64;
/// Most segments remembered in all sessions together.
const MAX_SEGMENTS: usize = 200_000;
/// Longest session name, in bytes.
const MAX_NAME: usize = 256;
/// Most KiB of bodies under way at a time.
const UNDER_WAY_KIB: usize = 256 << 10;

/// One recording session, whether its device has called yet or not.
pub struct Recording {
    info: watch::Sender<RecordingInfo>,
}

/// The counts of what `PUT /sink/…` received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkInfo {
    /// Number of complete requests.
    pub puts: u64,
    /// Length of all bodies in bytes.
    pub bytes: u64,
}

impl Recording {
    fn new(session: &str) -> Self {
        let info = RecordingInfo { session: session.to_owned(), ..RecordingInfo::default() };
        Self { info: watch::Sender::new(info) }
    }

    /// The state at this moment.
    pub fn info(&self) -> RecordingInfo {
        self.info.borrow().clone()
    }

    /// The state as it changes.
    pub fn watch(&self) -> watch::Receiver<RecordingInfo> {
        self.info.subscribe()
    }

    /// Returns the state once it satisfies `condition`.
    pub async fn wait_for(&self, condition: impl FnMut(&RecordingInfo) -> bool) -> RecordingInfo {
        let mut info = self.info.subscribe();
        // The sender lives in `self`, so the watch cannot close.
        info.wait_for(condition).await.map_or_else(|_| self.info(), |info| info.clone())
    }

    /// Returns the state once `count` segments are stored.
    pub async fn wait_segments(&self, count: usize) -> RecordingInfo {
        self.wait_for(|info| info.stored().count() >= count).await
    }

    fn change<T>(&self, change: impl FnOnce(&mut RecordingInfo) -> T) -> T {
        let mut made = None;
        self.info.send_modify(|info| made = Some(change(info)));
        made.expect("the closure was called")
    }
}

/// All recording sessions and the stored bytes.
pub(super) struct Recorder {
    recordings: Registry<Recording>,
    store: Store,
    bodies: Bodies,
    under_way: Semaphore,
    /// The address to which devices upload; `None` takes the one at which they called.
    base: Mutex<Option<Url>>,
    sink: (AtomicU64, AtomicU64),
}

impl Recorder {
    pub(super) fn new(max_bytes: u64, bodies: Bodies) -> Self {
        Self {
            recordings: Registry::new(MAX_SESSIONS),
            store: Store::new(max_bytes),
            bodies,
            under_way: Semaphore::new(UNDER_WAY_KIB),
            base: Mutex::default(),
            sink: Default::default(),
        }
    }

    /// The session of this name, made if it is not known; `None` when the name is none, or there is no room.
    pub(super) fn open(&self, session: &str) -> Option<Arc<Recording>> {
        if session.is_empty() || session.len() > MAX_NAME {
            return None;
        }
        self.recordings.open(session, |_| Some(()), || Recording::new(session))
    }

    /// The session of this name; `None` if it is not known.
    pub(super) fn find(&self, session: &str) -> Option<Arc<Recording>> {
        self.recordings.find(session)
    }

    /// Every session, oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Recording>> {
        self.recordings.list()
    }

    pub(super) fn object(&self, name: &str) -> Option<Bytes> {
        self.store.find(name)
    }

    pub(super) fn sink(&self) -> SinkInfo {
        SinkInfo { puts: self.sink.0.load(Relaxed), bytes: self.sink.1.load(Relaxed) }
    }

    pub(super) fn base(&self) -> Option<Url> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_base(&self, base: &Url) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base.clone());
    }

    /// Waits until a body of `length` bytes may be under way with all the others.
    pub(super) async fn room(&self, length: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(length.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        self.under_way.acquire_many(kib).await.ok()
    }

    fn is_full(&self) -> bool {
        self.list().iter().map(|recording| recording.info.borrow().segments.len()).sum::<usize>()
            >= MAX_SEGMENTS
    }
}

impl Named for Recording {
    fn is_named(&self, session: &str) -> bool {
        self.info.borrow().session == session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded_and_idle_ones_make_room() {
        let recorder = Recorder::new(0, Bodies::Keep);
        let held = recorder.open("0").unwrap();
        for n in 1..MAX_SESSIONS + 5 {
            assert!(recorder.open(&n.to_string()).is_some());
        }
        assert_eq!(recorder.list().len(), MAX_SESSIONS);
        assert!(Arc::ptr_eq(&held, &recorder.open("0").unwrap()));
        assert!(recorder.find("1").is_none() && recorder.find("68").is_some());
    }

    #[test]
    fn names_have_a_length() {
        let recorder = Recorder::new(0, Bodies::Keep);
        assert!(recorder.open("").is_none());
        assert!(recorder.open(&"s".repeat(MAX_NAME)).is_some());
        assert!(recorder.open(&"s".repeat(MAX_NAME + 1)).is_none());
    }
}
