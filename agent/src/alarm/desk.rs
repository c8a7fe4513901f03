//! Where all that is known of a device's alarms lies: reports that are owed, pictures, counts and the bits of the Keepalive.
//! The channels put in, the reporter takes out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ivt_base::wall_time::WallTime;
use ivt_hal::Trigger;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

#[cfg(feature = "ui")]
use super::book::{Book, Noted};
use super::outbox::{Outbox, Place};
use super::pictures::Pictures;

/// What became of a device's alarms since the agent's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmCounts {
    /// Signals of the cameras.
    pub heard: u64,
    /// Alarms that began.
    pub begun: u64,
    /// Starts and ends that the cloud has answered.
    pub reported: u64,
    /// Those of them that left more than 10 s after they happened.
    pub late: u64,
    /// Starts and ends that were not reported: the cloud refused them twice.
    pub refused: u64,
    /// Alarms that nobody was told of: they began and ended while the cloud was away, and newer ones followed.
    pub missed: u64,
    /// Pictures that were sent.
    pub pictures_sent: u64,
    /// Pictures that were dropped: to make room, since they could not be taken or sent, or were no pictures.
    pub pictures_dropped: u64,
}

/// The desk of a device. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Shared>);

struct Shared {
    content: Mutex<Content>,
    news: Notify,
    /// Where each channel shows its alarms in the Keepalive.
    shown: Vec<watch::Sender<u32>>,
    /// Numbers of the bits of an external alarm, motion and a crossed line.
    bits: [u8; 3],
}

/// What lies on the desk.
#[derive(Default)]
pub(super) struct Content {
    pub(super) outbox: Outbox,
    pub(super) pictures: Pictures,
    pub(super) counts: AlarmCounts,
    #[cfg(feature = "ui")]
    pub(super) book: Book,
}

impl Desk {
    /// The desk of a device whose channels show their alarms in `shown`, by bits of these numbers.
    pub(crate) fn new(shown: Vec<watch::Sender<u32>>, bits: [u8; 3]) -> Self {
        let (content, news) = Default::default();
        Self(Arc::new(Shared { content, news, shown, bits }))
    }

    /// The counts of this moment.
    pub(crate) fn counts(&self) -> AlarmCounts {
        self.lock().counts
    }

    /// Counts a signal of a camera.
    pub(super) fn hear(&self) {
        self.lock().counts.heard += 1;
    }

    /// An alarm begins; its picture is being taken if there is a `camera` for it. Returns the number of both.
    pub(crate) fn begin(&self, place: Place, what: &str, shown: WallTime, camera: bool) -> u64 {
        self.change(place, |content| {
            let (id, passed) = content.outbox.begin(place, what, shown, Instant::now());
            content.counts.begun += 1;
            if let Some(passed) = passed {
                content.counts.missed += 1;
                #[cfg(feature = "ui")]
                content.book.pass(passed);
                content.drop_picture(passed);
            }
            if camera {
                let dropped = content.pictures.expect(id);
                content.count_dropped(dropped);
            }
            id
        })
    }

    /// An alarm ends.
    pub(crate) fn end(&self, place: Place, shown: WallTime) {
        self.change(place, |content| {
            let _report = content.outbox.end(place, shown, Instant::now());
            #[cfg(feature = "ui")]
            content.book.end(place, _report);
        });
    }

    /// Nothing more is reported of a place.
    pub(super) fn withdraw(&self, place: Place) {
        self.change(place, |content| {
            #[cfg(feature = "ui")]
            content.book.withdraw(place);
            for id in content.outbox.withdraw(place) {
                content.pictures.drop(id);
            }
        });
    }

    /// The picture of an alarm was taken, or could not be taken.
    pub(super) fn take_picture(&self, id: u64, picture: Option<Bytes>) {
        let mut content = self.lock();
        match picture {
            Some(picture) => {
                let dropped = content.pictures.take(id, picture);
                content.count_dropped(dropped);
            }
            None => content.drop_picture(id),
        }
        drop(content);
        self.0.news.notify_one();
    }

    /// The alarm of this number is shown on the device's page, with a picture if one is `expected`.
    #[cfg(feature = "ui")]
    pub(crate) fn show(&self, id: u64, place: Place, what: &str, shown: WallTime, expected: bool) {
        self.lock().book.begin(id, place, what, shown, expected);
    }

    /// The picture of an alarm for the device's page was taken, or could not be taken.
    #[cfg(feature = "ui")]
    pub(crate) fn show_picture(&self, id: u64, picture: Option<Bytes>) {
        self.lock().book.take(id, picture);
    }

    /// The newest alarms that have changed since a version of them, the oldest first; all since 0.
    #[cfg(feature = "ui")]
    pub(crate) fn newest(&self, version: u64) -> Vec<Noted> {
        self.lock().book.since(version)
    }

    /// The picture of one of them.
    #[cfg(feature = "ui")]
    pub(crate) fn picture(&self, id: u64) -> Option<Bytes> {
        self.lock().book.picture(id)
    }

    /// Tells the version of the newest alarms at each change.
    #[cfg(feature = "ui")]
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.lock().book.changes()
    }

    /// Returns when there is news for the reporter.
    pub(super) async fn news(&self) {
        self.0.news.notified().await;
    }

    /// The content, to look at it, or to take out what does not show in the Keepalive.
    pub(super) fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what concerns a place, shows that in the Keepalive, and tells the reporter.
    pub(super) fn change<T>(&self, place: Place, change: impl FnOnce(&mut Content) -> T) -> T {
        let mut content = self.lock();
        let changed = change(&mut content);
        let bit = |trigger: Trigger| {
            let bit = match trigger {
                Trigger::Input => self.0.bits[0],
                Trigger::Motion => self.0.bits[1],
                Trigger::Line => self.0.bits[2],
            };
            1u32.checked_shl(bit.into()).unwrap_or(0)
        };
        let raised = Trigger::ALL
            .into_iter()
            .filter(|trigger| content.outbox.is_raised((place.0, *trigger)));
        let bits = raised.map(bit).fold(0, |all, bit| all | bit);
        if let Some(shown) = self.0.shown.get(place.0) {
            shown.send_if_modified(|now| std::mem::replace(now, bits) != bits);
        }
        drop(content);
        self.0.news.notify_one();
        changed
    }
}

impl Content {
    /// Drops a picture that was expected.
    pub(super) fn drop_picture(&mut self, id: u64) {
        let dropped = self.pictures.drop(id);
        self.counts.pictures_dropped += u64::from(dropped);
    }

    fn count_dropped(&mut self, dropped: u64) {
        let before = self.counts.pictures_dropped;
        let all = before + dropped;
        self.counts.pictures_dropped = all;
        // A long outage at many cameras would fill the log.
        if dropped > 0 && (before == 0 || before / 100 < all / 100) {
            log::warn!(
                "alarms: {all} pictures were dropped since the start: too many or too long ones are pending"
            );
        }
    }
}
