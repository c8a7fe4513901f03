//! Sessions without a camera and a spool, for the tests of uploads. With a spool they run in real
//! time, since the disk is a real one.

use std::iter;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{StreamExt as _, stream};
use rand::SeedableRng as _;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::fake::{Answer, Fake};
use super::*;
use crate::config::{Backfill, SpoolMode};
use crate::record::clock::Anchor;
use crate::record::ledger::RecordingStats;
use crate::record::recorder::Recorded;
use crate::record::spool::fixture::TestDisk;
use crate::record::spool::{Pending, SegmentHead, SessionHead, Spool, SpoolSession};
use crate::record::stock::StockOptions;
use crate::record::{Segment, Start};

pub(super) const LENGTH: Duration = Duration::from_millis(60);
pub(super) const ORIGIN: u64 = 1_900_000_000;
/// How long a test waits. A disk that stalls is waited for and then left alone, half a minute each.
pub(super) const PATIENT: Duration = Duration::from_secs(180);

/// A session whose recorder is played by the test. Clones are the same session.
#[derive(Clone)]
pub(super) struct Session {
    recorder: Arc<Mutex<Option<UnboundedSender<Recorded>>>>,
    /// How many segments were pushed, and how many the stock has taken.
    pushed: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    stats: watch::Receiver<RecordingStats>,
    /// The stock, while nobody uploads.
    stock: Arc<Mutex<Option<Stock>>>,
    cut: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl Session {
    pub(super) fn new(options: StockOptions) -> Self {
        let (sender, receiver) = unbounded();
        let taken = Arc::<AtomicUsize>::default();
        let counted = (receiver, Arc::clone(&taken), false);
        // Asking for the next segment means that the one before was handled.
        let recorder = stream::unfold(counted, |(mut receiver, taken, ends)| async move {
            taken.fetch_add(usize::from(ends), Ordering::Relaxed);
            let recorded = receiver.next().await?;
            let ends = matches!(recorded, Recorded::End(_));
            Some((recorded, (receiver, taken, ends)))
        });
        let session = Self::of(StockOptions { recorder: Some(recorder.boxed()), ..options });
        Self { recorder: Arc::new(Mutex::new(Some(sender))), taken, ..session }
    }

    /// A session with these options, with or without a recorder.
    pub(super) fn of(options: StockOptions) -> Self {
        let (stats, shown) = watch::channel(RecordingStats::default());
        let stock = Stock::new(StockOptions { stats, ..options });
        Self {
            recorder: Arc::default(),
            pushed: Arc::default(),
            taken: Arc::default(),
            stats: shown,
            stock: Arc::new(Mutex::new(Some(stock))),
            cut: Arc::default(),
        }
    }

    /// A segment of one key-frame group.
    pub(super) fn push(&self, segment: Segment) {
        let groups = vec![segment.chunks.to_vec()];
        self.push_groups(segment, groups);
    }

    /// A segment that grew by these groups.
    pub(super) fn push_groups(&self, segment: Segment, groups: Vec<Vec<Bytes>>) {
        let Segment { number, start, duration, discontinuity, .. } = segment;
        let begin = Recorded::Begin { number, start, discontinuity };
        let recorder = self.recorder.lock().unwrap();
        self.pushed.fetch_add(1, Ordering::Relaxed);
        let groups = groups.into_iter().map(|group| Recorded::Group(group, duration));
        for recorded in iter::once(begin).chain(groups).chain([Recorded::End(segment)]) {
            recorder.as_ref().unwrap().unbounded_send(recorded).unwrap();
        }
    }

    /// Ends the recording.
    pub(super) fn close(&self) {
        self.recorder.lock().unwrap().take();
    }

    pub(super) fn stats(&self) -> RecordingStats {
        self.stats.borrow().clone()
    }

    /// Waits until every pushed segment is in the ledger.
    pub(super) fn has_all(&self) -> bool {
        self.taken.load(Ordering::Relaxed) == self.pushed.load(Ordering::Relaxed)
    }

    /// Takes the stock, for a test that plays the uploader.
    pub(super) fn take_stock(&self) -> Stock {
        self.stock.lock().unwrap().take().expect("nobody uploads")
    }

    /// Starts uploads beside the test once `before` is ready, until they end or are cut off. The
    /// task returns whether the spool is empty.
    pub(super) fn upload(
        &self,
        remote: impl RecordingApi + Clone + 'static,
        options: UploadOptions,
        seed: u64,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<bool> {
        self.upload_of(self.take_stock(), remote, options, seed, before)
    }

    /// Starts uploads with a stock that was taken.
    pub(super) fn upload_of(
        &self,
        stock: Stock,
        remote: impl RecordingApi + Clone + 'static,
        options: UploadOptions,
        seed: u64,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<bool> {
        let slot = Arc::clone(&self.stock);
        let (sender, cut) = oneshot::channel();
        *self.cut.lock().unwrap() = Some(sender);
        let mut uploader = Uploader::new(stock, remote, options, StdRng::seed_from_u64(seed));
        tokio::spawn(async move {
            let empty = tokio::select! {
                biased;
                Ok(()) = cut => false,
                empty = async {
                    uploader.wait_for(before).await;
                    uploader.run().await
                } => empty,
            };
            *slot.lock().unwrap() = Some(uploader.stock);
            empty
        })
    }

    /// Ends the agent in the middle of an upload. [`Self::leave`] has to follow.
    pub(super) async fn cut(&self, upload: JoinHandle<bool>) {
        self.cut.lock().unwrap().take().unwrap().send(()).unwrap();
        upload.await.unwrap();
    }

    /// Does what an agent that ends does. Ends the recording, too.
    pub(super) async fn leave(&self, remote: &(impl RecordingApi + Clone)) {
        self.close();
        let (stock, rng) = (self.take_stock(), StdRng::seed_from_u64(1));
        Uploader::new(stock, remote.clone(), UploadOptions::default(), rng).leave().await;
    }
}

/// A card, and a session's part of the spool on it.
pub(super) struct Card {
    pub(super) dir: TempDir,
    pub(super) spool: SpoolSession,
}

impl Card {
    pub(super) async fn new() -> Self {
        Self::of(1 << 30).await
    }

    /// A card with room for this many bytes.
    pub(super) async fn of(limit: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (spool, leftovers) = Spool::open(dir.path().join("spool"), limit).await.unwrap();
        assert!(leftovers.is_empty());
        Self::in_spool(dir, &spool)
    }

    /// On a disk that does what the test wants.
    pub(super) async fn on(disk: &TestDisk) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("spool");
        std::fs::create_dir(&root).unwrap();
        let spool = Spool::empty_on(disk, &root, 1 << 30).await;
        Self::in_spool(dir, &spool)
    }

    fn in_spool(dir: TempDir, spool: &Spool) -> Self {
        let cbk_url = "http://service/cb".to_owned().into();
        let head = SessionHead { session_id: "s".into(), channel: 1, cbk_url };
        Self { spool: spool.session(head), dir }
    }

    /// The card as the next start finds it.
    pub(super) async fn reopened(self) -> Self {
        let Self { dir, spool } = self;
        drop(spool);
        let reopened = async {
            loop {
                // The earlier spool releases the folder when its last job is done.
                if let Ok((_, leftovers)) = Spool::open(dir.path().join("spool"), 1 << 30).await {
                    return leftovers.into_iter().next().expect("a session was left");
                }
                sleep(LENGTH / 4).await;
            }
        };
        let spool = timeout(PATIENT, reopened).await.unwrap();
        Self { dir, spool }
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.spool.stored().iter().map(|stored| stored.head.number).collect()
    }

    /// Whether there are neither segments nor a note of an upload.
    pub(super) fn is_empty(&self) -> bool {
        self.spool.is_empty()
    }

    pub(super) async fn store(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let Segment { duration, discontinuity, chunks, .. } = segment(number);
            let head = SegmentHead { number, start_micros: date(number), discontinuity };
            self.spool.store(head, duration, chunks).await.unwrap();
        }
    }

    pub(super) async fn pend(&self, number: u64, name: &str) {
        let (name, uri) = (name.to_owned(), format!("http://store/{name}").into());
        self.spool.set_pending(Some(Pending { number, name, uri })).await.unwrap();
    }

    pub(super) fn options(&self) -> StockOptions {
        StockOptions {
            name: "channel 1".into(),
            recorder: None,
            max_segments: 3,
            prerecord: Duration::ZERO,
            backfill: Backfill::Beside,
            spool: None,
            share: None,
            anchor: Anchor::new(Some(ORIGIN), Instant::now(), || SystemTime::UNIX_EPOCH),
            stats: watch::Sender::default(),
        }
    }

    fn spooled(&self, mode: SpoolMode) -> StockOptions {
        StockOptions { spool: Some((self.spool.clone(), mode)), ..self.options() }
    }

    pub(super) fn session(&self, mode: SpoolMode) -> Session {
        Session::new(self.spooled(mode))
    }

    /// A session that an earlier run left to be uploaded.
    pub(super) fn leftover(&self) -> Session {
        Session::of(self.spooled(SpoolMode::Overflow))
    }
}

/// A session whose first segment is uploaded, while two wait when the agent ends.
pub(super) async fn cut_off(card: &Card, fake: &Fake) -> Session {
    let session = card.session(SpoolMode::Overflow);
    let upload = start(&session, fake);
    session.push(segment(0));
    until("it is uploaded", || session.stats().uploaded == 1).await;
    session.cut(upload).await;
    (1..3).for_each(|number| session.push(segment(number)));
    session
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

pub(super) fn start(session: &Session, fake: &Fake) -> JoinHandle<bool> {
    start_after(session, fake, std::future::ready(()))
}

pub(super) fn start_after(
    session: &Session,
    fake: &Fake,
    before: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<bool> {
    // Longer than a handful of tries take on a busy machine.
    let (patience, card) = (Duration::from_secs(3), Some(Duration::from_secs(1)));
    let options = UploadOptions { patience, card, ..UploadOptions::default() };
    session.upload(fake.clone(), options, 7, before)
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(LENGTH / 10).await;
        }
    };
    timeout(PATIENT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Whether the spool is empty.
pub(super) async fn finished(upload: JoinHandle<bool>) -> bool {
    timeout(PATIENT, upload).await.unwrap().unwrap()
}

/// The numbers of the confirmed segments in their order, with the discontinuities.
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

/// A service that answers while `up` is true.
pub(super) fn switched(up: &Arc<AtomicBool>) -> Fake {
    let up = Arc::clone(up);
    Fake::new(move |_| match up.load(Ordering::Relaxed) {
        true => Answer::Good,
        false => Answer::Bad(HttpError::Transport("cut".into())),
    })
}
