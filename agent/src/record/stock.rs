//! The segments of one session, and everything that happens to them while its task waits for
//! something: what is recorded, what the disk has done, and what others need of the memory. One
//! task owns it.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

#[cfg(feature = "ui")]
use super::book::{Book, Notes};
use super::budget::Share;
use super::clock::Anchor;
use super::ledger::{Action, Dropped, Ledger, Next, OnCard, RecordingStats, Upload};
use super::recorder::Recorded;
use super::spool::{Holding, News, SegmentHead, SegmentWriter, SpoolSession};
use super::{Segment, Start};
use crate::config::{Backfill, SpoolMode};

/// Bytes of a share that are for buffers, and not for segments.
pub(super) const RESERVE: u64 = 1 << 19;
/// Losses are logged as sums over this time.
const LOG: Duration = Duration::from_secs(60);
/// How long others wait for memory while the disk takes what is in it.
const STORING: Duration = Duration::from_secs(10);

/// Where the segments of a session come from, and how they are kept.
pub struct StockOptions {
    /// Channel and session, for the log.
    pub name: String,
    /// What is recorded, until the recording ends; `None` for what an earlier run recorded.
    pub recorder: Option<BoxStream<'static, Recorded>>,
    /// Most complete segments in memory; [`least_segments`](super::ledger::least_segments) is the
    /// least that counts.
    pub max_segments: usize,
    /// How much is kept while the service wants nothing.
    pub prerecord: Duration,
    /// When segments on the card are uploaded that had to wait.
    pub backfill: Backfill,
    /// The session's part of the spool, and what is stored in it.
    pub spool: Option<(SpoolSession, SpoolMode)>,
    /// The memory that the session may take.
    pub share: Option<Arc<Share>>,
    /// The anchor that dates the segments.
    pub anchor: Anchor,
    /// Where the session's counts are shown. Watchers are not woken for `bytes`.
    pub stats: watch::Sender<RecordingStats>,
}

/// The ledger of one session, and what feeds it.
pub struct Stock {
    name: String,
    ledger: Ledger,
    anchor: Anchor,
    recorder: Option<BoxStream<'static, Recorded>>,
    spool: Option<SpoolSession>,
    /// Whether segments are written as they grow. `writer` writes the one that is being cut.
    grows: bool,
    writer: Option<SegmentWriter>,
    /// The storing of a whole segment. False if the disk does not take it, or not in time.
    storing: Option<BoxFuture<'static, bool>>,
    share: Option<Arc<Share>>,
    reclaimed: Option<watch::Receiver<u64>>,
    /// Until when the disk may take segments whose memory others need.
    reclaim_until: Option<Instant>,
    stats: watch::Sender<RecordingStats>,
    /// The losses that the log was told of, and when.
    logged: Dropped,
    logged_at: Option<Instant>,
    /// Whether more than one segment waits.
    crowded: Arc<AtomicBool>,
    #[cfg(feature = "ui")]
    notes: Option<Notes>,
}

impl Stock {
    /// A stock that begins with the session's segments in the spool.
    pub fn new(options: StockOptions) -> Self {
        let StockOptions {
            name,
            recorder,
            max_segments,
            prerecord,
            backfill,
            spool,
            share,
            anchor,
            stats,
        } = options;
        let (spool, mode) = spool.unzip();
        let mut ledger = Ledger::new(mode, max_segments, prerecord, backfill);
        // The log was told of these already.
        let mut logged = Dropped::default();
        if let Some(spool) = &spool {
            let (number, time) = spool.take_lost();
            logged = Dropped { number, time };
            ledger.losses.add(logged);
            let (stored, evicted) = spool.resume();
            stored.iter().for_each(|stored| ledger.inherit(stored));
            let evicted = evicted.into_iter().map(|time| Dropped { number: 1, time });
            evicted.for_each(|lost| ledger.losses.add(lost));
        }
        if recorder.is_none() {
            ledger.close(Instant::now());
        }
        let mut stock = Self {
            name,
            ledger,
            anchor,
            recorder,
            spool,
            grows: mode == Some(SpoolMode::Always),
            writer: None,
            storing: None,
            reclaimed: share.as_ref().map(|share| share.reclaimed()),
            share,
            reclaim_until: None,
            stats,
            logged,
            logged_at: None,
            crowded: Arc::default(),
            #[cfg(feature = "ui")]
            notes: None,
        };
        stock.settle();
        stock
    }

    /// Notes what becomes of the segments in `book`, as those of the session `name` of a channel.
    #[cfg(feature = "ui")]
    #[must_use]
    pub(crate) fn noting(self, book: &Book, channel: usize, name: &str) -> Self {
        self.spool.iter().for_each(|spool| book.note_stored(spool));
        let left = self.recorder.is_none();
        let notes = book.begin(channel, name, left, self.stats.subscribe());
        Self { notes: Some(notes), ..self }
    }

