//! A spool for the tests of uploads, in real time: the disk is a real one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use rand::SeedableRng as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::fake::{Answer, Fake};
use super::*;
use crate::config::SpoolMode;
use crate::record::backlog::BacklogOptions;
use crate::record::clock::Anchor;
use crate::record::service::Announcement;
use crate::record::spool::{Pending, SegmentHead, SessionHead, Spool, SpoolSession};
use crate::record::{Segment, Start};

pub(super) const LENGTH: Duration = Duration::from_millis(60);
pub(super) const ORIGIN: u64 = 1_900_000_000;
/// A disk that stalls once is waited for, and then left alone: half a minute each.
pub(super) const PATIENT: Duration = Duration::from_secs(180);

/// A card, and a session's part of it.
pub(super) struct Card {
    pub(super) dir: TempDir,
    pub(super) shelf: SpoolSession,
}

impl Card {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (spool, leftovers) = Spool::open(dir.path().join("spool"), 1 << 30).await.unwrap();
        assert!(leftovers.is_empty());
        let cbk_url = "http://service/cb".to_owned();
        let head = SessionHead { session_id: "s".into(), channel: 1, cbk_url };
        Self { shelf: spool.shelf(head), dir }
    }

    /// As found by the next start.
    pub(super) async fn reopened(self) -> Self {
        let Self { dir, shelf } = self;
        drop(shelf);
        let reopened = async {
            loop {
                // The spool before it lets go of the folder when its last job is done.
                if let Ok((_, leftovers)) = Spool::open(dir.path().join("spool"), 1 << 30).await {
                    return leftovers.into_iter().next().expect("a session was left").shelf;
                }
                sleep(LENGTH / 4).await;
            }
        };
        let shelf = timeout(PATIENT, reopened).await.unwrap();
        Self { dir, shelf }
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.shelf.stored().iter().map(|stored| stored.head.number).collect()
    }

    pub(super) async fn store(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let Segment { duration, discontinuity, chunks, .. } = segment(number);
            let head = SegmentHead { number, start_micros: date(number), discontinuity };
            self.shelf.store(head, duration, chunks).await.unwrap();
        }
    }

    pub(super) async fn pend(&self, number: u64, name: &str) {
        let (name, uri) = (name.to_owned(), format!("http://store/{name}"));
        self.shelf.set_pending(Some(Pending { number, name, uri })).await.unwrap();
    }

    pub(super) fn options(&self) -> BacklogOptions {
        BacklogOptions {
            name: "channel 1".into(),
            max_segments: 3,
            prerecord: Duration::ZERO,
            shelf: None,
            share: None,
            anchor: Arc::new(Anchor::new(Some(ORIGIN), Instant::now(), || SystemTime::UNIX_EPOCH)),
        }
    }

    pub(super) fn backlog(&self, mode: SpoolMode) -> Arc<Backlog> {
        Backlog::new(BacklogOptions { shelf: Some((self.shelf.clone(), mode)), ..self.options() })
    }

    /// What an earlier run left, to be uploaded.
    pub(super) fn leftover(&self) -> Arc<Backlog> {
        let backlog = self.backlog(SpoolMode::Overflow);
        backlog.close();
        backlog
    }
}

/// A session of the first segment uploaded, and two that wait when the agent ends.
pub(super) async fn cut_off(card: &Card, fake: &Fake) -> Arc<Backlog> {
    let backlog = card.backlog(SpoolMode::Overflow);
    let upload = start(&backlog, fake);
    backlog.push(segment(0));
    until("it is uploaded", || backlog.stats().borrow().uploaded == 1).await;
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    (1..3).for_each(|number| backlog.push(segment(number)));
    backlog
}

pub(super) fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> =
        (0..10u8).map(|i| Bytes::from(vec![i ^ number as u8; 188])).collect();
    let start = Start::Media(LENGTH * number as u32);
    let bytes = 1880;
    Segment { number, start, duration: LENGTH, discontinuity: number == 0, bytes, chunks }
}

pub(super) fn date(number: u64) -> i64 {
    ORIGIN as i64 * 1_000_000 + (LENGTH * number as u32).as_micros() as i64
}

pub(super) fn start(backlog: &Arc<Backlog>, fake: &Fake) -> JoinHandle<bool> {
    let (backlog, fake) = (Arc::clone(backlog), fake.clone());
    // Longer than a handful of tries take on a busy machine.
    let options = UploadOptions { patience: Duration::from_secs(3), ..UploadOptions::default() };
    tokio::spawn(async move { run(&backlog, fake, options, StdRng::seed_from_u64(7)).await })
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(LENGTH / 10).await;
        }
    };
    timeout(PATIENT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Whether the shelf is empty.
pub(super) async fn finished(upload: JoinHandle<bool>) -> bool {
    timeout(PATIENT, upload).await.unwrap().unwrap()
}

/// The numbers of what the service has, in the order of confirmation, with the switches.
pub(super) fn recorded(fake: &Fake) -> Vec<(u64, bool)> {
    let number = |(announced, bytes): (Announcement, Vec<u8>)| {
        let offset = announced.start - ORIGIN as i64 * 1_000_000;
        let number = offset as u64 / LENGTH.as_micros() as u64;
        assert_eq!(announced.start, date(number));
        assert_eq!(bytes, segment(number).chunks.concat(), "segment {number}");
        (number, announced.discontinue)
    };
    fake.recorded().into_iter().map(number).collect()
}

pub(super) fn numbers(fake: &Fake) -> Vec<u64> {
    recorded(fake).into_iter().map(|(number, _)| number).collect()
}

/// A service that is there when `up` says so.
pub(super) fn switched(up: &Arc<AtomicBool>) -> Fake {
    let up = Arc::clone(up);
    Fake::new(move |_| match up.load(Ordering::Relaxed) {
        true => Answer::Good,
        false => Answer::Bad(ServiceError::Transport("cut".into())),
    })
}