    /// Channel and session, for the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ledger. Input goes to it by [`Self::tell`].
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The session's part of the spool.
    pub fn spool(&self) -> Option<&SpoolSession> {
        self.spool.as_ref()
    }

    /// Whether more than one segment waits, as a value that can be read while `self` is borrowed.
    pub fn crowded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.crowded)
    }

    /// Gives the ledger some input, and does what is due afterwards.
    pub fn tell<T>(&mut self, what: impl FnOnce(&mut Ledger) -> T) -> T {
        let told = what(&mut self.ledger);
        self.settle();
        told
    }

    /// The date of a segment in microseconds since 1970, if it is known.
    pub fn date(&mut self, start: Start) -> Option<i64> {
        self.anchor.unix_micros(start)
    }

    /// Takes the service's word that it is `now`, in seconds since 1970.
    pub fn learn_date(&mut self, now: f64) {
        self.anchor.learn(now);
    }

    /// Shows why uploads fail; `None` shows that they do not.
    pub fn note(&self, error: Option<String>) {
        self.stats.send_if_modified(|stats| {
            let changed = stats.last_error != error;
            stats.last_error = error;
            changed
        });
    }

    /// Shows until when uploads rest; `None` shows that they do not.
    #[cfg(feature = "ui")]
    pub fn note_rest(&self, until: Option<Instant>) {
        self.notes.iter().for_each(|notes| notes.rest(until));
    }

    /// Waits for `work`, and meanwhile handles what happens to the segments.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.happens() => {}
                done = &mut work => return done,
            }
        }
    }

    /// The segment that is to be uploaded next, once there is one; `None` at the end.
    pub async fn next(&mut self) -> Option<Upload> {
        loop {
            match self.ledger.next_upload(Instant::now()) {
                Next::Upload(upload) => return Some(upload),
                Next::Over => return None,
                Next::Wait(None) => self.happens().await,
                Next::Wait(Some(until)) => tokio::select! {
                    biased;
                    () = self.happens() => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    /// Returns when more than one segment waits, or after `delay`.
    pub async fn wait_for_more(&mut self, delay: Duration) {
        let mut over = pin!(sleep_until(Instant::now() + delay));
        while self.ledger.waiting() < 2 {
            tokio::select! {
                biased;
                () = self.happens() => {}
                () = &mut over => return,
            }
        }
    }

    /// Handles what is still recorded, until the recording ends.
    pub async fn end(&mut self) {
        while self.recorder.is_some() {
            self.happens().await;
        }
    }

    /// Stores the segments in memory that the service wants, if there is a spool that takes them.
    pub async fn store_rest(&mut self) {
        while self.storing.is_some() {
            self.happens().await;
        }
        for segment in self.ledger.unstored() {
            let missing =
                matches!(self.ledger.on_card(segment.number), OnCard::Nothing | OnCard::Part);
            if missing && let Some(store) = self.store(&segment) {
                self.ledger.writing(segment.number);
                self.during(store).await;
            }
        }
    }

    /// Ends the use of memory by uploads. Returns when the disk has done what it was asked.
    pub async fn close(&mut self) {
        self.tell(Ledger::give_up);
        if let Some(spool) = self.spool.clone() {
            // The log was told of the disk's trouble by the spool.
            self.during(spool.close()).await.ok();
            self.read_news();
            self.settle();
        }
    }

    /// Tells the log of all losses that it was not told of before.
    pub fn log_losses(&mut self) {
        let Dropped { number, time } = self.ledger.losses.dropped().since(self.logged);
        if number > 0 {
            let (name, seconds) = (&self.name, time.as_secs_f64());
            log::warn!("{name}: {number} segments ({seconds:.1} s) are lost: no room or no taker");
            (self.logged, self.logged_at) = (self.ledger.losses.dropped(), Some(Instant::now()));
        }
    }

    /// Returns when something has happened and was handled. Cancel safe.
    async fn happens(&mut self) {
        let Self { recorder, spool, storing, reclaimed, reclaim_until, .. } = self;
        let reclaimed = reclaimed.as_mut().filter(|_| self.ledger.closed().is_some());
        tokio::select! {
            biased;
            recorded = some(recorder.as_mut().map(|recorder| recorder.next())) => match recorded {
                Some(recorded) => self.record(recorded),
                None => {
                    self.recorder = None;
                    #[cfg(feature = "ui")]
                    self.notes.iter().for_each(Notes::close);
                    self.ledger.close(Instant::now());
                }
            },
            () = some(spool.as_ref().map(SpoolSession::changed)) => self.read_news(),
            taken = some(storing.as_mut()) => {
                self.storing = None;
                if !taken {
                    self.ledger.stalled();
                }
            }
            changed = some(reclaimed.map(watch::Receiver::changed)) => match changed {
                Ok(()) => {
                    self.ledger.reclaim(true);
                    self.reclaim_until = Some(Instant::now() + STORING);
                }
                Err(_) => self.reclaimed = None,
            },
            () = some(reclaim_until.map(sleep_until)) => {
                self.ledger.reclaim(false);
                self.reclaim_until = None;
            }
        }
        self.settle();
    }

    fn record(&mut self, recorded: Recorded) {
        match recorded {
            Recorded::Taken(first) => self.anchor.taken(first.into()),
            Recorded::Begin { number, start, discontinuity } => {
                // A segment without a date is not stored: after a crash nobody could tell when it
                // was recorded.
                let date = self.anchor.unix_micros(start).filter(|_| self.grows);
                self.writer = date.zip(self.spool.as_ref()).map(|(start_micros, spool)| {
                    spool.begin(SegmentHead { number, start_micros, discontinuity })
                });
            }
            Recorded::Group(chunks, duration) => {
                if let Some(writer) = &mut self.writer {
                    writer.append(chunks, duration);
                }
            }
            Recorded::End(segment) => {
                let writer = self.writer.take();
                let begun = writer.as_ref().is_some_and(SegmentWriter::has_begun);
                let card = match writer.is_some_and(SegmentWriter::finish) {
                    true => OnCard::Writing,
                    // What the disk has been handed may still wait there for its turn.
                    false if begun => OnCard::Part,
                    false => OnCard::Nothing,
                };
                self.ledger.completed(segment, card);
            }
            Recorded::Forming(bytes) => self.ledger.forming(bytes),
        }
    }

    fn read_news(&mut self) {
        let news = self.spool.as_ref().map(SpoolSession::news).unwrap_or_default();
        for news in news {
            match news {
                News::Written(number, holding) => self.ledger.found(number, holding),
                News::Evicted(number, _) => self.ledger.evicted(number),
            }
        }
    }

    /// Does what is due, and shows the session's counts.
    fn settle(&mut self) {
        let share = self.share.as_ref();
        let allowed = share.map_or(u64::MAX, |share| share.allowed().saturating_sub(RESERVE));
        loop {
            let actions = self.ledger.settle(allowed);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                match (action, &self.spool) {
                    (Action::Remove(number), Some(spool)) => spool.remove(number),
                    (Action::Remove(_), None) => {}
                    (Action::Store(segment), _) => {
                        self.storing = self.store(&segment);
                        if self.storing.is_none() {
                            self.ledger.found(segment.number, Holding::Nothing);
                        }
                    }
                }
            }
        }
        let ledger = &self.ledger;
        if let (Some(_), Some(share)) = (ledger.closed(), &self.share) {
            let more = ledger.in_flight_bytes() + RESERVE;
            share.drain(ledger.bytes() + more, ledger.firm_bytes() + more);
        }
        let now = ledger.stats();
        self.crowded.store(now.waiting > 1, Ordering::Relaxed);
        self.stats.send_if_modified(|stats| {
            let now = RecordingStats { last_error: stats.last_error.clone(), ..now };
            stats.bytes = now.bytes;
            let news = *stats != now;
            *stats = now;
            news
        });
        #[cfg(feature = "ui")]
        self.note_marks();
        if self.logged_at.is_none_or(|logged| logged.elapsed() >= LOG) {
            self.log_losses();
        }
    }

    /// Notes in the book what became of segments.
    #[cfg(feature = "ui")]
    fn note_marks(&mut self) {
        let mut marks = self.ledger.marks.take();
        marks.extend(self.ledger.losses.marks.take());
        if let Some(notes) = &mut self.notes {
            let error = self.stats.borrow().last_error.clone();
            notes.note(marks, |start| self.anchor.known(start), error.as_deref());
        }
    }

    /// Writes a segment to the spool. True if the disk has taken it. Without a date nothing is
    /// written.
    fn store(&mut self, segment: &Segment) -> Option<BoxFuture<'static, bool>> {
        let Segment { number, start, duration, discontinuity, .. } = *segment;
        let start_micros = self.anchor.unix_micros(start)?;
        let (spool, chunks) = (self.spool.clone()?, Arc::clone(&segment.chunks));
        let head = SegmentHead { number, start_micros, discontinuity };
        // The log was told of the disk's trouble by the spool.
        Some(Box::pin(async move { spool.store(head, duration, chunks).await.is_ok() }))
    }
}

/// Waits for the future, or for ever if there is none.
async fn some<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
